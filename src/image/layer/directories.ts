/**
 * The directories of the tree that is being unpacked. All of them were made here, so that this tree of nodes is what is on
 * the disk; a few are open, and everything is made relative to one of those, never by a path that could be followed.
 */
import { call, callResult, failure, SCRATCH_SIZE, scratch } from "../../../ffi/call.ts"
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "../../../ffi/constants/fcntl.ts"
import { close, lstat } from "../../../ffi/fs.ts"
import { openat2 } from "../../../ffi/openat2.ts"
import { removeTree } from "../../../ffi/remove-tree.ts"
import { OPEN_HOW_SIZE, openHow } from "../../../ffi/structs.ts"
import { isWhiteout, setOpaque } from "../../overlay/whiteouts.ts"
import { fromBytes, shownName, toName } from "./binary.ts"
import { EntryError } from "./errors.ts"
import type { Metadata } from "./metadata.ts"

const ENOENT = -2
const EEXIST = -17
const ENOTDIR = -20
const ELOOP = -40

/** A directory that exists. */
export interface Directory {
  readonly parent: Directory | null
  readonly name: string
  /** Null where there are none: most have none, and there can be many. */
  children: Map<string, Directory> | null
  /** -1 where it is not open. */
  fd: number
  /** What its entry said; given to it at the end, because what is made in it would change its time. */
  metadata: Metadata | null
}

export interface Directories {
  readonly root: Directory
  /** The directory at these path components, made where it is missing; symlinks are resolved inside the root. Throws EntryError. */
  walk(components: readonly string[]): Directory
  /** As walk, but makes nothing; null where it is missing. */
  find(components: readonly string[]): Directory | null
  /** An open descriptor; valid until the next one of some other directory is asked for. */
  open(directory: Directory): number
  /** Adds a directory that has just been made. */
  add(parent: Directory, name: string): Directory
  /** Removes whatever has this name. */
  remove(parent: Directory, name: string): void
  /** Every directory, inner ones first. */
  visit(action: (directory: Directory) => void): void
  /** Closes all but the root. */
  close(): void
}

// Archives come sorted: nearly all entries are in the directory of the one before.
const MOST_OPEN = 64

const NONE: ReadonlyMap<string, Directory> = new Map()

const node = (parent: Directory | null, name: string, fd = -1): Directory => ({
  parent,
  name,
  children: null,
  fd,
  metadata: null,
})

const childrenOf = ({ children }: Directory): Iterator<Directory> => (children ?? NONE).values()

/** The path from the root: "" for the root itself. */
export function pathOf(directory: Directory): string {
  const names: string[] = []
  for (let at = directory; at.parent !== null; at = at.parent) names.push(at.name)
  return names.reverse().join("/")
}

/** The path of a name in a directory. */
export const pathIn = (directory: Directory, name: string): string =>
  directory.parent === null ? name : `${pathOf(directory)}/${name}`

/** The mode of a directory that no entry speaks of. */
export const IMPLIED_MODE = 0o755

const FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC
const UNFOLLOWED = openHow(FLAGS, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)
const IN_ROOT = openHow(FLAGS, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

function linkText(fd: number): string {
  const size = call("readlinkat", AT_FDCWD, `/proc/self/fd/${fd}`, scratch.address, SCRATCH_SIZE)
  return fromBytes(scratch.bytes, 0, size)
}

/** Told of what is about to be removed; true: it has been put elsewhere instead. `path` is from the root. */
export type SetAside = (dirFd: number, name: string, path: string) => boolean

/**
 * Takes the root, open and empty. `whiteouts`: a directory may come in the place of an overlay's whiteout. `setAside` hears
 * of what is replaced.
 */
export function createDirectories(rootFd: number, whiteouts: boolean, setAside?: SetAside): Directories {
  const root = node(null, "", rootFd)
  // A queue of those that are open, the oldest at `oldest`.
  const opened: (Directory | null)[] = new Array(MOST_OPEN).fill(null)
  let oldest = 0

  function forget(directory: Directory): void {
    if (directory.fd < 0) return
    close(directory.fd)
    directory.fd = -1
  }

  function open(directory: Directory): number {
    if (directory.fd >= 0) return directory.fd
    const path = toName(pathOf(directory))
    const fd = callResult("openat2", rootFd, path, UNFOLLOWED, OPEN_HOW_SIZE)
    if (fd < 0) throw failure("openat2", fd, rootFd, shownName(pathOf(directory)))
    const evicted = opened[oldest]
    if (evicted) forget(evicted)
    opened[oldest] = directory
    oldest = (oldest + 1) % MOST_OPEN
    directory.fd = fd
    return fd
  }

  function add(parent: Directory, name: string): Directory {
    const made = node(parent, name)
    parent.children ??= new Map()
    parent.children.set(name, made)
    return made
  }

  /** A component that is there but no directory of ours: a symlink to one, or nothing that holds files. */
  function resolve(parent: Directory, name: string): Directory {
    const path = pathIn(parent, name)
    const fd = openat2(rootFd, toName(path), IN_ROOT)
    if (fd === ENOTDIR) throw new EntryError(`${shownName(path)} is not a directory`)
    if (fd === ENOENT) throw new EntryError(`${shownName(path)} is a symlink to what is not there`)
    if (fd === ELOOP) throw new EntryError(`${shownName(path)} is a symlink that leads nowhere`)
    if (fd < 0) throw failure("openat2", fd, rootFd, shownName(path))
    try {
      // All directories in the root are nodes: the kernel tells which of them this is.
      const [top, found] = [linkText(rootFd), linkText(fd)]
      if (found === top) return root
      const prefix = top === "/" ? top : `${top}/`
      let at: Directory | undefined = found.startsWith(prefix) ? root : undefined
      for (const component of found.slice(prefix.length).split("/")) at = at?.children?.get(component)
      if (at === undefined) throw new EntryError(`${shownName(path)} leads to ${shownName(found)}`)
      return at
    } finally {
      close(fd)
    }
  }

  function step(parent: Directory, name: string): Directory {
    const known = parent.children?.get(name)
    if (known !== undefined) return known
    const result = callResult("mkdirat", open(parent), toName(name), 0o700)
    if (result === 0) return add(parent, name)
    if (result !== EEXIST) throw failure("mkdirat", result, shownName(name))
    if (!whiteouts || !isWhiteout(open(parent), toName(name))) return resolve(parent, name)
    call("unlinkat", open(parent), toName(name), 0)
    call("mkdirat", open(parent), toName(name), 0o700)
    const made = add(parent, name)
    setOpaque(open(made))
    return made
  }

  const isThere = (parent: Directory, name: string) => lstat(toName(name), open(parent)) !== null

  /** Inner directories first; without recursion, for they can be thousands deep. */
  function visit(from: Directory, action: (directory: Directory) => void): void {
    const stack = [{ directory: from, rest: childrenOf(from) }]
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.rest.next()
      if (next.done) {
        stack.pop()
        action(top.directory)
      } else stack.push({ directory: next.value, rest: childrenOf(next.value) })
    }
  }

  return {
    root,
    open,
    add,
    walk: (components) => components.reduce(step, root),
    find(components) {
      let at = root
      for (const name of components) {
        const known = at.children?.get(name)
        if (known === undefined && !isThere(at, name)) return null
        at = known ?? resolve(at, name)
      }
      return at
    },
    remove(parent, name) {
      const known = parent.children?.get(name)
      if (known !== undefined) {
        visit(known, forget)
        parent.children?.delete(name)
      }
      const fd = open(parent)
      if (setAside?.(fd, name, pathIn(parent, name))) return
      if (known !== undefined) removeTree(toName(name), fd)
      else call("unlinkat", fd, toName(name), 0)
    },
    visit: (action) => visit(root, action),
    close() {
      visit(root, (directory) => {
        if (directory !== root) forget(directory)
      })
    },
  }
}
