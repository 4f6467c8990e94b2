/** The two ends of a copy: this machine, and a container's root, out of which no path and no symlink leads. */
import { callResult, failure, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from "../../ffi/constants/fcntl.ts"
import { S_IFDIR, S_IFLNK, S_IFMT } from "../../ffi/constants/stat.ts"
import { close } from "../../ffi/fs.ts"
import { openat2 } from "../../ffi/openat2.ts"
import { openHow } from "../../ffi/structs.ts"
import { ToyboxError } from "../errors.ts"
import { fromBytes, shownName, toName } from "../image/layer/binary.ts"
import { exactStat } from "../image/layer/exact-stat.ts"
import type { Start } from "../image/layer/writer.ts"
import { splitPath } from "./address.ts"

/** Where paths lead. */
export interface Tree {
  /** For errors: of the container, or "" for this machine. */
  prefix: string
  /** Opens what a path leads to, symlinks followed; -errno. */
  open(path: string, flags: number): number
  /** From which root of a container a path is looked up; null for this machine. */
  locate: ((path: string) => Located) | null
}

export interface Located {
  rootFd: number
  path: string
  /** Nothing is to be written there. */
  readOnly: boolean
}

export const hostTree: Tree = {
  prefix: "",
  open: (path, flags) => callResult("openat", AT_FDCWD, toName(path), flags | O_CLOEXEC, 0),
  locate: null,
}

// No magic links: /proc of the container would lead out of it.
const IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS

export const containerTree = (locate: (path: string) => Located, name: string): Tree => ({
  prefix: `${name}:`,
  open(path, flags) {
    const at = locate(path)
    return openat2(at.rootFd, toName(at.path), openHow(flags | O_CLOEXEC, IN_ROOT))
  },
  locate,
})

const ENOENT = -2
const ENOTDIR = -20
const ELOOP = -40
// As the kernel: path_resolution(7).
const MOST_LINKS = 40

/** A path for an error. */
export const shownPath = ({ prefix }: Tree, path: string): string => `${prefix}${shownName(path).slice(1, -1)}`

function cannotOpen(tree: Tree, path: string, result: number): Error {
  const shown = shownPath(tree, path)
  if (result === ENOENT) return new ToyboxError(`${shown}: there is no such file or directory`)
  if (result === ENOTDIR) return new ToyboxError(`${shown} is not a directory`)
  if (result === ELOOP) return new ToyboxError(`${shown}: its symlinks lead nowhere`)
  return new ToyboxError(`cannot open ${shown}`, { cause: failure("openat2", result, shown) })
}

/** Opens a directory, O_PATH. Throws ToyboxError. */
export function openDirectory(tree: Tree, path: string): number {
  const fd = tree.open(path, O_PATH | O_DIRECTORY)
  if (fd < 0) throw cannotOpen(tree, path, fd)
  return fd
}

/** What is copied: `path` is the name it has of itself, "." for what is in a directory. Its `dirFd` is to be closed. */
export interface Source extends Start {
  isDirectory: boolean
}

/** `follow`: the path's own last symlink. Throws ToyboxError. */
export function openSource(tree: Tree, path: string, follow: boolean): Source {
  const { whole, parent, base, wants } = splitPath(path)
  // What is mounted is not in the directory that it is mounted in.
  if (wants !== "any" || tree.locate?.(whole).path === "/") {
    const dirFd = openDirectory(tree, whole)
    // The name that ".." has in truth.
    const name = base === ".." ? (linkText(`/proc/self/fd/${dirFd}`)?.split("/").at(-1) ?? "") : base
    return { dirFd, name: ".", path: wants === "contents" || name === "" ? "." : name, isDirectory: true }
  }
  const dirFd = openDirectory(tree, parent)
  const stat = exactStat(dirFd, base)
  const kind = (stat?.mode ?? 0) & S_IFMT
  if (stat !== null && !(follow && kind === S_IFLNK))
    return { dirFd, name: base, path: base, isDirectory: kind === S_IFDIR }
  close(dirFd)
  const fd = tree.open(whole, O_PATH)
  if (fd < 0) throw cannotOpen(tree, whole, fd)
  const isDirectory = ((exactStat(fd, "")?.mode ?? 0) & S_IFMT) === S_IFDIR
  return { dirFd: fd, name: isDirectory ? "." : "", path: base, isDirectory }
}

function linkText(path: string, dirFd = AT_FDCWD): string | null {
  const size = callResult("readlinkat", dirFd, toName(path), scratch.address, SCRATCH_SIZE)
  return size < 0 ? null : fromBytes(scratch.bytes, 0, size)
}

/** Where the copy goes. */
export interface Destination {
  /** A directory that exists. */
  directory: string
  /** What the copy is called in it; "." where the directory is what the copy's content goes to. */
  name: string
}

/** What is new may go where a symlink leads. */
function throughLinks(tree: Tree, path: string): Destination {
  let { whole, parent, base } = splitPath(path)
  for (let links = 0; links <= MOST_LINKS; links++) {
    const dirFd = openDirectory(tree, parent)
    const target = linkText(base, dirFd)
    close(dirFd)
    if (target === null) return { directory: parent, name: base }
    ;({ whole, parent, base } = splitPath(target.startsWith("/") ? target : `${parent}/${target}`))
  }
  throw cannotOpen(tree, whole, ELOOP)
}

/** Where a thing of this name goes, by docker's rules. Throws ToyboxError. */
export function findDestination(tree: Tree, path: string, { path: name, isDirectory }: Source): Destination {
  const { whole, wants } = splitPath(path)
  const fd = tree.open(whole, O_PATH | O_DIRECTORY)
  if (fd >= 0) {
    close(fd)
    return { directory: whole, name }
  }
  if (fd !== ENOENT && fd !== ENOTDIR) throw cannotOpen(tree, whole, fd)
  if (!isDirectory) {
    if (wants === "any") return throughLinks(tree, whole)
    throw cannotOpen(tree, whole, fd)
  }
  const there = tree.open(whole, O_PATH)
  if (there >= 0) {
    close(there)
    throw new ToyboxError(`a directory cannot be copied to ${shownPath(tree, whole)}, which is none`)
  }
  // One that is not there yet, be it that a symlink leads to it.
  return throughLinks(tree, whole)
}

/** The path inside the container that an open descriptor of it has. */
export function pathInside(rootFd: number, fd: number): string {
  const [root, found] = [linkText(`/proc/self/fd/${rootFd}`) ?? "", linkText(`/proc/self/fd/${fd}`) ?? ""]
  return root !== "/" && found.startsWith(root) ? found.slice(root.length) || "/" : found
}
