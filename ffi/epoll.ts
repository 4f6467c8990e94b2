/** Waiting for thousands of descriptors at once, level-triggered: epoll(7). */
import { call, callResult, failure, takeScratch } from "./call.ts"
import { EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } from "./constants/epoll.ts"

export interface EpollEvent {
  fd: number
  /** EPOLL* bits. */
  events: number
}

// struct epoll_event is packed on x86-64 alone.
const [SIZE, DATA] = process.arch === "x64" ? [12, 4] : [16, 8]
const MOST = 256
const EINTR = -4
let buffer: ReturnType<typeof takeScratch> | undefined

const memory = () => {
  buffer ??= takeScratch(MOST * SIZE)
  return buffer
}

/** A new one, close-on-exec. epoll_create1(2). */
export const createEpoll = (): number => call("epoll_create1", EPOLL_CLOEXEC)

function control(epoll: number, operation: number, fd: number, events: number): void {
  const { address, bytes } = memory()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  view.setUint32(0, events, true)
  view.setInt32(DATA, fd, true)
  view.setInt32(DATA + 4, 0, true)
  call("epoll_ctl", epoll, operation, fd, address)
}

/** epoll_ctl(2). Throws SyscallError. */
export const epollAdd = (epoll: number, fd: number, events: number): void => control(epoll, EPOLL_CTL_ADD, fd, events)
export const epollModify = (epoll: number, fd: number, events: number): void =>
  control(epoll, EPOLL_CTL_MOD, fd, events)
export const epollDelete = (epoll: number, fd: number): void => control(epoll, EPOLL_CTL_DEL, fd, 0)

/** What has happened, on at most 256 of them; `milliseconds` null waits for ever. epoll_wait(2). */
export function epollWait(epoll: number, milliseconds: number | null): EpollEvent[] {
  const { address, bytes } = memory()
  const count = callResult("epoll_wait", epoll, address, MOST, milliseconds ?? -1)
  if (count < 0 && count !== EINTR) throw failure("epoll_wait", count, epoll)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: Math.max(0, count) }, (_, i) => ({
    fd: view.getInt32(i * SIZE + DATA, true),
    events: view.getUint32(i * SIZE, true),
  }))
}
