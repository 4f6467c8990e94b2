/**
 * What the command of a detached container reads and writes: its output goes to the log and to those that are attached
 * (attach-server.ts, loaded with the first of them), who type its input.
 */
import { call, callResult } from "../../ffi/call.ts"
import { F_SETFL, O_NONBLOCK, O_RDWR } from "../../ffi/constants/fcntl.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { close } from "../../ffi/fs.ts"
import { type PollFd, poll } from "../../ffi/poll.ts"
import { receiveFd } from "../../ffi/tty.ts"
import type { AttachServer, Holder, Target } from "./attach-server.ts"
import type { LogWriter, Stream } from "./log-writer.ts"

const EAGAIN = -11
// A line that is begun is kept so long for its end.
const PATIENCE = 10

/** Descriptors of the supervisor's; null for those that a command has not. */
export interface CommandFds {
  /** Where those that attach come. */
  listener: number
  /** Read ends of the command's output, */
  out: number | null
  err: number | null
  /** or where the master of its terminal comes. */
  terminal: number | null
  /** Write end of its standard input. */
  input: number | null
  /** What is typed by those that are attached is passed on to the terminal. */
  typing: boolean
}

interface Source {
  stream: Stream
  fd: number
}

export interface CommandIo {
  readonly log: LogWriter
  readonly listener: number
  readonly target: Target
  /** What is read; the master of a terminal is here when it has come. */
  readonly sources: Source[]
  /** Where that comes; null when it has. */
  terminal: number | null
  attached: AttachServer | null
}

export function openCommandIo(log: LogWriter, fds: CommandFds): CommandIo {
  const { listener, out, err, terminal, input, typing } = fds
  const pipes = [
    { stream: "stdout", fd: out },
    { stream: "stderr", fd: err },
  ] as const
  return {
    log,
    listener,
    target: { fd: input, terminal: terminal !== null, typing: typing || input !== null },
    sources: pipes.flatMap(({ stream, fd }) => (fd === null ? [] : [{ stream, fd }])),
    terminal,
    attached: null,
  }
}

/** Nothing more will come. */
export const isOver = ({ terminal, sources }: CommandIo): boolean => terminal === null && sources.length === 0

/** What to poll for, and for how long at most (milliseconds; null: for ever). */
export function wantedBy({ log, listener, sources, terminal, attached }: CommandIo): {
  fds: PollFd[]
  wait: number | null
} {
  const held = attached?.held() ?? null
  const begun = sources.some(({ stream }) => log.pending(stream))
  return {
    fds: [
      { fd: terminal ?? -1, events: POLLIN },
      // One that attaches to a terminal is answered when it is there.
      { fd: terminal === null ? listener : -1, events: POLLIN },
      ...sources.map(({ fd }) => ({ fd: held === null ? fd : -1, events: POLLIN })),
      ...(attached?.wanted() ?? []),
    ],
    wait: held ?? (begun ? PATIENCE : null),
  }
}

function receiveMaster(io: CommandIo, socket: number): void {
  const fd = receiveFd(socket)
  close(socket)
  io.terminal = null
  if (fd === null) return
  call("fcntl", fd, F_SETFL, O_RDWR | O_NONBLOCK)
  io.target.fd = fd
  io.sources.push({ stream: "stdout", fd })
}

/** Copies what there is of one stream; false at its end. A terminal's is an error: nobody has it open any more. */
function copy({ log, attached }: CommandIo, { stream, fd }: Source): boolean {
  const { address, bytes, size } = log.room(stream)
  const count = callResult("read", fd, address, size)
  if (count > 0) {
    attached?.give(stream, bytes.subarray(0, count))
    log.take(stream, count)
  }
  return count > 0 || count === EAGAIN
}

function endSource(io: CommandIo, source: Source): void {
  close(source.fd)
  io.sources.splice(io.sources.indexOf(source), 1)
  if (io.target.fd === source.fd) io.target.fd = null
}

/** Goes on after a poll of `wantedBy`; false where no output has come and none is held back. */
export function advance(io: CommandIo, [sent, asked, ...events]: readonly number[]): boolean {
  const { log, sources, attached } = io
  const open = [...sources]
  const held = attached?.held() != null
  attached?.advance(events.slice(open.length))
  if (sent && io.terminal !== null) receiveMaster(io, io.terminal)
  open.forEach((source, i) => {
    if (!events[i]) {
      if (log.pending(source.stream)) log.flush(source.stream)
    } else if (!copy(io, source)) endSource(io, source)
  })
  if (asked) attached?.accept(io.listener)
  return held || Boolean(sent) || open.some((_, i) => events[i])
}

/** Whether somebody comes who is the first, for whom the server has to be loaded. */
export const isFirst = ({ attached }: CommandIo, [, asked]: readonly number[]): boolean => Boolean(asked) && !attached

/** Takes what those that are attached have said before the end. */
export function hearLast({ attached }: CommandIo): void {
  // What was typed and not taken is in the way of more, the first time.
  for (let round = 0; attached && round < 2; round++) attached.advance(poll(attached.wanted(), 0))
}

/** Lets all in that wait still, though they see no more than the end. */
export async function attachWaiting(io: CommandIo, holder: Holder): Promise<void> {
  while (poll([{ fd: io.listener, events: POLLIN }], 0)[0]) {
    if (io.attached) io.attached.accept(io.listener)
    else await attachFirst(io, holder)
  }
}

/** Lets the first in. */
export async function attachFirst(io: CommandIo, holder: Holder): Promise<void> {
  const { createAttachServer } = await import("./attach-server.ts")
  io.attached = createAttachServer(io.target, holder)
  io.attached.accept(io.listener)
}
