/**
 * What a container changed in its root, from its overlay's upper directory: overlayfs.rst, "whiteouts and opaque
 * directories". The container may run and change it meanwhile, so that nothing of it is followed.
 */
import { callResult, failure, SCRATCH_SIZE, scratch } from "../../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { S_IFCHR, S_IFMT } from "../../../ffi/constants/stat.ts"
import { close, isDirectory, listEntries, lstat, type Stat } from "../../../ffi/fs.ts"
import { overlayLayout } from "../../overlay/layout.ts"
import type { Paths } from "../../paths.ts"
import { type ContainerRecord, containerPath } from "../state.ts"

export interface Change {
  /** Docker's letters: added, changed, deleted. */
  kind: "A" | "C" | "D"
  path: string
}

const ENOENT = -2
const ENOTDIR = -20
const ELOOP = -40

const toName = (text: string) => Buffer.from(`${text}\0`, "latin1")
const isWhiteout = ({ mode, rdevMajor, rdevMinor }: Stat) =>
  (mode & S_IFMT) === S_IFCHR && rdevMajor === 0 && rdevMinor === 0

function isOpaque(path: string | number): boolean {
  const length =
    typeof path === "number"
      ? callResult("fgetxattr", path, "trusted.overlay.opaque", scratch.address, SCRATCH_SIZE)
      : callResult("lgetxattr", toName(path), "trusted.overlay.opaque", scratch.address, SCRATCH_SIZE)
  return length === 1 && scratch.bytes[0] === 0x79
}

/** What the layers below show at a path (its components); null for nothing. */
function below(layers: readonly string[], components: readonly string[]): Stat | null {
  for (const layer of layers) {
    let path = layer
    let hides = false
    let found: Stat | null = null
    for (const [depth, component] of components.entries()) {
      path += `/${component}`
      found = lstat(toName(path))
      if (found === null) break
      if (isWhiteout(found)) return null
      if (depth < components.length - 1 && !isDirectory(found)) return null
      if (isDirectory(found) && isOpaque(path)) hides = true
    }
    if (found !== null) return found
    if (hides) return null
  }
  return null
}

/** The names that the layers below show in a directory. */
function namesBelow(layers: readonly string[], components: readonly string[]): string[] {
  const names = new Set<string>()
  for (const layer of layers) {
    const path = [layer, ...components].join("/")
    const fd = callResult("openat", AT_FDCWD, toName(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
    if (fd < 0) continue
    for (const { name } of listEntries(fd)) names.add(Buffer.from(name.subarray(0, -1)).toString("latin1"))
    close(fd)
  }
  return [...names].filter((name) => below(layers, [...components, name]) !== null)
}

const differs = (a: Stat, b: Stat) => a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid

function walk(dirFd: number, at: readonly string[], layers: readonly string[], ours: ReadonlySet<string>): Change[] {
  const here: Change[] = []
  const names = listEntries(dirFd).map(({ name }) => Buffer.from(name.subarray(0, -1)).toString("latin1"))
  for (const name of names.sort()) {
    const components = [...at, name]
    const path = `/${components.join("/")}`
    const stat = lstat(toName(name), dirFd)
    if (stat === null) continue // Gone since it was listed.
    const under = below(layers, components)
    if (isWhiteout(stat)) {
      if (under !== null) here.push({ kind: "D", path })
      continue
    }
    // What was made to mount on, before the command ran.
    const isMountPoint = ours.has(path)
    if (!isDirectory(stat)) {
      if (!isMountPoint) here.push({ kind: under === null ? "A" : "C", path })
      continue
    }
    const fd = callResult("openat", dirFd, toName(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
    if (fd === ENOENT || fd === ENOTDIR || fd === ELOOP) continue // Became something else since.
    if (fd < 0) throw failure("openat", fd, path)
    try {
      const isNew = under === null || !isDirectory(under)
      const inner = walk(fd, components, isNew ? [] : layers, ours)
      if (!isNew && isOpaque(fd)) {
        const kept = new Set(inner.map((change) => change.path))
        for (const hidden of namesBelow(layers, components)) {
          const hiddenPath = `${path}/${hidden}`
          if (!kept.has(hiddenPath)) inner.push({ kind: "D", path: hiddenPath })
        }
      }
      const isOwn = isMountPoint || [...ours].some((mount) => mount.startsWith(`${path}/`))
      if (isNew && (!isOwn || inner.length > 0)) here.push({ kind: under === null ? "A" : "C", path })
      if (!isNew && (inner.length > 0 || differs(stat, under))) here.push({ kind: "C", path })
      here.push(...inner)
    } finally {
      close(fd)
    }
  }
  return here
}

/** The changes of a container, sorted by path; names are binary strings (one character a byte). */
export function changesOf(paths: Paths, record: ContainerRecord): Change[] {
  const { upper } = overlayLayout(containerPath(paths, record.id))
  const fd = callResult("openat", AT_FDCWD, upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
  if (fd === ENOENT) return []
  if (fd < 0) throw failure("openat", fd, upper)
  const ours = new Set(["/dev", "/proc", "/sys", ...record.spec.mounts.map(({ destination }) => destination)])
  const layers = record.lower === undefined ? [] : [record.lower, ...(record.below ?? [])]
  try {
    return walk(fd, [], layers, ours).sort((a, b) => (a.path < b.path ? -1 : 1))
  } finally {
    close(fd)
  }
}
