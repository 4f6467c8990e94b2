/** Limits on what an archive may cost: bombs of every kind end here. */
import { callResult, scratch } from "../../../ffi/call.ts"
import { LimitError } from "./errors.ts"

export interface UnpackLimits {
  /** Bytes of the tar stream, which are those on the disk and a little more. */
  bytes: number
  /** Files, directories, links and all else. */
  entries: number
  /** Bytes of one path. */
  nameBytes: number
  /** Bytes of all files with their holes. */
  logicalBytes: number
  /** Bytes of the tar stream for each compressed byte, once `ratioFrom` of them have come out. */
  ratio: number
  /** Files of zeros are honest, as long as they are not huge. */
  ratioFrom: number
  /** Bytes of the disk that stay free; null: a hundredth of it, 128 MiB at most. */
  freeBytes: number | null
}

const MIB = 2 ** 20
const GIB = 2 ** 30

export const DEFAULT_LIMITS: UnpackLimits = {
  bytes: 64 * GIB,
  entries: 2_000_000,
  nameBytes: 4096,
  logicalBytes: 1024 * GIB,
  ratio: 500,
  ratioFrom: 4 * GIB,
  freeBytes: null,
}

const MOST_FREE = 128 * MIB
const MOST_FREE_INODES = 1000
// How much may be written between two looks at the disk, at most.
const DISK_STEP = 8 * MIB
// An entry takes an inode, and this much of the archive at least.
const LEAST_ENTRY = 512

export interface Budget {
  /** Before a part of the tar stream is unpacked; `compressed` is what has been read for all of it. Throws LimitError. */
  stream(bytes: number, compressed: number): void
  /** Before an entry; its size with holes. Throws LimitError. */
  entry(size: number, nameBytes: number): void
  entries(): number
}

interface Space {
  free: number
  /** With what is in use. */
  all: number
}

/** Bytes and inodes of the file system; null where it does not count. fstatfs(2). */
function spaceOf(fd: number): { bytes: Space | null; inodes: Space | null } {
  if (callResult("fstatfs", fd, scratch.address) < 0) return { bytes: null, inodes: null }
  const [blockSize, blocks, inodes] = [scratch.word(8), scratch.word(16), scratch.word(40)]
  return {
    bytes: blocks > 0 ? { free: scratch.word(32) * blockSize, all: blocks * blockSize } : null,
    inodes: inodes > 0 ? { free: scratch.word(48), all: inodes } : null,
  }
}

/** A hundredth; of what does not count there is no end. */
const share = (space: Space | null): number => (space?.all ?? Number.POSITIVE_INFINITY) / 100

const shown = (bytes: number): string => {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${Math.round((bytes / 1024 ** unit) * 10) / 10} ${units[unit]}`
}

/** Counts against the limits; `fd` is on the file system that is written to. */
export function createBudget(limits: UnpackLimits, fd: number): Budget {
  let total = 0
  let logical = 0
  let entries = 0
  let nextLook = 0

  /** `part`: the bytes that come now. */
  function lookAtDisk(part: number): void {
    const { bytes, inodes } = spaceOf(fd)
    const step = Math.max(part, Math.min(DISK_STEP, share(bytes), share(inodes) * LEAST_ENTRY))
    const keptFree = limits.freeBytes ?? Math.min(MOST_FREE, share(bytes))
    if (bytes !== null && bytes.free - step < keptFree) {
      const floor = `${shown(keptFree)} are kept free`
      throw new LimitError(
        `the disk is nearly full: ${shown(bytes.free)} are free, and ${floor}`,
        "make room on the disk",
      )
    }
    const inodesNeeded = Math.min(MOST_FREE_INODES, share(inodes)) + step / LEAST_ENTRY
    if (inodes !== null && inodes.free < inodesNeeded) {
      throw new LimitError(`the disk is nearly full: ${inodes.free} inodes are free`, "make room on the disk")
    }
    nextLook = total - part + step
  }

  return {
    stream(bytes, compressed) {
      total += bytes
      if (total > limits.bytes) throw new LimitError(`it unpacks to more than ${shown(limits.bytes)}`)
      if (total > limits.ratioFrom && total > compressed * limits.ratio) {
        throw new LimitError(`it unpacks to more than ${limits.ratio} times its size`)
      }
      if (total >= nextLook) lookAtDisk(bytes)
    },
    entry(size, nameBytes) {
      entries++
      logical += size
      if (entries > limits.entries) throw new LimitError(`it has more than ${limits.entries} entries`)
      if (nameBytes > limits.nameBytes) {
        throw new LimitError(`it has a name of ${nameBytes} bytes, where ${limits.nameBytes} are allowed`)
      }
      if (logical > limits.logicalBytes) {
        throw new LimitError(`its files, with their holes, have more than ${shown(limits.logicalBytes)}`)
      }
    },
    entries: () => entries,
  }
}
