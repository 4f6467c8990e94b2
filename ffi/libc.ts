/**
 * The door to libc. Two symbols are bound through bun:ffi (each costs a compiled trampoline at start): `dlsym` and
 * `syscall`. Everything else is called by the walker through addresses that dlsym gives.
 */
import { CFunction, dlopen, FFIType, type Pointer, toArrayBuffer } from "bun:ffi"
import {
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from "./constants/mman.ts"
import { createArena, placeString, release } from "./memory.ts"
import { SYSCALL_NUMBERS } from "./syscall-numbers.ts"
import { WALKER as ARM64 } from "./walker.arm64.ts"
import { WALKER as X64 } from "./walker.x64.ts"

const arch = process.arch === "arm64" ? "arm64" : "x64"

/** A piece of the walker for this processor: its machine code. */
export const walkerCode = (piece: keyof typeof X64): Uint8Array<ArrayBuffer> =>
  Uint8Array.fromBase64((arch === "arm64" ? ARM64 : X64)[piece])

// glibc, then musl's names for itself. musl also installs its loader under the libc name of the distribution.
const SONAMES =
  arch === "arm64"
    ? ["libc.so.6", "libc.musl-aarch64.so.1", "ld-musl-aarch64.so.1"]
    : ["libc.so.6", "libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1"]

const SIGNATURES = {
  dlsym: { args: ["ptr", "ptr"], returns: "ptr" },
  syscall: { args: ["i64", "u64", "u64", "i64", "i64", "i64", "i64"], returns: "i64" },
} as const

function open() {
  for (const name of SONAMES) {
    try {
      return dlopen(name, SIGNATURES).symbols
    } catch (error) {
      if (name === "libc.so.6" && String(error).includes("dlsym")) {
        // Before glibc 2.34 dlsym(3) lives in libdl.
        const { dlsym } = dlopen("libdl.so.2", { dlsym: SIGNATURES.dlsym }).symbols
        const { syscall } = dlopen(name, { syscall: SIGNATURES.syscall }).symbols
        return { dlsym, syscall }
      }
    }
  }
  throw new Error(`no C library found (tried ${SONAMES.join(", ")})`)
}

const libc = open()
const MMAP = { x64: 9, arm64: 222 }[arch]
const MUNMAP = { x64: 11, arm64: 215 }[arch]
const MPROTECT = { x64: 10, arm64: 226 }[arch]

/** Reserves zeroed memory outside the garbage collector's heap, of this process or `shared` with its children: mmap(2). */
export function reserveMemory(length: number, shared = false): number {
  const flags = (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_NORESERVE
  const base = Number(libc.syscall(MMAP, 0, length, PROT_READ | PROT_WRITE, flags, -1, 0))
  if (base < 0) throw new Error(`mmap of ${length} bytes failed`)
  return base
}

/** Gives reserved memory back: nobody may read or write a view of it any more. munmap(2). */
export function freeMemory(base: number, length: number): void {
  libc.syscall(MUNMAP, base, length, 0, 0, 0, 0)
}

/** Memory at an address as an ArrayBuffer; the garbage collector counts its size as its own. */
export const viewMemory = (base: number, length: number): ArrayBuffer => toArrayBuffer(base as Pointer, 0, length)

/** Memory of this process, reserved and viewed. `base` is its address. */
export function mapMemory(length: number): { base: number; buffer: ArrayBuffer } {
  const base = reserveMemory(length)
  return { base, buffer: viewMemory(base, length) }
}

/** Where single calls are laid out, with their strings and structures. */
// Small: the garbage collector would start for more.
const arenaMemory = mapMemory(384 * 1024)
export const arena = createArena(arenaMemory.buffer, arenaMemory.base)

const addresses = new Map<string, number>()

/** The address of a libc function, or 0 where this libc lacks it: dlsym(3). */
export function address(name: string): number {
  let found = addresses.get(name)
  if (found === undefined) {
    const mark = arena.used
    found = Number(libc.dlsym(null, placeString(arena, name) as Pointer) ?? 0)
    release(arena, mark)
    addresses.set(name, found)
  }
  return found
}

/** The number of a system call on this processor. */
export function syscallNumber(name: string): number {
  const text = SYSCALL_NUMBERS[arch]
  const start = text.indexOf(` ${name}=`)
  if (start < 0) throw new Error(`no libc function or system call ${name} is known`)
  return Number.parseInt(text.slice(start + name.length + 2), 10)
}

// Functions begin on such a boundary in memory, as compilers have it.
const aligned = (offset: number) => (offset + 15) & ~15

function loadWalker() {
  const list = walkerCode("STAGE_ONE")
  const single = walkerCode("SINGLE_CALL")
  const singleAt = aligned(list.length + 8)
  const size = singleAt + single.length
  const { base, buffer } = mapMemory(size)
  const bytes = new Uint8Array(buffer)
  bytes.set(list)
  new BigUint64Array(buffer, singleAt - 8, 1)[0] = BigInt(errnoLocation)
  bytes.set(single, singleAt)
  if (Number(libc.syscall(MPROTECT, base, size, PROT_READ | PROT_EXEC, 0, 0, 0)) !== 0) {
    throw new Error("mprotect of the walker failed: executable memory is not allowed here")
  }
  return {
    walkAddress: base,
    walk: CFunction({ ptr: base as Pointer, args: ["u64"], returns: "u32" }) as unknown as (program: number) => number,
    invoke: CFunction({
      ptr: (base + singleAt) as Pointer,
      args: ["u64", "i64", "i64", "i64", "i64", "i64", "i64", "u32"],
      returns: FFIType.i64_fast,
    }) as unknown as SingleCall,
  }
}

type Word = number | bigint
type SingleCall = (
  target: number,
  a0: Word,
  a1: Word,
  a2: Word,
  a3: Word,
  a4: Word,
  a5: Word,
  resultInt: 0 | 1,
) => number

/** The address of __errno_location. */
export const errnoLocation = address("__errno_location")

/**
 * `walk`, at `walkAddress`, carries out a laid-out program (layout.ts) in this process and returns the index at which it
 * stopped; `invoke` makes one call of a libc function by its address, and returns the result or -errno.
 */
export const { walkAddress, walk, invoke } = loadWalker()
