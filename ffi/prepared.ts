/** Lists of calls that are laid out once and carried out many times with other arguments: for thousands of files. */
import { ptr } from "bun:ffi"
import { stageOne } from "./call.ts"
import type { Call } from "./calls.ts"
import { layOut } from "./layout.ts"
import { arena, walk } from "./libc.ts"
import { getU32, getWord, reserve, setWord } from "./memory.ts"
import { CALL_SIZE, ERR, EXPECT, RESULT } from "./records.ts"

/** A list whose arguments can be changed between the walks. Not told to --trace: there would be no end of it. */
export interface PreparedList {
  /** Sets argument `position` of call `index`: a number, or an address. */
  set(index: number, position: number, value: number): void
  /** Sets what the result of call `index` is compared with, where its failure is a result unlike that. */
  expect(index: number, value: number): void
  /** Carries the list out; the index of the call that failed, or the number of calls. */
  run(): number
  /** The result of call `index`. */
  result(index: number): number
  /** The errno of the call that failed. */
  errno(index: number): number
}

/** Lays a list out for good. Only functions that libc itself has. */
export function prepareList(calls: readonly Call[]): PreparedList {
  const program = layOut(calls, arena, stageOne, { reportFd: -1, child: false })
  const records = getWord(arena, program.address - arena.base) - arena.base
  return {
    set: (index, position, value) => setWord(arena, records + index * CALL_SIZE + 8 + position * 8, value),
    expect: (index, value) => setWord(arena, records + index * CALL_SIZE + EXPECT, value),
    run: () => walk(program.address),
    result: (index) => getWord(arena, records + index * CALL_SIZE + RESULT),
    errno: (index) => getU32(arena, records + index * CALL_SIZE + ERR),
  }
}

/** The address of bytes in JavaScript's memory, for a call that ends before anything else of JavaScript runs. */
export const addressOf = (bytes: Uint8Array): number => ptr(bytes)

/** Words of memory for a structure that calls read. */
export interface Words {
  readonly address: number
  /** Sets the 64-bit value number `index`. */
  set(index: number, value: number): void
}

/** Takes memory for good. */
export function takeWords(count: number): Words {
  const offset = reserve(arena, count * 8)
  return { address: arena.base + offset, set: (index, value) => setWord(arena, offset + index * 8, value) }
}
