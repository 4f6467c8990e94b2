/** Single libc calls in this process, whose errno native code has read; and lists of them. */
import type { Arg, Call } from "./calls.ts"
import { SyscallError } from "./errno.ts"
import { argumentWriter, isLong, type LayOutOptions, layOut, type Program, type Stage, type Target } from "./layout.ts"
import {
  address,
  arena,
  errnoLocation,
  freeMemory,
  invoke,
  reserveMemory,
  syscallNumber,
  viewMemory,
  walk,
  walkAddress,
} from "./libc.ts"
import { type Arena, ArenaFull, createArena, getU16, getU32, getWord, release, reserve } from "./memory.ts"

const targets = new Map<string, Target>()

// libc's own setters would tell every thread, and wait in a child for a lock that a thread of the parent had: nptl(7); its
// getcwd returns an address, and its clone takes a function.
const SYSTEM_CALL = new Set(["setgroups", "setresgid", "setresuid", "getcwd", "clone"])

function ofLibc(name: string): Target {
  const own = SYSTEM_CALL.has(name) ? 0 : address(name)
  return own ? { address: own } : { address: address("syscall"), number: syscallNumber(name) }
}

/** Stage one: libc's own function where it has one, else libc's syscall(2). */
export const stageOne: Stage = {
  resolve(name) {
    let target = targets.get(name)
    if (target === undefined) {
      target = name === "walk" ? { address: walkAddress } : ofLibc(name)
      targets.set(name, target)
    }
    return target
  },
  errnoLocation,
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

const argumentOf = argumentWriter(arena)

/** Hears of every call of this process: --trace. What it calls itself is not told to it. */
export interface Tracer {
  /** `result` is -errno of a call that failed. */
  single(call: Call, result: number, milliseconds: number): void
  /** A descriptor that a list may write its trace to (layout.ts). */
  open(): number
  /** The list has been walked. */
  list(calls: readonly Call[], fd: number): void
}

let tracer: Tracer | null = null

export function setTracer(wanted: Tracer): void {
  tracer = wanted
}

function tell<Result>(what: (tracer: Tracer) => Result): Result | undefined {
  const told = tracer
  if (told === null) return undefined
  tracer = null
  try {
    return what(told)
  } finally {
    tracer = told
  }
}

/** Lays out a list in `where` and carries it out in this process; `index` is that of the call it stopped at. */
export function walkHere(calls: readonly Call[], where: Arena | "anew" = arena): { program: Program; index: number } {
  const fd = tracer === null ? undefined : tell((told) => told.open())
  const options = { reportFd: -1, child: false, trace: fd === undefined ? undefined : { fd } }
  const program =
    where === "anew"
      ? reserveRegion().layOut(calls, stageOne, options).program
      : layOut(calls, where, stageOne, options)
  const index = program.index(walk(program.address))
  if (fd !== undefined) tell((told) => told.list(calls, fd))
  return { program, index }
}

/** Carries out a list in this process, in one go. Throws the SyscallError of the first call that failed. */
export function runList(calls: readonly Call[]): void {
  const mark = arena.used
  try {
    const { program, index } = walkHere(calls)
    const failed = calls[index]
    if (failed) throw failure(failed.name, -program.errno(index), ...failed.args)
  } finally {
    release(arena, mark)
  }
}

const FIRST_VIEW = 128 * 1024
// execve(2) takes at most 6 MiB of arguments and environment.
const LAST_VIEW = FIRST_VIEW * 4 ** 4

/** Memory for one list. `base` is its address here; what is laid out there begins with the program itself. */
export interface Region {
  readonly base: number
  /**
   * Lays a list out, once. `address` is where it will run, if that is not here. Throws ArenaFull beyond 32 MiB.
   */
  layOut(
    calls: readonly Call[],
    stage: Stage,
    options: LayOutOptions,
    address?: number,
  ): { program: Program; arena: Arena }
  /** Gives the memory back, and with it the list: who makes many would else fill the address space. */
  free(): void
}

/** Reserves a region; one that is `shared` may be laid out while a child waits to walk it. */
export function reserveRegion(shared = false): Region {
  const base = reserveMemory(LAST_VIEW, shared)
  return {
    base,
    layOut(calls, stage, options, address = base) {
      // Most lists are short, and what is viewed the garbage collector counts.
      for (let size = FIRST_VIEW; ; size *= 4) {
        const arena = createArena(viewMemory(base, size), address)
        try {
          return { program: layOut(calls, arena, stage, options), arena }
        } catch (error) {
          if (!(error instanceof ArenaFull) || size >= LAST_VIEW) throw error
          release(arena, 0)
        }
      }
    },
    free: () => freeMemory(base, LAST_VIEW),
  }
}

function shown(arg: Arg): string {
  if (typeof arg === "string") return JSON.stringify(arg)
  if (typeof arg === "number" || typeof arg === "bigint") return String(arg)
  return arg === null ? "NULL" : "…"
}

/**
 * Calls the libc function or system call `name`; returns its result, or -errno where it failed. Its arguments are not gathered:
 * that would take as long as all the rest, in code that has run a few times only.
 */
export function callResult(name: string, a0?: Arg, a1?: Arg, a2?: Arg, a3?: Arg, a4?: Arg, a5?: Arg): number {
  const mark = arena.used
  try {
    if (tracer === null) return invokeByName(name, a0, a1, a2, a3, a4, a5)
    const start = performance.now()
    const result = invokeByName(name, a0, a1, a2, a3, a4, a5)
    const duration = performance.now() - start
    tell((told) => told.single({ name, args: given(a0, a1, a2, a3, a4, a5) }, result, duration))
    return result
  } finally {
    // Also where the arguments were too much for the arena: the next call needs its room.
    if (arena.used !== mark) release(arena, mark)
  }
}

/** The same of one call that is made very often, with up to four numbers: what there is to look up is looked up once. */
export function oftenCalled(name: string): (a0: number, a1?: number, a2?: number, a3?: number) => number {
  const { address, number } = stageOne.resolve(name)
  if (number !== undefined) return (a0, a1, a2, a3) => callResult(name, a0, a1, a2, a3)
  const resultInt = isLong(name) ? 0 : 1
  return (a0, a1 = 0, a2 = 0, a3 = 0) =>
    tracer === null ? invoke(address, a0, a1, a2, a3, 0, 0, resultInt) : callResult(name, a0, a1, a2, a3)
}

const given = (...args: (Arg | undefined)[]): Arg[] => args.filter((arg) => arg !== undefined)

function invokeByName(name: string, a0?: Arg, a1?: Arg, a2?: Arg, a3?: Arg, a4?: Arg, a5?: Arg): number {
  const { address, number } = stageOne.resolve(name)
  const resultInt = isLong(name) ? 0 : 1
  const v0 = argumentOf(a0)
  const v1 = argumentOf(a1)
  const v2 = argumentOf(a2)
  const v3 = argumentOf(a3)
  const v4 = argumentOf(a4)
  if (number === undefined) return invoke(address, v0, v1, v2, v3, v4, argumentOf(a5), resultInt)
  if (a5 !== undefined) throw new RangeError(`${name}: too many arguments for a single call`)
  return invoke(address, number, v0, v1, v2, v3, v4, resultInt)
}

/** The SyscallError of a call that returned -errno. */
export function failure(name: string, result: number, ...args: Arg[]): SyscallError {
  return new SyscallError(name, -result, args.map(shown).join(", "))
}

/** As callResult, but throws a SyscallError where the call failed. */
export function call(name: string, a0?: Arg, a1?: Arg, a2?: Arg, a3?: Arg, a4?: Arg, a5?: Arg): number {
  const result = callResult(name, a0, a1, a2, a3, a4, a5)
  if (result < 0) throw failure(name, result, ...given(a0, a1, a2, a3, a4, a5))
  return result
}
