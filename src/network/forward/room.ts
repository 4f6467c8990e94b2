/** How many are served at once: as many as there are descriptors for, so that none of them is left without. */
import { callResult, scratch } from "../../../ffi/call.ts"
import { RLIMIT_NAMES } from "../../../ffi/constants/resource.ts"
import { rlimit } from "../../../ffi/structs.ts"

export interface Room {
  readonly connections: number
  /** Of datagrams. */
  readonly flows: number
}

// Two sockets, and a pipe for what is under way in each direction.
const OF_CONNECTION = 6
// Standard ones, Bun's, and some to look where the container is.
const OWN = 64
const MOST_FLOWS = 4096

/** What `limit` descriptors suffice for, of which `ports` are those of published ports. */
export function roomIn(limit: number, { ports, datagrams }: { ports: number; datagrams: boolean }): Room {
  const free = Math.max(0, limit - OWN - ports)
  const flows = datagrams ? Math.max(1, Math.min(MOST_FLOWS, free >> 2)) : 0
  return { flows, connections: Math.max(1, Math.floor((free - flows) / OF_CONNECTION)) }
}

const NOFILE = RLIMIT_NAMES.indexOf("RLIMIT_NOFILE")
const WANTED = 1 << 16

/** How many descriptors this process may have, and more where it may: whoever has started the container had few, perhaps. */
export function descriptorLimit(): number {
  const limit = () => (callResult("prlimit64", 0, NOFILE, null, scratch.address) < 0 ? 0 : scratch.word(0))
  if (limit() < WANTED) callResult("prlimit64", 0, NOFILE, rlimit(WANTED, WANTED), null)
  return limit()
}
