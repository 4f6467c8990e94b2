/**
 * Stage two: a static ELF of about a kilobyte, made of the walker's bytes and one program, in a sealed memfd.
 * elf(5), memfd_create(2).
 */
import { call, callResult } from "./call.ts"
import { type Call, layOut, type Stage, type Trace } from "./calls.ts"
import { F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE } from "./constants/fcntl.ts"
import { writeAll } from "./fs.ts"
import { MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC } from "./constants/memfd.ts"
import { syscallNumber, walkerBytes } from "./libc.ts"
import { createArena, setWord } from "./memory.ts"

const CODE_ADDRESS = 0x400100
const CODE_OFFSET = 0x100
/** Where _start of walker.c looks for the program. */
const DATA_ADDRESS = 0x601000
const DATA_OFFSET = 0x1000
// Large enough for the page size of every arm64 kernel.
const ALIGNMENT = 0x10000
const FIRST_CHUNK = 16 * 1024

const stageTwo: Stage = { resolve: (name) => ({ target: name === "load" ? 0 : syscallNumber(name) }), errnoLocation: 0 }

function elfHeader(dataSize: number): Uint8Array {
  const bytes = new Uint8Array(DATA_OFFSET)
  const view = new DataView(bytes.buffer)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  view.setUint16(16, 2, true) // ET_EXEC
  view.setUint16(18, process.arch === "arm64" ? 183 : 62, true)
  view.setUint32(20, 1, true)
  setWord(view, 24, CODE_ADDRESS)
  setWord(view, 32, 64)
  view.setUint16(52, 64, true)
  view.setUint16(54, 56, true)
  view.setUint16(56, 3, true)
  const segment = (index: number, type: number, flags: number, offset: number, address: number, size: number) => {
    const base = 64 + index * 56
    view.setUint32(base, type, true)
    view.setUint32(base + 4, flags, true)
    setWord(view, base + 8, offset)
    setWord(view, base + 16, address)
    setWord(view, base + 24, address)
    setWord(view, base + 32, size)
    setWord(view, base + 40, size)
    setWord(view, base + 48, type === 1 ? ALIGNMENT : 16)
  }
  const code = walkerBytes.STAGE_TWO
  segment(0, 1, 5, CODE_OFFSET, CODE_ADDRESS, code.length)
  segment(1, 1, 6, DATA_OFFSET, DATA_ADDRESS, dataSize)
  segment(2, 0x6474e551, 6, 0, 0, 0) // PT_GNU_STACK: not executable
  bytes.set(code, CODE_OFFSET)
  return bytes
}

/** The program of stage two as parts of an ELF image, to be written one after another. */
export function sealedImage(calls: readonly Call[], options: { reportFd: number; base: number; trace?: Trace | undefined }): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let next = DATA_ADDRESS
  let used = 0
  const arena = createArena((size) => {
    const chunkSize = chunks.length === 0 ? Math.max(FIRST_CHUNK, size) : size
    const bytes = new Uint8Array(chunkSize)
    chunks.push(bytes)
    const base = next
    next += chunkSize
    return { buffer: bytes.buffer, base }
  }, FIRST_CHUNK)
  layOut(calls, arena, stageTwo, { ...options, child: true })
  used = arena.mark()
  const last = chunks.length - 1
  chunks[last] = (chunks[last] as Uint8Array).subarray(0, used)
  const dataSize = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  return [elfHeader(dataSize), ...chunks]
}

/** An empty memfd, close-on-exec. MFD_EXEC is known since Linux 6.3. */
export function executableMemfd(): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING
  const fd = callResult("memfd_create", "toybox", flags | MFD_EXEC)
  return fd >= 0 ? fd : call("memfd_create", "toybox", flags)
}

/** Puts an image into a memfd, which nobody can write again afterwards. */
export function fillAndSeal(fd: number, image: readonly Uint8Array[]): void {
  for (const part of image) writeAll(fd, part)
  call("fcntl", fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
}
