/** Who has a port of the host: /proc/net/{tcp,udp}* gives the socket's inode, /proc/PID/fd whose it is. proc_net(5). */

import { listDir } from "../../ffi/directory.ts"
import { isErrno } from "../../ffi/errno.ts"
import { readLink, tryReadText } from "../../ffi/fs.ts"
import { formatIp, parseIp } from "./ip.ts"
import type { Protocol } from "./ports.ts"

/** A process that has a socket on the port; the pid is null where it is in another PID namespace, or nobody's. */
export interface PortHolder {
  pid: number | null
  /** As /proc/PID/comm has it; empty where the process is not known. */
  command: string
  /** What it listens on. */
  address: string
}

// TCP_LISTEN of tcp_states.h. A UDP socket that is not connected is in TCP_CLOSE.
const LISTENING = { tcp: "0A", udp: "07" }

/** An address of /proc/net: words of 32 bits in the machine's byte order, which is little-endian. */
function decodeAddress(hex: string): Uint8Array {
  const bytes = Uint8Array.fromHex(hex)
  for (let i = 0; i < bytes.length; i += 4) bytes.subarray(i, i + 4).reverse()
  return bytes
}

const isAny = (bytes: Uint8Array) => bytes.every((byte) => byte === 0)

/** Whether a socket on `bytes` is in the way of `address`. One on :: takes IPv4, too, unless it says otherwise. */
function inTheWay(bytes: Uint8Array, address: string | null): boolean {
  return address === null || isAny(bytes) || formatIp(bytes) === formatIp(parseIp(address) ?? new Uint8Array(4))
}

interface Socket {
  address: string
  inode: string
}

/** The first listening socket of a /proc/net table that is in the way. */
export function findSocket(
  table: string,
  protocol: "tcp" | "udp",
  address: string | null,
  port: number,
): Socket | null {
  for (const line of table.split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/)
    const [hex = "", localPort = ""] = (fields[1] ?? "").split(":")
    if (fields[3] !== LISTENING[protocol] || Number.parseInt(localPort, 16) !== port) continue
    const bytes = decodeAddress(hex)
    if (inTheWay(bytes, address)) return { address: formatIp(bytes), inode: fields[9] ?? "" }
  }
  return null
}

function descriptors(pid: string): string[] {
  try {
    return listDir(`/proc/${pid}/fd`)
  } catch (error) {
    // It has ended, or is somebody else's.
    if (isErrno(error, "ESRCH", "EACCES", "EPERM")) return []
    throw error
  }
}

function ownerOf(inode: string): { pid: number; command: string } | null {
  for (const pid of listDir("/proc")) {
    if (!/^\d+$/.test(pid)) continue
    const has = descriptors(pid).some((fd) => readLink(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`)
    if (has) return { pid: Number(pid), command: (tryReadText(`/proc/${pid}/comm`) ?? "").trim() }
  }
  return null
}

/**
 * Who listens on a port of this network namespace, at `address` or, where that is null, at any; null where nobody is seen
 * to: sockets that are only bound are in no table. Costs a look at every descriptor of every process.
 */
export function portHolder(protocol: Protocol, address: string | null, port: number): PortHolder | null {
  if (protocol === "sctp") return null
  for (const table of [protocol, `${protocol}6`]) {
    const socket = findSocket(tryReadText(`/proc/net/${table}`) ?? "", protocol, address, port)
    if (socket === null) continue
    const owner = ownerOf(socket.inode)
    return { pid: owner?.pid ?? null, command: owner?.command ?? "", address: socket.address }
  }
  return null
}
