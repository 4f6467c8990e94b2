/** Calls in memory: the layouts of `struct call` and `struct program` are those of walker.c. */
import { type Arg, type Call, type Out, PROCESS, type Slot, type Struct } from "./calls.ts"
import { type Arena, getU16, getU32, getWord, placeBytes, placeString, reserve, setWord } from "./memory.ts"
import {
  CALL_SIZE,
  CHECK,
  CHECK_EQUAL,
  CHECK_MINUS_ONE,
  CHECK_NULL,
  ERR,
  EXPECT,
  FLAGS,
  INDEX,
  JUMP,
  JUMP_EQUAL,
  JUMP_NOT_EQUAL,
  MASK,
  OP,
  OP_LOAD,
  PROCESS_WORD,
  PROGRAM_SIZE,
  REPORT_TOLERATED,
  RESULT,
  RESULT_INT,
  STORE,
  STORE_SIZE,
  TOLERATE,
  TRACE_STRIDE,
} from "./records.ts"

/** How a name becomes a target; `number` goes before the arguments of a function reached through libc's syscall(2). */
export interface Target {
  readonly address: number
  readonly number?: number
}

/** What differs between the two stages. */
export interface Stage {
  resolve(name: string): Target
  /** Address of __errno_location, in stage one. */
  readonly errnoLocation: number
}

/** Calls reported as they happen, for --trace: after each one its record is written to `fd`. */
export type Trace = { readonly fd: number }

// Every other function of ours returns an int or a small ssize_t, whose upper half the ABI leaves undefined.
export const isLong = (name: string): boolean => name === "mmap" || name === "lseek"

interface Session {
  readonly arena: Arena
  readonly places: Map<object, number>
}

function addressOf({ arena, places }: Session, object: Slot | Out): number {
  let address = places.get(object)
  if (address === undefined) {
    address = arena.base + reserve(arena, object.kind === "slot" ? 8 : object.size + 8)
    places.set(object, address)
  }
  return address
}

function placeStruct(session: Session, { fields }: Struct): number {
  const { arena } = session
  let size = 0
  for (const field of fields) size += field[0]
  const offset = reserve(arena, size)
  let position = offset
  for (const [width, arg] of fields) {
    const value = argumentValue(session, arg)
    if (width === 8) setWord(arena, position, value)
    else for (let i = 0; i < width; i++) arena.bytes[position + i] = Number(value) >> (8 * i)
    position += width
  }
  return arena.base + offset
}

function placeStrings(session: Session, values: readonly string[]): number {
  const { arena } = session
  const offset = reserve(arena, (values.length + 1) * 8)
  for (let i = 0; i < values.length; i++) setWord(arena, offset + i * 8, placeString(arena, values[i] ?? ""))
  return arena.base + offset
}

function argumentValue(session: Session, arg: Arg): number | bigint {
  if (typeof arg === "number" || typeof arg === "bigint") return arg
  if (typeof arg === "string") return placeString(session.arena, arg)
  if (arg === null) return 0
  if (arg instanceof Uint8Array) return placeBytes(session.arena, arg)
  // A list, or a struct or strings used by several calls, is placed once.
  const known = session.places.get(arg)
  if (known !== undefined) return known
  switch (arg.kind) {
    case "slot":
    case "out":
      return addressOf(session, arg)
    case "at":
      return addressOf(session, arg.out) + arg.offset
    case "struct":
    case "strings": {
      const address = arg.kind === "struct" ? placeStruct(session, arg) : placeStrings(session, arg.values)
      session.places.set(arg, address)
      return address
    }
  }
}

/** Writes one call into the zeroed record at `base`. */
function writeCall(session: Session, stage: Stage, call: Call, base: number): void {
  const { arena } = session
  const { words } = arena
  const { name, args, fails, into, tolerate } = call
  let position = base + 8
  if (name === "load") {
    words[(base + OP) >> 2] = OP_LOAD
  } else {
    const target = stage.resolve(name)
    setWord(arena, base, target.address)
    if (target.number !== undefined) {
      words[position >> 2] = target.number
      position += 8
    }
    if (!isLong(name)) words[(base + FLAGS) >> 2] = call.report ? RESULT_INT | REPORT_TOLERATED : RESULT_INT
    if (fails === undefined) words[(base + CHECK) >> 2] = CHECK_MINUS_ONE
  }
  if (args.length > (base + 56 - position) / 8) throw new RangeError(`${name}: too many arguments for a call list`)
  let indirect = 0
  for (let i = 0; i < args.length; i++, position += 8) {
    const arg = args[i] as Arg
    if (arg === 0 || arg === null) continue
    // Most are small: the upper half is zero already.
    if (typeof arg === "number" && arg > 0 && arg <= 0xffffffff) {
      words[position >> 2] = arg
      continue
    }
    setWord(arena, position, argumentValue(session, arg))
    if (typeof arg === "object" && "kind" in arg && arg.kind === "slot") indirect |= 1 << ((position - base) / 8 - 1)
  }
  if (fails === "null") words[(base + CHECK) >> 2] = CHECK_NULL
  else if (typeof fails === "object") {
    words[(base + CHECK) >> 2] = CHECK_EQUAL
    setWord(arena, base + MASK, fails.mask)
    setWord(arena, base + EXPECT, fails.unless)
  }
  if (tolerate !== undefined) {
    for (const errno of tolerate) {
      const at = (base + TOLERATE + (errno >> 5) * 4) >> 2
      words[at] = (words[at] ?? 0) | (1 << (errno & 31))
    }
  }
  let size = 0
  if (into !== undefined) {
    const slot = "kind" in into
    setWord(arena, base + STORE, slot ? addressOf(session, into) : (argumentValue(session, into.at) as number))
    size = slot ? 8 : into.size
  }
  if (size !== 0 || indirect !== 0) words[(base + STORE_SIZE) >> 2] = size | (indirect << 16)
}

function writeJump(arena: Arena, { when, value, mask }: NonNullable<Call["jump"]>, index: number, base: number): void {
  arena.words[(base + JUMP) >> 2] = (when === "equal" ? JUMP_EQUAL : JUMP_NOT_EQUAL) | (index << 16)
  setWord(arena, base + MASK, mask ?? -1)
  setWord(arena, base + EXPECT, value)
}

const CLOCK_MONOTONIC = 1

/** The four records of a traced call; see TRACE_STRIDE. `index` is that in reports, `own` that in this list. */
function writeTraced(
  session: Session,
  stage: Stage,
  call: Call,
  own: number,
  index: number,
  trace: Trace,
  base: number,
): void {
  const { arena } = session
  writeCall(session, stage, call, base)
  arena.bytes[base + INDEX] = index
  arena.bytes[base + INDEX + 1] = index >> 8
  const record = arena.base + base
  const stamp = arena.base + reserve(arena, 16)
  const vector: Struct = {
    kind: "struct",
    fields: [
      [8, record],
      [8, CALL_SIZE],
      [8, stamp],
      [8, 16],
    ],
  }
  writeCall(session, stage, { name: "clock_gettime", args: [CLOCK_MONOTONIC, stamp], fails: "never" }, base + CALL_SIZE)
  writeCall(session, stage, { name: "writev", args: [trace.fd, vector, 2], fails: "never" }, base + 2 * CALL_SIZE)
  writeCall(session, stage, { name: "load", args: [record + RESULT, -1] }, base + 3 * CALL_SIZE)
  if (call.jump) writeJump(arena, call.jump, (own + 1 + call.jump.skip) * TRACE_STRIDE, base + 3 * CALL_SIZE)
}

/** Reads one trace report. `time` in milliseconds of CLOCK_MONOTONIC, when the call had returned. */
export function readTraceReport(
  arena: Arena,
  offset: number,
): { index: number; result: number; errno: number; time: number } {
  return {
    index: getU16(arena, offset + INDEX),
    result: getWord(arena, offset + RESULT),
    errno: getU32(arena, offset + ERR),
    time: getWord(arena, offset + CALL_SIZE) * 1000 + getWord(arena, offset + CALL_SIZE + 8) / 1e6,
  }
}

/** A laid-out program: its address for the walker, and readers for what the calls left. */
export interface Program {
  readonly address: number
  /** Index of the call that a walk stopped at, from what the walker returned. */
  index(returned: number): number
  /** The result of call `index`, after the walk in this process. */
  result(index: number): number
  /** Its errno, 0 when it did not fail. */
  errno(index: number): number
  /** A slot's value, after the walk in this process. */
  value(slot: Slot): number
  /** Where what the calls share has been placed. */
  readonly places: ReadonlyMap<object, number>
}

export interface LayOutOptions {
  /** Where a child writes its failure: index and errno. */
  reportFd: number
  /** Whether the whole list runs in a child. */
  child: boolean
  trace?: Trace | undefined
  /** Slots whose values are known beforehand. */
  preset?: readonly (readonly [Slot, number])[]
  /** Added to the indexes in reports and traces. */
  base?: number
  /** Another list, of the same memory, whose slots this one goes on with. */
  after?: Program
}

// A jump names its record in 16 bits.
const MOST_RECORDS = 0xffff

/** Lays `calls` out in `arena`. With `trace`, indexes in reports count TRACE_STRIDE per call. Throws where they are too many. */
export function layOut(calls: readonly Call[], arena: Arena, stage: Stage, options: LayOutOptions): Program {
  const { trace, base: first = 0 } = options
  const stride = trace ? TRACE_STRIDE : 1
  if (calls.length * stride > MOST_RECORDS) {
    throw new Error(`too many mounts, devices, paths or variables: they take ${calls.length} calls`)
  }
  const program = reserve(arena, PROGRAM_SIZE)
  const session: Session = { arena, places: new Map(options.after?.places) }
  session.places.set(PROCESS, arena.base + program + PROCESS_WORD)
  for (const [slot, value] of options.preset ?? []) {
    const place = reserve(arena, 8)
    setWord(arena, place, value)
    session.places.set(slot, arena.base + place)
  }
  const records = reserve(arena, calls.length * CALL_SIZE * stride)
  for (let index = 0; index < calls.length; index++) {
    const call = calls[index] as Call
    const record = records + index * CALL_SIZE * stride
    if (trace) writeTraced(session, stage, call, index, first + index, trace, record)
    else {
      writeCall(session, stage, call, record)
      if (call.jump !== undefined) writeJump(arena, call.jump, index + 1 + call.jump.skip, record)
    }
  }
  setWord(arena, program, arena.base + records)
  setWord(arena, program + 8, calls.length * stride)
  setWord(arena, program + 16, stage.resolve("write").address)
  setWord(arena, program + 24, stage.resolve(stage.errnoLocation ? "_exit" : "exit_group").address)
  setWord(arena, program + 32, stage.errnoLocation)
  setWord(arena, program + PROCESS_WORD, options.child ? 0 : 1)
  setWord(arena, program + 48, options.reportFd)
  setWord(arena, program + 56, first * stride)
  const recordAt = (index: number) => records + index * stride * CALL_SIZE
  return {
    address: arena.base + program,
    index: (returned) => Math.floor(returned / stride),
    result: (index) => getWord(arena, recordAt(index) + RESULT),
    errno: (index) => getU32(arena, recordAt(index) + ERR),
    value: (object) => getWord(arena, addressOf(session, object) - arena.base),
    places: session.places,
  }
}

/** Gives the values of single calls' arguments; what they point to is written into `arena`, and given back by the caller. */
export function argumentWriter(arena: Arena): (arg: Arg | undefined) => number | bigint {
  const session: Session = { arena, places: new Map() }
  return (arg) => {
    if (typeof arg === "number") return arg
    if (arg === undefined) return 0
    const value = argumentValue(session, arg)
    // Where a structure stood others will stand.
    if (session.places.size > 0) session.places.clear()
    return value
  }
}
