/** Single libc calls in this process, with errno stored beside the result by the walker. */
import type { Arg } from "./calls.ts"
import { SyscallError } from "./errno.ts"
import { type Stage, singleCall, type Target } from "./layout.ts"
import { address, arena, syscallNumber, walk } from "./libc.ts"
import { getU16, getU32, getWord, release, reserve } from "./memory.ts"

const targets = new Map<string, Target>()

/** Stage one: libc's own function where it has one, else libc's syscall(2). */
export const stageOne: Stage = {
  resolve(name) {
    let target = targets.get(name)
    if (target === undefined) {
      const own = address(name)
      target = own ? { address: own } : { address: address("syscall"), number: syscallNumber(name) }
      targets.set(name, target)
    }
    return target
  },
  errnoLocation: address("__errno_location"),
}

/** Bytes of `scratch`. */
export const SCRATCH_SIZE = 65536

/** Memory that calls fill: pass `address`, then read. */
export interface Scratch {
  readonly address: number
  /** The memory itself. */
  readonly bytes: Uint8Array
  /** At a byte offset, aligned to its size. */
  i32(at: number): number
  u32(at: number): number
  u16(at: number): number
  /** A signed 64-bit value that fits a double. */
  word(at: number): number
}

/** Takes memory for good. */
export function takeScratch(size: number): Scratch {
  const offset = reserve(arena, size)
  return {
    address: arena.base + offset,
    bytes: arena.bytes.subarray(offset, offset + size),
    i32: (at) => getU32(arena, offset + at) | 0,
    u32: (at) => getU32(arena, offset + at),
    u16: (at) => getU16(arena, offset + at),
    word: (at) => getWord(arena, offset + at),
  }
}

/** What most calls that fill a buffer use; the next such call fills it anew. */
export const scratch = takeScratch(SCRATCH_SIZE)

const single = singleCall(arena, stageOne)

function shown(arg: Arg): string {
  if (typeof arg === "string") return JSON.stringify(arg)
  if (typeof arg === "number" || typeof arg === "bigint") return String(arg)
  return arg === null ? "NULL" : "…"
}

/** Calls the libc function or system call `name`; returns its result, or -errno where it failed. */
export function callResult(name: string, ...args: Arg[]): number {
  const mark = arena.used
  single.write({ name, args })
  const failed = walk(single.address) === 0
  release(arena, mark)
  return failed ? -single.errno() : single.result()
}

/** The SyscallError of a call that returned -errno. */
export function failure(name: string, result: number, ...args: Arg[]): SyscallError {
  return new SyscallError(name, -result, args.map(shown).join(", "))
}

/** As callResult, but throws a SyscallError where the call failed. */
export function call(name: string, ...args: Arg[]): number {
  const result = callResult(name, ...args)
  if (result < 0) throw failure(name, result, ...args)
  return result
}
