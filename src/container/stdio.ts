/**
 * How the command's 0, 1 and 2 are connected. Pipes and sockets of the caller are passed on as they are; a terminal of the caller
 * never is (CVE-2017-5226: TIOCSTI), nor what has a place in its file system (caller-files.ts), but is copied to and from.
 */
import { call } from "../../ffi/call.ts"
import { AT_FDCWD, F_SETFL, O_CLOEXEC, O_NONBLOCK, O_RDWR } from "../../ffi/constants/fcntl.ts"
import { errnoName } from "../../ffi/errno.ts"
import { close } from "../../ffi/fs.ts"
import { pipe, socketPair } from "../../ffi/pipe.ts"
import { rawSettings, setTerminalSettings, setWindowSize, terminalSettings, windowSize } from "../../ffi/tty.ts"
import { notice } from "../log.ts"
import type { Facts } from "../plan/facts.ts"
import { type CallerKind, callerKind, isSameFile, readOnlyView } from "./caller-files.ts"
import { detachFilter } from "./detach-keys.ts"
import { createPump, type Pump, writeTo } from "./pump.ts"

export interface Stdio {
  /** What the plan needs. */
  facts: Facts["stdio"]
  /** Ends that belong to the child, to be closed after the clone. */
  childEnds: number[]
  /** Running already, where there is no terminal to wait for. */
  pumps: Pump[]
  /** With a terminal: where its master comes. */
  socket: number | null
  /** To be called when the command has ended. */
  ended?: () => void
}

export interface StdioRequest {
  terminal: boolean
  /** Standard input is passed on even if it is a terminal. */
  interactive: boolean
  /** Which streams the caller has; not given: all. */
  attach?: readonly StreamName[] | undefined
}

export type StreamName = "stdin" | "stdout" | "stderr"

const EPIPE = 32

/** What has a place in the caller's file system. */
const isCopied = (kind: CallerKind) => kind === "file" || kind === "named"

/** Connects a command without a terminal of its own. */
function plain({ interactive, attach }: StdioRequest): Stdio {
  const has = (name: StreamName) => attach?.includes(name) ?? true
  const childEnds: number[] = []
  const pumps: Pump[] = []
  const output = (fd: number, kind: CallerKind): number | null => {
    if (kind === "null") return null
    if (kind === "other") return fd
    const [from, to] = pipe()
    childEnds.push(to)
    const ended = (_: boolean, errno: number) => {
      close(from)
      // That nobody reads is no news.
      if (errno !== 0 && errno !== EPIPE) notice(`standard ${fd === 1 ? "output" : "error"}: ${errnoName(errno)}`)
    }
    pumps.push(createPump({ from, to: fd, ended, toFile: kind === "file" }))
    return to
  }
  const kindIf = (name: StreamName, fd: number): CallerKind => (has(name) ? callerKind(fd) : "null")
  const [inKind, outKind, errKind] = [kindIf("stdin", 0), kindIf("stdout", 1), kindIf("stderr", 2)]
  const view = inKind === "file" ? readOnlyView(0) : null
  const input = (): number | null => {
    if (inKind === "other") return 0
    if (view) return view.fd
    if (inKind === "null" || (inKind === "terminal" && !interactive)) return null
    const [from, to] = pipe()
    childEnds.push(from)
    pumps.push(createPump({ from: 0, to, ended: () => close(to) }))
    return from
  }
  const out = output(1, outKind)
  // With one pipe for both, what is written to them stays in its order.
  const err = isCopied(outKind) && outKind === errKind && isSameFile(1, 2) ? out : output(2, errKind)
  const ended = view ? { ended: view.ended } : {}
  return { facts: [input(), out, err], childEnds, pumps, socket: null, ...ended }
}

/** Prepares the command's standard descriptors. */
export function openStdio(request: StdioRequest): Stdio {
  if (!request.terminal) return plain(request)
  const [socket, socketFd] = socketPair()
  return { facts: { socketFd }, childEnds: [socketFd], pumps: [], socket }
}

/** The caller's terminal while the command has one of its own. */
export interface Attached {
  pumps: Pump[]
  /** After SIGWINCH. */
  resize(): void
  /** Gives the caller's terminal its settings back. */
  restore(): void
}

const NEWLINE = 10
const END_OF_FILE = 4

/** See watchInput. */
export interface InputWatch {
  /** What is passed on. */
  filter: (bytes: Uint8Array) => Uint8Array
  /** What tells its end. */
  end: () => Uint8Array
}

/**
 * Keeps an eye on input that is no terminal's. What tells a command that it has ended is the end-of-file character of the
 * command's own terminal: at the beginning of a line one, in the middle of it two, the first of which sends the line off.
 */
export function watchInput(): InputWatch {
  let last = NEWLINE
  const filter = (bytes: Uint8Array) => {
    last = bytes.at(-1) ?? last
    return bytes
  }
  return { filter, end: () => Uint8Array.from(last === NEWLINE ? [END_OF_FILE] : [END_OF_FILE, END_OF_FILE]) }
}

/** Connects the caller with the master of the command's terminal. */
export function attachTerminal(
  master: number,
  options: { input: boolean; shown?: boolean; detachKeys: readonly number[]; detached: () => void },
): Attached {
  let saved = options.input ? terminalSettings(0) : null
  let open = true
  const restore = () => {
    if (saved) setTerminalSettings(0, saved)
    saved = null
  }
  // A write that waits for room would keep toybox from reading what the command writes, which then reads no more either.
  call("fcntl", master, F_SETFL, O_RDWR | O_NONBLOCK)
  // What nobody wants to see is read all the same.
  const to = (options.shown ?? true) ? 1 : call("openat", AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0)
  const pumps = [createPump({ from: master, to, ended: (refused) => refused && hangUp() })]
  if (options.input) {
    const watch = watchInput()
    const ended = (refused: boolean) => !refused && writeTo(master, watch.end())
    const leave = () => {
      typing.done = true
      restore()
      options.detached()
    }
    const keys = saved && options.detachKeys.length > 0 ? detachFilter(options.detachKeys, leave) : null
    const typed = (bytes: Uint8Array) => {
      const kept = keys ? keys(bytes) : watch.filter(bytes)
      // What came before the keys is the command's.
      if (typing.done) writeTo(master, kept)
      return kept
    }
    const typing = createPump({ from: 0, to: master, ended, filter: typed })
    pumps.push(typing)
  }
  // Nobody reads any more: a command that goes on writing must not wait for ever, and learns it as of any closed terminal.
  const hangUp = () => {
    open = false
    close(master)
    for (const pump of pumps) pump.done = true
  }
  const resize = () => {
    const size = windowSize(1) ?? windowSize(0)
    if (size && open) setWindowSize(master, size)
  }
  if (saved) setTerminalSettings(0, rawSettings(saved))
  // The size may have changed since the container asked for its own.
  resize()
  return {
    pumps,
    resize,
    restore,
  }
}
