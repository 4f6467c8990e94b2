/** Regular files on the disk. */
import { call, callResult, failure } from "../../../ffi/call.ts"
import { slot } from "../../../ffi/calls.ts"
import { O_CLOEXEC, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } from "../../../ffi/constants/fcntl.ts"
import { close } from "../../../ffi/fs.ts"
import { addressOf, type PreparedList, prepareList, takeWords, type Words } from "../../../ffi/prepared.ts"
import { toName } from "./binary.ts"
import { applyToOpen, hasXattrs } from "./metadata.ts"
import type { SparseMap, TarEntry } from "./tar/entry.ts"

const EINTR = -4

// Nobody else may open the file before it has its mode.
const FLAGS = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
const MODE = 0o600

const FD = slot("file")
const OPEN = 0
const WRITE = 1
const CHOWN = 2
const CHMOD = 3
const CALLS = 6

let whole: { list: PreparedList; times: Words } | undefined

/** A whole file as one list: nearly all files are made so. */
function wholeFile() {
  if (whole === undefined) {
    const times = takeWords(4)
    const list = prepareList([
      { name: "openat", args: [0, 0, FLAGS, MODE], into: FD },
      { name: "write", args: [FD, 0, 0], fails: { mask: -1, unless: 0 } },
      { name: "fchown", args: [FD, 0, 0] },
      { name: "fchmod", args: [FD, 0] },
      { name: "futimens", args: [FD, times.address] },
      { name: "close", args: [FD], fails: "never" },
    ])
    whole = { list, times }
  }
  return whole
}

/** write(2), or pwrite(2) at `position`, until all is written. */
function writeBytes(fd: number, bytes: Uint8Array, position?: number): void {
  for (let done = 0; done < bytes.length; ) {
    const from = addressOf(bytes) + done
    const left = bytes.length - done
    const count =
      position === undefined
        ? callResult("write", fd, from, left)
        : callResult("pwrite", fd, from, left, position + done)
    if (count === EINTR) continue
    if (count < 0) throw failure("write", count, fd, left)
    done += count
  }
}

/** Makes a file with all its content; -errno where it cannot be made. */
export function makeFile(dirFd: number, name: string, entry: TarEntry, content: Uint8Array): number {
  if (hasXattrs(entry)) {
    const file = openFile(dirFd, name, entry)
    if (typeof file === "number") return file
    file.write(content)
    file.finish()
    return 0
  }
  const { list, times } = wholeFile()
  const path = toName(name)
  list.set(OPEN, 0, dirFd)
  list.set(OPEN, 1, addressOf(path))
  list.set(WRITE, 1, content.length === 0 ? 0 : addressOf(content))
  list.set(WRITE, 2, content.length)
  list.expect(WRITE, content.length)
  list.set(CHOWN, 1, entry.uid)
  list.set(CHOWN, 2, entry.gid)
  list.set(CHMOD, 1, entry.mode)
  for (const at of [0, 2]) {
    times.set(at, entry.mtime)
    times.set(at + 1, entry.mtimeNanoseconds)
  }
  const stopped = list.run()
  if (stopped === CALLS) return 0
  if (stopped === OPEN) return -list.errno(OPEN)
  const fd = list.result(OPEN)
  try {
    if (stopped === WRITE) writeBytes(fd, content.subarray(Math.max(0, list.result(WRITE))))
    applyToOpen(fd, entry)
  } finally {
    close(fd)
  }
  return 0
}

/** A file whose content comes in pieces. */
export interface OpenFile {
  write(bytes: Uint8Array): void
  /** Gives it its owner, mode and times; closes it. */
  finish(): void
  /** Closes it as it is. */
  abandon(): void
}

/** Makes a file that is to be written to; -errno where it cannot be made. */
export function openFile(dirFd: number, name: string, entry: TarEntry): OpenFile | number {
  const fd = callResult("openat", dirFd, toName(name), FLAGS, MODE)
  if (fd < 0) return fd
  const write = entry.sparse === null ? (bytes: Uint8Array) => writeBytes(fd, bytes) : sparseWriter(fd, entry.sparse)
  return {
    write,
    finish() {
      try {
        // Also where the file ends with a hole.
        if (entry.sparse !== null) call("ftruncate", fd, entry.size)
        applyToOpen(fd, entry)
      } finally {
        close(fd)
      }
    },
    abandon: () => close(fd),
  }
}

function sparseWriter(fd: number, { offsets, lengths }: SparseMap): (bytes: Uint8Array) => void {
  let piece = 0
  let done = 0 // of the piece
  return (bytes) => {
    for (let at = 0; at < bytes.length; ) {
      const length = lengths[piece] as number
      const size = Math.min(length - done, bytes.length - at)
      writeBytes(fd, bytes.subarray(at, at + size), (offsets[piece] as number) + done)
      at += size
      done += size
      if (done === length) {
        piece++
        done = 0
      }
    }
  }
}
