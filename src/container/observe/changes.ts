/**
 * What a container changed in its root, from its overlay's upper directory (overlayfs.rst, "whiteouts and opaque directories"),
 * or from its copy of the layers. The container may run and change it meanwhile, so that nothing of it is followed.
 */
import { callResult, failure } from "../../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { listEntries } from "../../../ffi/directory.ts"
import { close, isDirectory, lstat, type Stat } from "../../../ffi/fs.ts"
import { copyOf } from "../../overlay/copied.ts"
import { overlayLayout } from "../../overlay/layout.ts"
import { isOpaque, isWhiteout } from "../../overlay/whiteouts.ts"
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

const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC

const toName = (text: string): Uint8Array => Buffer.from(`${text}\0`, "latin1")

const namesIn = (dirFd: number): string[] =>
  listEntries(dirFd).map(({ name }) => Buffer.from(name.subarray(0, -1)).toString("latin1"))

/** What the layers below show of a name. */
interface Below {
  stat: Stat
  /** Where it is a directory: those of the layers that it is of, the top one first. */
  directories: string[]
}

/** What directories of the layers below, the top one first, show of a name; null for nothing. */
function below(directories: readonly string[], name: string): Below | null {
  let stat: Stat | null = null
  const own: string[] = []
  for (const directory of directories) {
    const path = `${directory}/${name}`
    const found = lstat(toName(path))
    if (found === null) continue
    if (isWhiteout(AT_FDCWD, toName(path), found)) break
    const hides = !isDirectory(found)
    // A directory hides what is none, too.
    if (hides && stat !== null) break
    stat ??= found
    if (hides) break
    own.push(path)
    if (isOpaque(toName(path))) break
  }
  return stat && { stat, directories: own }
}

/** The names that directories of the layers below show. */
function namesBelow(directories: readonly string[]): string[] {
  const names = new Set<string>()
  for (const directory of directories) {
    const fd = callResult("openat", AT_FDCWD, toName(directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    if (fd < 0) continue
    for (const name of namesIn(fd)) names.add(name)
    close(fd)
  }
  return [...names].filter((name) => below(directories, name) !== null)
}

const differs = (a: Stat, b: Stat) => a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid

/** Whether a file is as it was copied. */
const isUntouched = (file: Stat, { stat }: Below): boolean =>
  !differs(file, stat) &&
  (["size", "mtime", "rdevMajor", "rdevMinor"] as const).every((field) => file[field] === stat[field])

/**
 * Whether an open directory counts as changed though its owner, its mode and what is in it are those of the directory below (its
 * path as a binary string); `isOwn`: toybox itself has put something into it, to mount on.
 */
export type Retouched = (fd: number, below: string, isOwn: boolean) => boolean

interface Walk {
  /** What was made to mount on, before the command ran. */
  ours: ReadonlySet<string>
  /** Where all that the layers below show has been copied. */
  isCopy: boolean
  isRetouched: Retouched
}

function walk(dirFd: number, at: string, directories: readonly string[], options: Walk): Change[] {
  const { ours, isCopy, isRetouched } = options
  const here: Change[] = []
  const names = namesIn(dirFd)
  for (const name of names) {
    const path = `${at}/${name}`
    const stat = lstat(toName(name), dirFd)
    if (stat === null) continue // Gone since it was listed.
    const under = below(directories, name)
    if (!isCopy && isWhiteout(dirFd, toName(name), stat)) {
      if (under !== null) here.push({ kind: "D", path })
      continue
    }
    const isMountPoint = ours.has(path)
    if (!isDirectory(stat)) {
      const isLeft = isMountPoint || (isCopy && under !== null && isUntouched(stat, under))
      if (!isLeft) here.push({ kind: under === null ? "A" : "C", path })
      continue
    }
    const fd = callResult("openat", dirFd, toName(name), DIRECTORY, 0)
    if (fd === ENOENT || fd === ENOTDIR || fd === ELOOP) continue // Became something else since.
    if (fd < 0) throw failure("openat", fd, path)
    try {
      const inner = walk(fd, path, under?.directories ?? [], options)
      const isOwn = isMountPoint || [...ours].some((mount) => mount.startsWith(`${path}/`))
      if (under === null || !isDirectory(under.stat)) {
        if (!isOwn || inner.length > 0) here.push({ kind: under === null ? "A" : "C", path })
      } else if (inner.length > 0 || differs(stat, under.stat) || isRetouched(fd, under.directories[0] ?? "", isOwn))
        here.push({ kind: "C", path })
      for (const change of inner) here.push(change)
    } finally {
      close(fd)
    }
  }
  if (directories.length > 0 && (isCopy || isOpaque(dirFd))) {
    const kept = new Set(names)
    for (const name of namesBelow(directories)) if (!kept.has(name)) here.push({ kind: "D", path: `${at}/${name}` })
  }
  return here
}

/**
 * The changes of a container, sorted by path; names are binary strings (one character a byte). Of directories their owner and mode
 * count, and what `isRetouched` says.
 */
export function changesOf(paths: Paths, record: ContainerRecord, isRetouched: Retouched = () => false): Change[] {
  const directory = containerPath(paths, record.id)
  const copy = copyOf(directory)
  const upper = copy ?? overlayLayout(directory).upper
  const fd = callResult("openat", AT_FDCWD, upper, DIRECTORY, 0)
  if (fd === ENOENT) return []
  if (fd < 0) throw failure("openat", fd, upper)
  const ours = new Set(["/dev", "/proc", "/sys", ...record.spec.mounts.map(({ destination }) => destination)])
  const layers = record.lower === undefined ? [] : [record.lower, ...(record.below ?? [])]
  const binary = layers.map((layer) => Buffer.from(layer).toString("latin1"))
  try {
    return walk(fd, "", binary, { ours, isCopy: copy !== null, isRetouched }).sort((a, b) => (a.path < b.path ? -1 : 1))
  } finally {
    close(fd)
  }
}
