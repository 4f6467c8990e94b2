/** What directories hold: getdents64(2). */
import { callResult, failure, oftenCalled, SCRATCH_SIZE, type Scratch, scratch, takeScratch } from "./call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "./constants/fcntl.ts"
import { close, tryReadRegular } from "./fs.ts"

const decoder = new TextDecoder()
const DOT = 0x2e
const ENOENT = -2

/** What a directory holds. */
export interface Entry {
  /** The name's bytes with a closing NUL. */
  name: Uint8Array
  /** DT_*; DT_UNKNOWN where the file system does not tell. */
  type: number
}

const DT_UNKNOWN = 0
export const DT_DIR = 4

/** Tells where in `where` each name of an open directory begins and ends, without "." and ".."; none of one that was removed. */
function eachName(fd: number, where: Scratch, found: (start: number, end: number, type: number) => void): void {
  const { bytes } = where
  for (;;) {
    const size = callResult("getdents64", fd, where.address, bytes.length)
    if (size === 0 || size === ENOENT) return
    if (size < 0) throw failure("getdents64", size, fd)
    for (let position = 0; position < size; ) {
      const start = position + 19
      const end = bytes.indexOf(0, start)
      const dots = bytes[start] === DOT && (end === start + 1 || (end === start + 2 && bytes[start + 1] === DOT))
      if (!dots) found(start, end, bytes[position + 18] ?? DT_UNKNOWN)
      position += (bytes[position + 16] ?? 0) | ((bytes[position + 17] ?? 0) << 8)
    }
  }
}

/** The entries of an open directory, or `only` those of a type, without "." and ".."; none of one that has been removed. */
export function listEntries(fd: number, only?: typeof DT_DIR): Entry[] {
  const entries: Entry[] = []
  eachName(fd, scratch, (start, end, type) => {
    if (only === undefined || type === only) entries.push({ name: scratch.bytes.slice(start, end + 1), type })
  })
  return entries
}

function inDirectory(path: string, action: (fd: number) => void): void {
  const fd = callResult("openat", AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
  if (fd === ENOENT) return
  if (fd < 0) throw failure("open", fd, path)
  try {
    action(fd)
  } finally {
    close(fd)
  }
}

/** The names in a directory, or `only` those of a type; empty where there is no such directory. */
export function listDir(path: string, only?: typeof DT_DIR): string[] {
  const names: string[] = []
  inDirectory(path, (fd) =>
    eachName(fd, scratch, (start, end, type) => {
      if (only === undefined || type === only) names.push(decoder.decode(scratch.bytes.subarray(start, end)))
    }),
  )
  return names
}

type Often = ReturnType<typeof oftenCalled>

// `scratch` is what files are read into meanwhile.
const names = takeScratch(SCRATCH_SIZE / 4)

/**
 * The files of a directory in one go, for a listing's sake: `found` has each name, and the text of those that end in `suffix`,
 * null of the others. Nothing where there is no such directory.
 */
export function readDir(path: string, suffix: string, found: (name: string, text: string | null) => void): void {
  const [openat, read, close] = ["openat", "read", "close"].map(oftenCalled) as [Often, Often, Often]
  inDirectory(path, (directory) =>
    eachName(directory, names, (start, end) => {
      const name = decoder.decode(names.bytes.subarray(start, end))
      if (!name.endsWith(suffix)) return found(name, null)
      const fd = openat(directory, names.address + start, O_RDONLY | O_CLOEXEC)
      const size = fd < 0 ? fd : read(fd, scratch.address, SCRATCH_SIZE)
      if (fd >= 0) close(fd)
      const isAll = size >= 0 && size < SCRATCH_SIZE
      found(name, isAll ? decoder.decode(scratch.bytes.subarray(0, size)) : tryReadRegular(name, directory))
    }),
  )
}
