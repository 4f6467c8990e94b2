/**
 * Entries of an archive into a tree that has files already, and whose owner may be changing it. A file takes the place of a
 * file or symlink at once, by rename(2); a directory is never replaced, and takes the place of nothing.
 */
import { call, callResult, failure } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_PATH, O_RDONLY, O_TRUNC, O_WRONLY } from "../../ffi/constants/fcntl.ts"
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { close } from "../../ffi/fs.ts"
import { shownName, toName } from "../image/layer/binary.ts"
import { EntryError } from "../image/layer/errors.ts"
import { exactStat } from "../image/layer/exact-stat.ts"
import { makeFile, type OpenFile, openFile } from "../image/layer/files.ts"
import { applyToName, applyToOpen, type Metadata, metadataOf } from "../image/layer/metadata.ts"
import { componentsOf, deviceNumber } from "../image/layer/place.ts"
import type { TarEntry, TarSink } from "../image/layer/tar/entry.ts"
import { createTargetDirectories, type Target } from "./directories.ts"

const EBUSY = -16
const EEXIST = -17
const NODES = { character: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO } as const

export interface CopyPlacer extends TarSink {
  /** Device and inode of the first thing that was made, if that is a directory. */
  top(): string | null
  /** Gives the directories their owners, modes and times: once, at the end. */
  finish(): void
  /** Closes what is open; a file that is half written goes. */
  close(): void
}

interface Waiting {
  components: string[]
  metadata: Metadata
  identity: string
}

const identityOf = (dirFd: number, name: string): string => {
  const stat = exactStat(dirFd, name)
  return stat === null ? "" : `${stat.dev}/${stat.ino}`
}

/** `adjust` says what an entry is to become; null leaves it out. Throws EntryError and SyscallError. */
export function createCopyPlacer(target: Target, adjust: (entry: TarEntry) => TarEntry | null): CopyPlacer {
  const directories = createTargetDirectories(target)
  const waiting = new Map<string, Waiting>()
  // Where something is written to before it has its name.
  const temporary = `.toybox-cp-${process.pid}`
  let file: OpenFile | null = null
  let begun: { parent: string[]; written: string; name: string } | null = null
  let first: string | null | undefined

  /** Renames what was made beside it over what has the name. What is mounted there (as /etc/hosts is) gets the content. */
  function replace(parent: string[], name: string): void {
    const dirFd = directories.open(parent)
    const result = callResult("renameat", dirFd, toName(temporary), dirFd, toName(name))
    if (result === 0) return
    const isMounted = result === EBUSY && writeInto(dirFd, temporary, name)
    call("unlinkat", dirFd, toName(temporary), 0)
    if (!isMounted) throw failure("renameat", result, shownName(name))
  }

  /** Makes something under its name, or under another if that is taken: then `replace` is to follow. */
  function make(parent: string[], name: string, call: string, attempt: (name: string) => number): string {
    let result = attempt(name)
    if (result === 0) return name
    if (result === EEXIST) {
      const found = exactStat(directories.open(parent), name)
      if (found !== null && (found.mode & S_IFMT) === S_IFDIR)
        throw new EntryError("there is a directory of that name, which is not replaced")
      result = attempt(temporary)
      if (result === EEXIST) {
        // Of a killed copy, whose number this process has now.
        callResult("unlinkat", directories.open(parent), toName(temporary), 0)
        result = attempt(temporary)
      }
      if (result === 0) return temporary
    }
    throw failure(call, result, shownName(name))
  }

  function makeDirectory(components: string[], entry: TarEntry): void {
    const { fd, made } = directories.make(components)
    // A directory that the user has named, and that is there, stays as it is.
    if (components.length === 0) return
    const identity = identityOf(fd, ".")
    if (made) first ??= identity
    waiting.set(components.join("/"), { components, metadata: metadataOf(entry), identity })
  }

  function startFile(parent: string[], name: string, entry: TarEntry, content: Uint8Array | null): void {
    const attempt = (as: string) => {
      const dirFd = directories.open(parent)
      begun = { parent, written: as, name }
      const result = content === null ? openFile(dirFd, as, entry) : makeFile(dirFd, as, entry, content)
      if (typeof result === "number") {
        if (result !== 0) begun = null
        return result
      }
      file = result
      return 0
    }
    const written = make(parent, name, "openat", attempt)
    if (content === null) return
    begun = null
    if (written !== name) replace(parent, name)
  }

  function endFile(): void {
    file?.finish()
    file = null
    if (begun === null) return
    const { parent, written, name } = begun
    begun = null
    if (written !== name) replace(parent, name)
  }

  function makeHardLink(parent: string[], name: string, { link }: TarEntry): void {
    const from = componentsOf(link, "its target")
    const fromName = from.pop()
    if (fromName === undefined) throw new EntryError("it is a hard link to a directory")
    const source = identityOf(directories.open(from), fromName)
    if (source === "") throw new EntryError(`it is a hard link to ${shownName(link)}, which is not there`)
    if (source === identityOf(directories.open(parent), name)) return
    const written = make(parent, name, "linkat", (as) => {
      directories.open(from)
      // The second of the two may have closed the first, but not the other way round.
      const toFd = directories.open(parent)
      return callResult("linkat", directories.open(from), toName(fromName), toFd, toName(as), 0)
    })
    if (written !== name) replace(parent, name)
  }

  function makeOther(parent: string[], name: string, entry: TarEntry): void {
    const dirFd = directories.open(parent)
    const { type, link } = entry
    if (type !== "symlink" && type !== "character" && type !== "block" && type !== "fifo") return
    if (type === "symlink" && (link === "" || link.includes("\0"))) throw new EntryError("it is a symlink to nothing")
    const written = make(parent, name, type === "symlink" ? "symlinkat" : "mknodat", (as) =>
      type === "symlink"
        ? callResult("symlinkat", toName(link), dirFd, toName(as))
        : callResult("mknodat", dirFd, toName(as), NODES[type] | 0o600, type === "fifo" ? 0 : deviceNumber(entry)),
    )
    applyToName(dirFd, written, entry, type === "symlink")
    if (written !== name) replace(parent, name)
  }

  return {
    entry(given, content) {
      const entry = adjust(given)
      if (entry === null) return
      const components = componentsOf(entry.path)
      if (entry.type === "directory") return makeDirectory(components, entry)
      first ??= null
      const name = components.pop()
      if (name === undefined) throw new EntryError("it is the root, but no directory")
      if (entry.type === "file") startFile(components, name, entry, content)
      else if (entry.type === "hardlink") makeHardLink(components, name, entry)
      else makeOther(components, name, entry)
    },
    data: (bytes) => file?.write(bytes),
    end: endFile,
    top: () => first ?? null,
    finish() {
      for (const { components, metadata, identity } of [...waiting.values()].reverse()) {
        const fd = directories.open(components)
        if (identityOf(fd, ".") !== identity)
          throw new EntryError(`${shownName(components.join("/"))} was replaced meanwhile`)
        applyToOpen(fd, metadata)
      }
    },
    close() {
      file?.abandon()
      file = null
      if (begun !== null) callResult("unlinkat", directories.open(begun.parent), toName(begun.written), 0)
      begun = null
      directories.close()
    },
  }
}

/** Gives a regular file the content of another; false where it is none. */
function writeInto(dirFd: number, from: string, to: string): boolean {
  // Opening anything else than a file may do something.
  const thing = callResult("openat", dirFd, toName(to), O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
  if (thing < 0) return false
  const opened = [thing]
  const hold = (fd: number): number => {
    opened.push(fd)
    return fd
  }
  try {
    if (((exactStat(thing, "")?.mode ?? 0) & S_IFMT) !== S_IFREG) return false
    const source = hold(call("openat", dirFd, toName(from), O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0))
    const written = hold(call("openat", AT_FDCWD, `/proc/self/fd/${thing}`, O_WRONLY | O_TRUNC | O_CLOEXEC, 0))
    while (call("sendfile", written, source, 0, 2 ** 30) > 0);
    return true
  } finally {
    for (const fd of opened) close(fd)
  }
}
