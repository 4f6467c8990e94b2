/**
 * Stage two: a static ELF of about a kilobyte, made of the walker's bytes and one program, in a sealed memfd.
 * elf(5), memfd_create(2).
 */
import { call, callResult, reserveRegion } from "./call.ts"
import type { Call } from "./calls.ts"
import { F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE } from "./constants/fcntl.ts"
import { MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC } from "./constants/memfd.ts"
import { writeAll } from "./fs.ts"
import type { Stage, Target, Trace } from "./layout.ts"
import { syscallNumber, walkerCode } from "./libc.ts"

const CODE_ADDRESS = 0x400100
const CODE_OFFSET = 0x100
/** Where _start of walker.c looks for the program. */
const DATA_ADDRESS = 0x601000
const DATA_OFFSET = 0x1000
// Large enough for the page size of every arm64 kernel.
const ALIGNMENT = 0x10000

const targets = new Map<string, Target>()

const stageTwo: Stage = {
  resolve(name) {
    let target = targets.get(name)
    if (target === undefined) {
      target = { address: syscallNumber(name) }
      targets.set(name, target)
    }
    return target
  },
  errnoLocation: 0,
}

function elfHead(dataSize: number): Uint8Array {
  const bytes = new Uint8Array(DATA_OFFSET)
  const view = new DataView(bytes.buffer)
  const word = (offset: number, value: number) => view.setBigUint64(offset, BigInt(value), true)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  view.setUint16(16, 2, true) // ET_EXEC
  view.setUint16(18, process.arch === "arm64" ? 183 : 62, true)
  view.setUint32(20, 1, true)
  word(24, CODE_ADDRESS)
  word(32, 64)
  view.setUint16(52, 64, true)
  view.setUint16(54, 56, true)
  view.setUint16(56, 3, true)
  const segment = (index: number, type: number, flags: number, offset: number, address: number, size: number) => {
    const base = 64 + index * 56
    view.setUint32(base, type, true)
    view.setUint32(base + 4, flags, true)
    word(base + 8, offset)
    word(base + 16, address)
    word(base + 24, address)
    word(base + 32, size)
    word(base + 40, size)
    word(base + 48, type === 1 ? ALIGNMENT : 16)
  }
  const code = walkerCode("STAGE_TWO")
  segment(0, 1, 5, CODE_OFFSET, CODE_ADDRESS, code.length)
  segment(1, 1, 6, DATA_OFFSET, DATA_ADDRESS, dataSize)
  segment(2, 0x6474e551, 6, 0, 0, 0) // PT_GNU_STACK: not executable
  bytes.set(code, CODE_OFFSET)
  return bytes
}

/** The program of stage two: the bytes before its data, and how much data there is at `dataAddress` of this process. */
export interface SealedImage {
  head: Uint8Array
  dataAddress: number
  dataSize: number
  /** Gives the data's memory back. */
  free(): void
}

/** Lays stage two out as an ELF image. */
export function sealedImage(
  calls: readonly Call[],
  options: { reportFd: number; base: number; trace?: Trace | undefined },
): SealedImage {
  const { base, layOut, free } = reserveRegion()
  const { arena } = layOut(calls, stageTwo, { ...options, child: true }, DATA_ADDRESS)
  return { head: elfHead(arena.used), dataAddress: base, dataSize: arena.used, free }
}

/** An empty memfd, close-on-exec. MFD_EXEC is known since Linux 6.3. */
export function executableMemfd(): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING
  const fd = callResult("memfd_create", "toybox", flags | MFD_EXEC)
  return fd >= 0 ? fd : call("memfd_create", "toybox", flags)
}

/** Puts an image into a memfd, which nobody can write again afterwards, and frees it here. */
export function fillAndSeal(fd: number, { head, dataAddress, dataSize, free }: SealedImage): void {
  writeAll(fd, head)
  for (let done = 0; done < dataSize; ) done += call("write", fd, dataAddress + done, dataSize - done)
  free()
  call("fcntl", fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
}
