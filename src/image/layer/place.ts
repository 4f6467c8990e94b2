/**
 * Entries of an archive as files below a directory. Nothing outside of it is reached, whatever the archive says:
 *
 * - contained: absolute names (the slash is dropped); symlinks with any target (they are made as they are, never followed
 *   as the last component); names that go through a symlink of the archive, and the targets of hard links (resolved inside
 *   the root, as the container will see them).
 * - refused: `..` in a name or in the target of a hard link; a root that is no directory (`/.` as a symlink); a name below
 *   what is no directory, or below a dangling symlink; hard links to directories or to what is not there; empty targets.
 * - replaced: whatever has the name of a later entry, a directory with all that is in it by something else; only a
 *   directory keeps its files when its entry comes again.
 * - left out: extended attributes that are the host's own (metadata.ts).
 */
import { call, callResult, failure } from "../../../ffi/call.ts"
import { S_IFBLK, S_IFCHR, S_IFIFO } from "../../../ffi/constants/stat.ts"
import { lstat } from "../../../ffi/fs.ts"
import { isWhiteout, makeWhiteout, setOpaque } from "../../overlay/whiteouts.ts"
import { shownName, toName } from "./binary.ts"
import { createDirectories, type Directory, IMPLIED_MODE, pathIn } from "./directories.ts"
import { EntryError, LimitError } from "./errors.ts"
import { makeFile, type OpenFile, openFile } from "./files.ts"
import { applyToName, applyToOpen, metadataOf, xattrBytes } from "./metadata.ts"
import type { SkeletonWriter } from "./skeleton.ts"
import type { TarEntry, TarSink } from "./tar/entry.ts"
import { meaningOf } from "./whiteouts.ts"

const ENOENT = -2
const EEXIST = -17

/** A sink that makes files. Throws EntryError and SyscallError. */
export interface Placer extends TarSink {
  /** Gives the directories their owners, modes and times: once, at the end. */
  finish(): void
  /** Closes what is open. */
  close(): void
}

/** The components of a path, without "." and empty ones. Throws EntryError. */
export function componentsOf(path: string, what = "its name"): string[] {
  if (path.includes("\0")) throw new EntryError(`${what} has a NUL in it`)
  const components = path.split("/").filter((component) => component !== "" && component !== ".")
  if (components.includes("..")) throw new EntryError(`${what} leads out with ".."`)
  return components
}

/** dev_t as the C library has it: makedev(3). Throws EntryError. */
export function deviceNumber({ major, minor }: TarEntry): number {
  if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff) {
    throw new EntryError(`its device number ${major}:${minor} is out of range`)
  }
  return (minor & 0xff) + major * 0x100 + Math.floor(minor / 0x100) * 0x100000
}

/** Bytes of the attributes of all directories, which wait in memory for the end. */
const MOST_WAITING = 64 * 2 ** 20

const NODES = { character: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO } as const

/** Whether a directory is where these components lead without any symlink. */
function isStraight(directory: Directory, components: readonly string[]): boolean {
  let at: Directory | null = directory
  for (let i = components.length - 1; i >= 0; i--) {
    if (at === null || at.name !== components[i]) return false
    at = at.parent
  }
  return at !== null && at.parent === null
}

/**
 * `rootFd`: an open empty directory. `whiteouts`: entries named .wh. are those of an image layer. `skeleton` hears of files
 * that are elsewhere than an entry says, or are replaced.
 */
export function createPlacer(rootFd: number, whiteouts: boolean, skeleton: SkeletonWriter | null = null): Placer {
  const directories = createDirectories(rootFd, whiteouts, skeleton?.setAside)
  const { root, open } = directories
  let file: OpenFile | null = null
  let waiting = 0

  /** What is given to a directory at the end. Throws LimitError. */
  function keep(directory: Directory, entry: TarEntry): void {
    waiting += xattrBytes(entry)
    if (waiting > MOST_WAITING)
      throw new LimitError(`its directories have more than ${MOST_WAITING / 2 ** 20} MiB of extended attributes`)
    directory.metadata = metadataOf(entry)
  }

  /** Makes something; what has its name goes. */
  function make(parent: Directory, name: string, call: string, attempt: () => number): void {
    let result = attempt()
    if (result === EEXIST) {
      directories.remove(parent, name)
      result = attempt()
    }
    if (result < 0) throw failure(call, result, shownName(name))
  }

  function makeDirectory(parent: Directory, name: string, entry: TarEntry): void {
    let directory = parent.children?.get(name)
    if (directory === undefined) {
      const hides = whiteouts && isWhiteout(open(parent), toName(name))
      make(parent, name, "mkdirat", () => callResult("mkdirat", open(parent), toName(name), 0o700))
      directory = directories.add(parent, name)
      if (hides) setOpaque(open(directory))
    }
    keep(directory, entry)
  }

  function startFile(parent: Directory, name: string, entry: TarEntry): void {
    make(parent, name, "openat", () => {
      const result = openFile(open(parent), name, entry)
      if (typeof result === "number") return result
      file = result
      return 0
    })
  }

  function makeSymlink(parent: Directory, name: string, entry: TarEntry): void {
    if (entry.link === "") throw new EntryError("it is a symlink without a target")
    if (entry.link.includes("\0")) throw new EntryError("its target has a NUL in it")
    make(parent, name, "symlinkat", () => callResult("symlinkat", toName(entry.link), open(parent), toName(name)))
    applyToName(open(parent), name, entry, true)
  }

  function makeHardLink(parent: Directory, name: string, { link }: TarEntry): void {
    const target = componentsOf(link, "its target")
    const targetName = target.pop()
    const from = directories.find(target)
    const shown = shownName(link)
    const missing = () => new EntryError(`it is a hard link to ${shown}, which is not in the archive before it`)
    if (targetName === undefined || from?.children?.has(targetName)) {
      throw new EntryError(`it is a hard link to ${shown}, a directory`)
    }
    if (from === null) throw missing()
    const attempt = () => {
      open(from)
      // The second of the two may have closed the first, but not the other way round.
      const toFd = open(parent)
      return callResult("linkat", open(from), toName(targetName), toFd, toName(name), 0)
    }
    let result = attempt()
    if (result === EEXIST) {
      const [existing, wanted] = [lstat(toName(name), open(parent)), lstat(toName(targetName), open(from))]
      if (existing?.ino === wanted?.ino) return
      if (wanted === null) throw missing()
      directories.remove(parent, name)
      result = attempt()
    }
    if (result === ENOENT) throw missing()
    if (result < 0) throw failure("linkat", result, shown, shownName(name))
  }

  function makeNode(parent: Directory, name: string, entry: TarEntry, kind: keyof typeof NODES): void {
    const device = kind === "fifo" ? 0 : deviceNumber(entry)
    const attempt = () => callResult("mknodat", open(parent), toName(name), NODES[kind] | 0o600, device)
    make(parent, name, "mknodat", attempt)
    applyToName(open(parent), name, entry, false)
  }

  /** True where the entry was about other layers. */
  function hideOthers(components: readonly string[]): boolean {
    const name = components.at(-1) as string
    const meaning = meaningOf(name)
    if (meaning.kind === "file") return false
    if (meaning.kind === "ignored") return true
    const parent = directories.walk(components.slice(0, -1))
    if (meaning.kind === "opaque") {
      setOpaque(open(parent))
      return true
    }
    const { hidden } = meaning
    if (hidden === "" || hidden === "." || hidden === "..") throw new EntryError("it is a whiteout of no name")
    if (!makeWhiteout(open(parent), toName(hidden))) {
      const directory = parent.children?.get(hidden)
      if (directory !== undefined) setOpaque(open(directory))
    }
    return true
  }

  function place(entry: TarEntry, content: Uint8Array | null): void {
    const components = componentsOf(entry.path)
    if (whiteouts && components.length > 0 && hideOthers(components)) return
    const name = components.pop()
    if (name === undefined) {
      if (entry.type !== "directory") throw new EntryError("it is the root, but no directory")
      keep(root, entry)
      return
    }
    const parent = directories.walk(components)
    switch (entry.type) {
      case "file":
        if (skeleton && !isStraight(parent, components)) skeleton.elsewhere(pathIn(parent, name))
        if (content === null) startFile(parent, name, entry)
        else make(parent, name, "openat", () => makeFile(open(parent), name, entry, content))
        break
      case "directory":
        makeDirectory(parent, name, entry)
        break
      case "symlink":
        makeSymlink(parent, name, entry)
        break
      case "hardlink":
        makeHardLink(parent, name, entry)
        break
      default:
        makeNode(parent, name, entry, entry.type)
    }
  }

  return {
    entry: place,
    data: (bytes) => file?.write(bytes),
    end() {
      const finished = file
      file = null
      finished?.finish()
    },
    finish() {
      directories.visit((directory) => {
        const fd = open(directory)
        if (directory.metadata !== null) applyToOpen(fd, directory.metadata)
        else call("fchmod", fd, IMPLIED_MODE)
      })
    },
    close() {
      file?.abandon()
      file = null
      directories.close()
    },
  }
}
