/**
 * The supervisor's side of `toybox attach` (attach-protocol.ts). It holds the container's output back for a moment where one
 * that is attached does not take it, as a slow terminal does; who takes nothing for longer goes without, and is told.
 */
import { callResult, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { struct } from "../../ffi/calls.ts"
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from "../../ffi/constants/poll.ts"
import { SO_SNDBUFFORCE, SOCK_CLOEXEC, SOCK_NONBLOCK, SOL_SOCKET } from "../../ffi/constants/socket.ts"
import { close } from "../../ffi/fs.ts"
import { type PollFd, poll } from "../../ffi/poll.ts"
import { setWindowSize } from "../../ffi/tty.ts"
import {
  END,
  EXIT,
  FULL,
  HAS_TERMINAL,
  HELLO,
  HOLD,
  INPUT,
  MESSAGE,
  PASSED,
  RELEASE,
  SIZE,
  SKIPPED,
  STDERR,
  STDOUT,
  TAKES_INPUT,
  WHOLE,
} from "./attach-protocol.ts"
import type { Stream } from "./log-writer.ts"

/** Milliseconds without anything taken. */
const PATIENCE = 2000
/** With the supervisor's own they fit one poll. */
const MOST_CLIENTS = 8
/** Bytes that a socket may keep of what is said last; they take room only when they are there. */
const LAST_ROOM = 2 ** 26
const EAGAIN = -11

/** The container's terminal, or the write end of its standard input; null where there is none, or none any more. */
export interface Target {
  fd: number | null
  terminal: boolean
  /** What is typed is passed on. */
  typing: boolean
}

/** What who holds the container brings upon it. */
export interface Holder {
  /** He has gone. */
  lost(): void
  /** A signal is about to come of him; `deaf`: as SIGKILL. */
  passes(signal: number, deaf: boolean): void
}

interface Client {
  fd: number
  /** Messages that it has not taken yet. */
  pending: Uint8Array[]
  /** When it last took something, by performance.now. */
  since: number
  /** How much it goes without; null where it has got all. */
  skipped: number | null
  /** It has told the size of its terminal. */
  sized: boolean
  /** It is the container's foreground, which goes without nothing, */
  whole: boolean
  /** and maybe without which the container does not go on. */
  holds: boolean
}

interface Server {
  readonly target: Target
  readonly holder: Holder
  readonly clients: Client[]
  /** What has been typed and the container has not taken. */
  typed: Uint8Array
}

export interface AttachServer {
  /** Lets one in that waits at the listening socket. */
  accept(listener: number): void
  /** What to poll for. */
  wanted(): PollFd[]
  /** Goes on after that poll. */
  advance(events: readonly number[]): void
  /** Gives output to all; it is copied. */
  give(stream: Stream, bytes: Uint8Array): void
  /** Milliseconds in which no output is to be read, unless a poll tells of room before; null: it may be read. */
  held(): number | null
  /** Tells all that the container has ended, and what there is to say of that, and lets them go. */
  end(exitCode: number, text: string): void
}

const isThere = (client: Client) => client.fd >= 0
const isBehind = ({ skipped }: Client) => skipped !== null

function numbered(kind: number, size: number): Uint8Array {
  const bytes = new Uint8Array(5)
  bytes[0] = kind
  new DataView(bytes.buffer).setUint32(1, Math.min(size, 0xffffffff), true)
  return bytes
}

function drop(server: Server, client: Client): void {
  if (isThere(client)) close(client.fd)
  client.fd = -1
  client.pending = []
  if (client.holds) server.holder.lost()
  client.holds = false
}

/** Sends what it has room for. */
function flush(server: Server, client: Client): void {
  while (isThere(client)) {
    const next = client.skipped === null ? client.pending[0] : numbered(SKIPPED, client.skipped)
    if (next === undefined) return
    const sent = callResult("write", client.fd, next, next.length)
    if (sent === EAGAIN) return
    if (sent < 0) drop(server, client)
    client.since = performance.now()
    if (client.skipped === null) client.pending.shift()
    else client.skipped = null
  }
}

function send(server: Server, client: Client, message: Uint8Array): void {
  if (!isThere(client)) return
  if (client.pending.length === 0) client.since = performance.now()
  client.pending.push(message)
  if (client.pending.length === 1) flush(server, client)
}

/** Who has taken nothing for too long goes without what is pending, and keeps nobody waiting. */
function leaveBehind(client: Client): void {
  const { whole, pending, since, skipped } = client
  if (whole || pending.length === 0 || performance.now() - since < PATIENCE) return
  // But for how the container ended.
  client.pending = pending.filter(([kind]) => kind === EXIT)
  const dropped = pending.filter(([kind]) => kind !== EXIT)
  client.skipped = dropped.reduce((sum, { length }) => sum + length - 1, skipped ?? 0)
}

function accept(server: Server, listener: number): void {
  const fd = callResult("accept4", listener, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK)
  if (fd < 0) return
  const client: Client = { fd, pending: [], since: 0, skipped: null, sized: false, whole: false, holds: false }
  const { terminal, typing } = server.target
  if (server.clients.length < MOST_CLIENTS) {
    server.clients.push(client)
    send(server, client, Uint8Array.of(HELLO, (terminal ? HAS_TERMINAL : 0) | (typing ? TAKES_INPUT : 0)))
  } else {
    send(server, client, Uint8Array.of(FULL))
    drop(server, client)
  }
}

function give(server: Server, stream: Stream, bytes: Uint8Array): void {
  for (let from = 0; from < bytes.length; from += MESSAGE) {
    const part = bytes.subarray(from, from + MESSAGE)
    const message = new Uint8Array(1 + part.length)
    message[0] = stream === "stdout" ? STDOUT : STDERR
    message.set(part, 1)
    for (const client of server.clients) {
      if (client.skipped === null) send(server, client, message)
      else client.skipped += part.length
    }
  }
}

function held(server: Server): number | null {
  for (const client of server.clients) leaveBehind(client)
  const waiting = server.clients.filter(({ pending }) => pending.length > 0)
  if (waiting.length === 0) return null
  const first = Math.min(...waiting.map(({ since, whole }) => (whole ? performance.now() : since)))
  return Math.max(1, Math.ceil(first + PATIENCE - performance.now()))
}

/** The target's room, then the clients. */
function wanted({ target, clients, typed }: Server): PollFd[] {
  return [
    { fd: typed.length > 0 ? (target.fd ?? -1) : -1, events: POLLOUT },
    ...clients.map((client) => ({
      fd: client.fd,
      events: (typed.length > 0 ? 0 : POLLIN) | (client.pending.length > 0 || isBehind(client) ? POLLOUT : 0),
    })),
  ]
}

function passOn(server: Server): void {
  const { target, typed } = server
  if (target.fd === null) {
    server.typed = new Uint8Array(0)
    return
  }
  const size = callResult("write", target.fd, typed, typed.length)
  if (size === EAGAIN) return
  // A command that has closed its standard input takes no more.
  server.typed = size < 0 ? new Uint8Array(0) : typed.slice(size)
}

function resize({ target }: Server, client: Client, height: number, width: number): void {
  if (!target.terminal || target.fd === null) return
  // A program draws its screen anew when the size changes: for one that has just come it is made to.
  if (!client.sized) setWindowSize(target.fd, { height: height + 1, width: width + 1 })
  client.sized = true
  setWindowSize(target.fd, { height, width })
}

function receive(server: Server, client: Client): void {
  const size = callResult("read", client.fd, scratch.address, SCRATCH_SIZE)
  if (size === EAGAIN) return
  if (size <= 0) drop(server, client)
  const [kind] = scratch.bytes
  if (kind === SIZE && size === 5) {
    const { buffer, byteOffset } = scratch.bytes
    const view = new DataView(buffer, byteOffset)
    resize(server, client, view.getUint16(1, true), view.getUint16(3, true))
  } else if (size === 1 && (kind === WHOLE || kind === HOLD || kind === RELEASE)) {
    client.whole = kind !== RELEASE
    client.holds = kind === HOLD
  } else if (kind === PASSED && size === 3 && client.holds) {
    server.holder.passes(scratch.bytes[1] ?? 0, scratch.bytes[2] === 1)
  } else if (kind === INPUT && size > 1 && server.target.typing) {
    server.typed = scratch.bytes.slice(1, size)
    passOn(server)
  } else if (kind === END && size === 1 && !server.target.terminal && server.target.fd !== null) {
    close(server.target.fd)
    server.target.fd = null
  }
}

function advance(server: Server, [room = 0, ...events]: readonly number[]): void {
  if (room) passOn(server)
  server.clients.forEach((client, i) => {
    const happened = events[i] ?? 0
    if (happened & POLLOUT) flush(server, client)
    if (happened & POLLIN && server.typed.length === 0) receive(server, client)
    // With input to come a poll would tell of the end again and again.
    else if (happened & (POLLHUP | POLLERR) && isThere(client)) drop(server, client)
  })
  server.clients.splice(0, Infinity, ...server.clients.filter(isThere))
}

/** Who is behind finds what it has missed, and how the container ended, whenever it goes on reading. */
function leaveLastWords(server: Server, client: Client): void {
  callResult("setsockopt", client.fd, SOL_SOCKET, SO_SNDBUFFORCE, struct([4, LAST_ROOM]), 4)
  flush(server, client)
  drop(server, client)
}

function end(server: Server, exitCode: number, text: string): void {
  const { clients } = server
  const message = Uint8Array.of(EXIT, exitCode, ...new TextEncoder().encode(text))
  for (const client of clients) send(server, client, message)
  const wait = () => {
    for (const client of clients) leaveBehind(client)
    for (const client of clients.filter(isBehind)) leaveLastWords(server, client)
    return held(server)
  }
  for (let left = wait(); left !== null; left = wait()) advance(server, poll(wanted(server), left))
  for (const client of clients) drop(server, client)
}

/** Nobody is attached yet. `target` may change. */
export function createAttachServer(target: Target, holder: Holder): AttachServer {
  const server: Server = { target, holder, clients: [], typed: new Uint8Array(0) }
  return {
    accept: (listener) => accept(server, listener),
    wanted: () => wanted(server),
    advance: (events) => advance(server, events),
    give: (stream, bytes) => give(server, stream, bytes),
    held: () => held(server),
    end: (exitCode, text) => end(server, exitCode, text),
  }
}
