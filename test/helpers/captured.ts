/** What a program sends over netlink, as strace(1) sees it. */
import { decodeAttributes } from "../../ffi/netlink/attributes.ts"
import { decodeMessages, encodeMessages, type Message } from "../../ffi/netlink/messages.ts"

/**
 * Attributes by type, in its order: those that have attributes of their own are trees, others hexadecimal without what pads.
 * One that is 0 may as well be left out.
 */
export type Tree = readonly (readonly [type: number, value: string | Tree])[]

/** A request in a form that can be compared. */
export interface Shown {
  type: number
  /** The fixed header of its kind. */
  header: string
  attributes: Tree
}

/** What has to be known of the messages of a protocol. */
export interface Protocol {
  /** Bytes of the fixed header, by the type of message. */
  header(type: number): number
  /** For the attribute at a path of types, in a type of message: the bytes before the attributes that it has, or null. */
  nest(type: number, path: readonly number[]): number | null
}

/** Runs a command and gives what it sends by sendmsg(2) and sendto(2): the bytes of each call. Throws where the command fails. */
export function capture(command: readonly string[], stdin = ""): Uint8Array[] {
  const strace = ["strace", "-f", "-qq", "-e", "trace=sendmsg,sendto", "-e", "signal=none", "-e", "write=all"]
  const { stdout, stderr, exitCode } = Bun.spawnSync(["timeout", "-k", "1", "20", ...strace, ...command], {
    stdin: new TextEncoder().encode(stdin),
  })
  const text = stderr.toString()
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${text}${stdout}`)
  const sent: string[][] = []
  for (const line of text.split("\n")) {
    if (/^(\[pid +\d+\] )?send(msg|to)\(/.test(line)) sent.push([])
    const dump = /^ \| [0-9a-f]{5} {2}([0-9a-f ]{48,49})/.exec(line)?.[1]
    if (dump !== undefined) sent.at(-1)?.push(dump.replaceAll(" ", ""))
  }
  return sent.map((lines) => Uint8Array.fromHex(lines.join("")))
}

// The NUL of a string may be there or not.
const leaf = (data: Uint8Array) => data.toHex().replace(/(00)+$/, "")

function treeOf(data: Uint8Array, kind: number, protocol: Protocol, path: readonly number[] = []): Tree {
  return decodeAttributes(data)
    .map(({ type, data }) => {
      const own = [...path, type]
      const before = protocol.nest(kind, own)
      return [type, before === null ? leaf(data) : treeOf(data.subarray(before), kind, protocol, own)] as const
    })
    .filter(([, value]) => value !== "")
    .sort(([a], [b]) => a - b)
}

/** The requests in some bytes. */
export const requestsIn = (bytes: Uint8Array, protocol: Protocol): Shown[] =>
  decodeMessages(bytes).map(({ type, payload }) => {
    const size = protocol.header(type)
    return {
      type,
      header: payload.subarray(0, size).toHex(),
      attributes: treeOf(payload.subarray(size), type, protocol),
    }
  })

/** Requests of ours, in the same form. */
export const requestsOf = (messages: readonly Message[], protocol: Protocol): Shown[] =>
  requestsIn(encodeMessages(messages, 1), protocol)
