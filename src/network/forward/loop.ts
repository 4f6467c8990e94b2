/** The forwarder's one loop: descriptors, and what is done when something happens on them. */
import { createEpoll, epollAdd, epollDelete, epollModify, epollWait } from "../../../ffi/epoll.ts"
import { close } from "../../../ffi/fs.ts"

export interface Loop {
  /** Watches a descriptor for EPOLL* bits. */
  add(fd: number, events: number, handle: (events: number) => void): void
  change(fd: number, events: number): void
  /** Leaves it open; errors and hang-ups are told of one that is watched whatever it is watched for. */
  remove(fd: number): void
  /** Closes one that is not watched, after all that has happened by now is dealt with: its number stands for it until then. */
  close(fd: number): void
  /**
   * For ever; `tick` is called once, when something has happened, and after as many milliseconds as it returns (null: for ever),
   * but not more often than `least` milliseconds apart while it returns some.
   */
  run(tick: () => number | null, least: number): never
}

export function createLoop(): Loop {
  const epoll = createEpoll()
  const handlers = new Map<number, (events: number) => void>()
  let closing: number[] = []
  return {
    add(fd, events, handle) {
      epollAdd(epoll, fd, events)
      handlers.set(fd, handle)
    },
    change: (fd, events) => epollModify(epoll, fd, events),
    remove(fd) {
      epollDelete(epoll, fd)
      handlers.delete(fd)
    },
    close: (fd) => closing.push(fd),
    run(tick, least) {
      for (let wait = tick(), last = performance.now(); ; ) {
        for (const { fd, events } of epollWait(epoll, wait)) handlers.get(fd)?.(events)
        for (const fd of closing) close(fd)
        closing = []
        const early = Math.ceil(last + least - performance.now())
        if (wait !== null && early > 0) {
          wait = Math.min(wait, early)
          continue
        }
        wait = tick()
        last = performance.now()
      }
    },
  }
}
