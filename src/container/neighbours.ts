/**
 * Containers of a network that somebody has made know one another by name and alias: through their hosts(5) files, which are
 * kept up to date in place, because the containers have them mounted.
 */
import { call, callResult, failure } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK, O_RDWR, SEEK_SET } from "../../ffi/constants/fcntl.ts"
import { close, readAll, writeAll } from "../../ffi/fs.ts"
import { DEFAULT_NETWORK } from "../network/default.ts"
import type { Endpoint } from "../network/endpoint.ts"
import { withNetworksLocked } from "../network/lock.ts"
import type { Paths } from "../paths.ts"
import { hosts } from "./files.ts"
import { containerPath, type RunningRecord, readHead, readRecord, readRunning, runningIds } from "./state.ts"

const MARK = "# Neighbours in networks, kept up to date by toybox. Lines below this one do not last.\n"

const ENOENT = -2
const ENOTDIR = -20

const NONE: ReadonlySet<string> = new Set()

interface Member {
  id: string
  name: string
  record: RunningRecord
}

const named = (record: RunningRecord | null): readonly Endpoint[] =>
  (record?.networks ?? []).filter(({ network }) => network !== DEFAULT_NETWORK)

/** A container's own addresses that have come since its start, by the name that the others have there. */
function ownLines({ id, record }: Member, own: string): string[] {
  const names = new Map(own.split("\n").map((line) => [line.split("\t")[0], line.split("\t")[1]]))
  const addresses = addressesOf(record)
  const name = addresses.map((address) => names.get(address)).find(Boolean) ?? id.slice(0, 12)
  return addresses.filter((address) => !names.has(address)).map((address) => `${address}\t${name}\n`)
}

/** The lines of one container's neighbours, and of itself by its names there. */
function linesFor({ record }: Member, members: readonly Member[]): string[] {
  return named(record).flatMap(({ networkId }) =>
    members.flatMap((other) =>
      named(other.record)
        .filter((endpoint) => endpoint.networkId === networkId)
        .flatMap(({ ip, ip6, aliases = [] }) => {
          const names = [...new Set([other.name, ...aliases, other.id.slice(0, 12)])].join(" ")
          return [ip, ip6].flatMap((address) => (address === undefined ? [] : [`${address}\t${names}\n`]))
        }),
    ),
  )
}

// A container may write to the file what it likes; who has that many hosts would keep them elsewhere.
const MOST_BYTES = 1 << 20

const addressesOf = ({ networks = [] }: RunningRecord) =>
  networks.flatMap(({ ip, ip6 }) => (ip6 === undefined ? [ip] : [ip, ip6]))

/** What is in the file; what toybox gave the container, by its name, where it has made it too large. */
function textOf(fd: number, paths: Paths, { id, record }: Member): string {
  const bytes = readAll(fd, MOST_BYTES + 1)
  if (bytes.length <= MOST_BYTES) return new TextDecoder().decode(bytes)
  return hosts(readRecord(paths, id)?.spec.hostname ?? id.slice(0, 12), addressesOf(record))
}

/** `gone`: addresses that the container itself does not have any more. */
function rewrite(paths: Paths, member: Member, neighbours: readonly string[], gone: ReadonlySet<string>): void {
  const path = `${containerPath(paths, member.id)}/hosts`
  const fd = callResult("openat", AT_FDCWD, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
  // Just being made, or removed.
  if (fd === ENOENT || fd === ENOTDIR) return
  if (fd < 0) throw failure("open", fd, path)
  try {
    rewriteOpen(fd, textOf(fd, paths, member), member, neighbours, gone)
  } finally {
    close(fd)
  }
}

function rewriteOpen(
  fd: number,
  text: string,
  member: Member,
  neighbours: readonly string[],
  gone: ReadonlySet<string>,
): void {
  const mark = text.indexOf(MARK)
  const own = (mark < 0 ? text : text.slice(0, mark))
    .split("\n")
    .filter((line) => !gone.has(line.split("\t")[0] ?? ""))
    .join("\n")
  const below = [...ownLines(member, own), ...neighbours]
  const lines = below.length === 0 ? "" : `${MARK}${below.join("")}`
  const wanted = `${own}${own === "" || own.endsWith("\n") || lines === "" ? "" : "\n"}${lines}`
  if (wanted === text) return
  const bytes = new TextEncoder().encode(wanted)
  call("lseek", fd, 0, SEEK_SET)
  writeAll(fd, bytes)
  // Last, so that a reader meanwhile finds lines that were true a moment ago.
  callResult("ftruncate", fd, bytes.length)
}

/**
 * After a container with these places has come, gone, or been renamed. Does nothing where all are in the default network.
 * `left`: one that runs, and has left these places.
 */
export function tellNeighbours(paths: Paths, endpoints: readonly Endpoint[], left?: string): void {
  const changed = new Set(endpoints.filter(({ network }) => network !== DEFAULT_NETWORK).map((one) => one.networkId))
  if (changed.size === 0) return
  const gone = new Set(endpoints.flatMap(({ ip, ip6 }) => (ip6 === undefined ? [ip] : [ip, ip6])))
  withNetworksLocked(paths, () => {
    const members = runningIds(paths).flatMap((id): Member[] => {
      const record = readRunning(paths, id)
      return record && (named(record).length > 0 || id === left)
        ? [{ id, name: readHead(paths, id)?.name ?? record.name, record }]
        : []
    })
    for (const member of members)
      if (member.id === left || named(member.record).some(({ networkId }) => changed.has(networkId)))
        rewrite(paths, member, linesFor(member, members), member.id === left ? gone : NONE)
  })
}
