/** A terminal, or pipes, of the caller's at a container that runs in the background (attach-protocol.ts). */
import { call, callResult, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { F_SETFL, O_NONBLOCK, O_RDWR } from "../../ffi/constants/fcntl.ts"
import { POLLIN, POLLOUT } from "../../ffi/constants/poll.ts"
import { SIGCHLD, SIGWINCH } from "../../ffi/constants/signal.ts"
import { SOCK_SEQPACKET } from "../../ffi/constants/socket.ts"
import { errnoName, isErrno } from "../../ffi/errno.ts"
import { close } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { readSignals } from "../../ffi/signal.ts"
import { rawSettings, setTerminalSettings, terminalSettings, windowSize } from "../../ffi/tty.ts"
import { connectUnix } from "../../ffi/unix.ts"
import { EXIT_UNREAD, ToyboxError } from "../errors.ts"
import { notice, print } from "../log.ts"
import type { Paths } from "../paths.ts"
import * as protocol from "./attach-protocol.ts"
import { detachFilter } from "./detach-keys.ts"
import { recordEvents } from "./events.ts"
import { isDeaf, passOn, sendSignal } from "./pass-signal.ts"
import { findRunning, Paused } from "./running.ts"
import { isLeftPaused } from "./standstill.ts"
import { readHead, readResult } from "./state.ts"
import { type InputWatch, watchInput } from "./stdio.ts"
import { ENDING } from "./supervise.ts"
import { awaitEnd } from "./wait.ts"

export interface AttachOptions {
  /** Standard input is passed on. */
  input: boolean
  /** So is its end. */
  inputEnd: boolean
  /** Signals are passed on, where the container has no terminal. */
  sigProxy: boolean
  detachKeys: readonly number[]
  /** The caller's descriptors that are left alone: what comes for them is not shown. */
  hidden?: readonly number[]
  /** The container waits for all that it writes to be taken. */
  whole?: boolean
  /** It is this toybox's, too: it ends with it, unless one detaches, and signals are passed on in any case. */
  holds?: boolean
}

const EAGAIN = -11
const ECONNRESET = -104
/** Nobody reads there any more: EPIPE, and EIO of a terminal. */
const GONE = [-32, -5]
// POLLOUT promises this much of a pipe without blocking: pipe(7).
const MOST_WRITTEN = 4096
// A command without a handler never sees them (as PID 1): the caller must not be kept for ever.
const INSISTENCE = 3
const LEAVES = `${INSISTENCE - 1} more of them leave it to itself, toybox stop ends it`

/** A connection to a container's supervisor. */
export function connectTo(paths: Paths, id: string): number {
  const socket = connectUnix(protocol.attachPath(paths, id), SOCK_SEQPACKET)
  call("fcntl", socket, F_SETFL, O_RDWR | O_NONBLOCK)
  return socket
}

async function connect(paths: Paths, reference: string): Promise<{ id: string; socket: number }> {
  const { id, running } = await findRunning(paths, reference)
  if (!running.supervisor)
    throw new ToyboxError(`container ${reference} runs in the foreground of another toybox`, {
      hint: `toybox exec -it ${reference} sh gives a shell in it`,
    })
  if (isLeftPaused(paths, id, running)) throw new Paused(reference)
  try {
    return { id, socket: connectTo(paths, id) }
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ECONNREFUSED"))
      throw new ToyboxError(`container ${reference} has ended`)
    throw error
  }
}

/** What goes on between the caller and the supervisor. */
interface Session {
  readonly socket: number
  readonly detachKeys: readonly number[]
  /** What comes for these is not shown. */
  readonly hidden: number[]
  /** What is read of standard input, until that has ended. */
  input: boolean
  readonly inputEnd: boolean
  readonly watch: InputWatch
  /** A message that the supervisor has not taken yet. */
  typed: Uint8Array | null
  /** What the caller has not taken yet. */
  shown: { fd: number; bytes: Uint8Array } | null
  /** The caller's terminal as it was, while it is raw. */
  saved: Uint8Array | null
  /** Whether the container has one; null until the supervisor has said so. */
  terminal: boolean | null
  filter: ((bytes: Uint8Array) => Uint8Array) | null
  /** Why it is over: an exit code, or null where that is to be looked up; what there is to say of it. */
  over: { code: number | null; text?: string; detached?: true } | null
}

const BEGINNING = { typed: null, shown: null, saved: null, terminal: null, filter: null, over: null }

/** Sends a message; the rest of the input waits until it is taken. */
function send(session: Session, message: Uint8Array): void {
  const size = callResult("write", session.socket, message, message.length)
  session.typed = size === EAGAIN ? message : null
}

function sendSize(session: Session): void {
  const size = session.terminal ? (windowSize(1) ?? windowSize(0)) : null
  if (!size) return
  const message = new Uint8Array(5)
  const view = new DataView(message.buffer)
  message[0] = protocol.SIZE
  view.setUint16(1, size.height, true)
  view.setUint16(3, size.width, true)
  callResult("write", session.socket, message, message.length)
}

function begin(session: Session, flags: number): void {
  session.terminal = (flags & protocol.HAS_TERMINAL) !== 0
  session.input &&= (flags & protocol.TAKES_INPUT) !== 0
  const settings = session.terminal && session.input ? terminalSettings(0) : null
  if (settings) {
    setTerminalSettings(0, rawSettings(settings))
    session.saved = settings
    if (session.detachKeys.length > 0)
      session.filter = detachFilter(session.detachKeys, () => {
        session.over = { code: 0, detached: true }
      })
  }
  sendSize(session)
}

function skipped(bytes: Uint8Array): Uint8Array {
  const count = new DataView(bytes.buffer).getUint32(0, true)
  return new TextEncoder().encode(`\r\n[${count} bytes came while nothing was read here: toybox logs has them]\r\n`)
}

/** Takes a message of the supervisor's. */
function receive(session: Session): void {
  const size = callResult("read", session.socket, scratch.address, SCRATCH_SIZE)
  // A supervisor that has ended did so without reading what was sent last: what it said before comes after that.
  if (size === EAGAIN || size === ECONNRESET) return
  if (size <= 0) {
    session.over = { code: null }
    return
  }
  const [kind, first = 0] = scratch.bytes
  if (kind === protocol.HELLO) begin(session, first)
  else if (kind === protocol.STDOUT) session.shown = { fd: 1, bytes: scratch.bytes.slice(1, size) }
  else if (kind === protocol.STDERR) session.shown = { fd: 2, bytes: scratch.bytes.slice(1, size) }
  else if (kind === protocol.SKIPPED) session.shown = { fd: 2, bytes: skipped(scratch.bytes.slice(1, size)) }
  else if (kind === protocol.EXIT)
    session.over = { code: first, text: new TextDecoder().decode(scratch.bytes.subarray(2, size)) }
  else if (kind === protocol.FULL)
    throw new ToyboxError("as many are attached to the container as can be", {
      hint: "toybox logs -f shows its output",
    })
}

const inputOf = (bytes: Uint8Array) => Uint8Array.of(protocol.INPUT, ...bytes)

function readInput(session: Session): void {
  const size = callResult("read", 0, scratch.address, protocol.MESSAGE)
  if (size === EAGAIN) return
  if (size <= 0) {
    session.input = false
    if (!session.inputEnd) return
    // A terminal of the container's has no end, but a character for it.
    send(session, session.terminal ? inputOf(session.watch.end()) : Uint8Array.of(protocol.END))
    return
  }
  const bytes = session.watch.filter(scratch.bytes.slice(0, size))
  const passed = session.filter ? session.filter(bytes) : bytes
  if (passed.length > 0) send(session, inputOf(passed))
}

function show(session: Session): void {
  const { shown, hidden } = session
  if (!shown) return
  if (hidden.includes(shown.fd)) {
    session.shown = null
    return
  }
  const size = callResult("write", shown.fd, shown.bytes, Math.min(shown.bytes.length, MOST_WRITTEN))
  if (size === EAGAIN) return
  if (GONE.includes(size)) session.over = { code: EXIT_UNREAD }
  else if (size < 0) {
    // A full disk, say, is no reason for the container to end.
    notice(`standard ${shown.fd === 1 ? "output" : "error"}: ${errnoName(-size)}`)
    hidden.push(shown.fd)
    session.shown = null
    return
  }
  const bytes = shown.bytes.subarray(size)
  session.shown = bytes.length > 0 ? { fd: shown.fd, bytes } : null
}

/** Sends a message whatever else is under way. */
function sendAtLast(session: Session, message: Uint8Array): void {
  for (const one of session.typed ? [session.typed, message] : [message])
    while (callResult("write", session.socket, one, one.length) === EAGAIN)
      poll([{ fd: session.socket, events: POLLOUT }], null)
}

/** Passes signals on, or lets them end this; the container goes on then. */
function onSignals(session: Session, signals: readonly number[], pass: ((signal: number) => void) | null): void {
  for (const signal of signals) {
    if (signal === SIGCHLD) continue
    if (signal === SIGWINCH) sendSize(session)
    else if (pass) pass(signal)
    else if (ENDING.has(signal)) session.over = { code: 128 + signal }
  }
}

/** Waits for something to happen, and does what it asks for. */
function step(session: Session, signalFd: number, pass: ((signal: number) => void) | null): void {
  const { socket, shown, typed, input, terminal } = session
  const reading = shown ? 0 : POLLIN
  const writing = typed ? POLLOUT : 0
  const [signalled, moved = 0, room, came] = poll(
    [
      { fd: signalFd, events: POLLIN },
      // Its end is told whatever is asked for, and may have to wait.
      { fd: reading + writing > 0 ? socket : -1, events: reading | writing },
      { fd: shown ? shown.fd : -1, events: POLLOUT },
      { fd: input && terminal !== null && !typed ? 0 : -1, events: POLLIN },
    ],
    null,
  )
  if (signalled) onSignals(session, readSignals(signalFd), pass)
  if (room) show(session)
  if (came) readInput(session)
  if (moved && typed) send(session, typed)
  if (moved && !shown) receive(session)
}

/** How a container ended whose supervisor has said nothing: as when it was killed, and the container with it. */
function lookUp(paths: Paths, reference: string, id: string): number {
  const exitCode = awaitEnd(paths, id, reference)
  const error = readResult(paths, id)?.error
  if (error !== undefined) notice(`container ${reference}: ${error}`)
  return exitCode
}

/**
 * Stays with a container until it ends, and returns its exit code; or until the keys for detaching are typed (0).
 * `signalFd` is of takeSignals. Throws ToyboxError where it does not run in the background.
 */
export const attach = async (paths: Paths, name: string, options: AttachOptions, signalFd: number): Promise<number> =>
  stayWith(paths, name, await connect(paths, name), options, signalFd)

/** The same over a connection that is there (connectTo). */
export function stayWith(
  paths: Paths,
  reference: string,
  { id, socket }: { id: string; socket: number },
  options: AttachOptions,
  signalFd: number,
): number {
  const head = readHead(paths, id)
  const tell = (action: "attach" | "detach") => {
    if (head) recordEvents(paths, head, [action])
  }
  const { detachKeys, input, inputEnd } = options
  const hidden = [...(options.hidden ?? [])]
  const session: Session = { socket, detachKeys, hidden, input, inputEnd, watch: watchInput(), ...BEGINNING }
  if (options.whole) sendAtLast(session, Uint8Array.of(options.holds ? protocol.HOLD : protocol.WHOLE))
  if (!options.holds) tell("attach")
  let insisted = 0
  let escalated: number | null = null
  const pass = (signal: number) => {
    if (options.holds) escalated = passOn(paths, id, signal, (message) => sendAtLast(session, message)) ?? escalated
    else if (ENDING.has(signal) && ++insisted >= INSISTENCE) session.over = { code: 128 + signal }
    else {
      if (insisted === 1 && isDeaf(paths, id, signal))
        notice(`the command never sees ${ENDING.get(signal)}, for which it has no handler: ${LEAVES}`)
      sendSignal(paths, id, signal)
    }
  }
  try {
    while (!session.over) {
      const passes = options.holds || (options.sigProxy && session.terminal === false)
      step(session, signalFd, passes ? pass : null)
    }
    if (session.over.detached && options.holds) sendAtLast(session, Uint8Array.of(protocol.RELEASE))
  } finally {
    if (session.saved) setTerminalSettings(0, session.saved)
    close(socket)
  }
  const { code, text, detached } = session.over
  if (text) notice(text)
  if (detached) {
    // The cursor is where the container's last line ends.
    print([""])
    tell("detach")
    notice(`detached from ${reference}, which goes on`)
  }
  return escalated === null ? (code ?? lookUp(paths, reference, id)) : 128 + escalated
}
