/**
 * The list of calls that the walker carries out: what a call is, and how it is laid out in memory.
 * The layouts of `struct call` and `struct program` are those of walker.c.
 */
import { errnoNumber } from "./errno.ts"
import { type Arena, getWord, type Place, placeBytes, placeString, setWord } from "./memory.ts"

/** Holds the result of one call for later ones, e.g. a file descriptor. */
export interface Slot {
  readonly kind: "slot"
  readonly name: string
}

/** Zeroed memory that a call fills and that others may look at. `size` in bytes. */
export interface Out {
  readonly kind: "out"
  readonly name: string
  readonly size: number
}

/** The address of a place inside an Out, or of a slot. */
export interface At {
  readonly kind: "at"
  readonly out: Out | Slot
  readonly offset: number
}

/** A C structure without implied padding: fields of 1, 2, 4 or 8 bytes; pointers are 8. */
export interface Struct {
  readonly kind: "struct"
  readonly fields: readonly (readonly [1 | 2 | 4 | 8, Arg])[]
}

/** A NULL-terminated array of strings, as execve(2) takes. */
export interface Strings {
  readonly kind: "strings"
  readonly values: readonly string[]
}

export type Arg = number | bigint | string | null | Uint8Array | Slot | Out | At | Struct | Strings

/** One call: a libc function or system call under its man-page name, or "load": ((word at arg 0 AND arg 1) OR arg 2) minus arg 3. */
export interface Call {
  readonly name: string
  readonly args: readonly Arg[]
  /** What failure is; a result of -1 unless said. */
  readonly fails?: "never" | "null" | { readonly mask: number; readonly unless: number }
  /** Errnos that are no failure. */
  readonly tolerate?: readonly string[]
  /** Tolerated errnos are reported all the same (for the exec candidates). */
  readonly report?: boolean
  readonly into?: Slot | { readonly at: At; readonly size: 4 | 8 }
  /** Skip `skip` calls (negative: go back) when result & mask equals, or differs from, `value`. */
  readonly jump?: { readonly when: "equal" | "not-equal"; readonly value: number; readonly mask?: number; readonly skip: number }
  /** The step of the plan that this call belongs to; given back with a failure. */
  readonly step?: number
}

export const slot = (name: string): Slot => ({ kind: "slot", name })
export const out = (name: string, size: number): Out => ({ kind: "out", name, size })
export const at = (target: Out | Slot, offset: number): At => ({ kind: "at", out: target, offset })
export const struct = (...fields: Struct["fields"]): Struct => ({ kind: "struct", fields })
export const strings = (values: readonly string[]): Strings => ({ kind: "strings", values })

/** The walker's own word: 0 in a child. A clone's result goes here, so that a failing child reports and exits. */
export const PROCESS = slot("process")

/** What differs between the two stages: how a name becomes a target. */
export interface Stage {
  /** Yields the target, and for functions reached through libc's syscall(2) the number that goes before the arguments. */
  resolve(name: string): { target: number; number?: number }
  /** Address of __errno_location, in stage one. */
  errnoLocation: number
}

/** Calls reported as they happen, for --trace: after each one its record is written to `fd`. */
export interface Trace {
  readonly fd: number
}

const CALL_SIZE = 128
const PROGRAM_SIZE = 64
const PROCESS_WORD = 40
const RESULT = 56
const OP = 64
const CHECK = 68
const MASK = 72
const EXPECT = 80
const TOLERATE = 88
const STORE = 104
const ERR = 112
const STORE_SIZE = 116
const INDIRECT = 118
const JUMP = 120
const TO = 122
const FLAGS = 124
const INDEX = 126

const OP_LOAD = 1
const CHECK_NONE = 0
const CHECK_MINUS_ONE = 1
const CHECK_NULL = 2
const CHECK_EQUAL = 3
const JUMP_EQUAL = 1
const JUMP_NOT_EQUAL = 2
const RESULT_INT = 1
const REPORT_TOLERATED = 2

/** A traced call takes four records: itself, the clock, the report, the jump. */
export const TRACE_STRIDE = 4
/** Of a trace report: the record, then seconds and nanoseconds of CLOCK_MONOTONIC. */
export const TRACE_REPORT_SIZE = CALL_SIZE + 16
/** Reads one trace report. `time` in milliseconds of CLOCK_MONOTONIC, when the call had returned. */
export function readTraceReport(view: DataView, offset: number): { index: number; result: number; errno: number; time: number } {
  const seconds = getWord(view, offset + CALL_SIZE)
  const nanoseconds = getWord(view, offset + CALL_SIZE + 8)
  return {
    index: view.getUint16(offset + INDEX, true),
    result: getWord(view, offset + RESULT),
    errno: view.getUint32(offset + ERR, true),
    time: seconds * 1000 + nanoseconds / 1e6,
  }
}

/** Of a failure report: index and errno. */
export const REPORT_SIZE = 8

// Every other function of ours returns an int or a small ssize_t, whose upper half the ABI leaves undefined.
const LONG_RESULT = new Set(["mmap", "lseek"])

interface Session {
  arena: Arena
  places: Map<object, number>
}

function addressOf(session: Session, object: Slot | Out): number {
  let address = session.places.get(object)
  if (address === undefined) {
    address = session.arena.allocate(object.kind === "slot" ? 8 : object.size + 8).address
    session.places.set(object, address)
  }
  return address
}

function placeStruct(session: Session, { fields }: Struct): number {
  let size = 0
  for (const field of fields) size += field[0]
  const { view, offset, address } = session.arena.allocate(size)
  let position = offset
  for (const [width, arg] of fields) {
    const value = valueOf(session, arg)
    if (width === 8) setWord(view, position, value)
    else if (width === 4) view.setUint32(position, Number(value) >>> 0, true)
    else if (width === 2) view.setUint16(position, Number(value), true)
    else view.setUint8(position, Number(value))
    position += width
  }
  return address
}

function placeStrings(session: Session, values: readonly string[]): number {
  const { view, offset, address } = session.arena.allocate((values.length + 1) * 8)
  values.forEach((value, i) => {
    setWord(view, offset + i * 8, placeString(session.arena, value).address)
  })
  return address
}

function valueOf(session: Session, arg: Arg): number | bigint {
  if (typeof arg === "number" || typeof arg === "bigint") return arg
  if (arg === null) return 0
  if (typeof arg === "string") return placeString(session.arena, arg).address
  if (arg instanceof Uint8Array) return placeBytes(session.arena, arg).address
  switch (arg.kind) {
    case "slot":
    case "out":
      return addressOf(session, arg)
    case "at":
      return addressOf(session, arg.out) + arg.offset
    case "struct":
      return placeStruct(session, arg)
    case "strings":
      return placeStrings(session, arg.values)
  }
}

function writeTolerated(view: DataView, base: number, names: readonly string[]): void {
  for (const name of names) {
    const errno = errnoNumber(name)
    const position = base + TOLERATE + (errno >> 3)
    view.setUint8(position, view.getUint8(position) | (1 << (errno & 7)))
  }
}

function writeCall(session: Session, stage: Stage, call: Call, { view, offset: base }: Place): void {
  let first = 8
  if (call.name === "load") {
    view.setUint8(base + OP, OP_LOAD)
  } else {
    const { target, number } = stage.resolve(call.name)
    setWord(view, base, target)
    if (number !== undefined) {
      setWord(view, base + first, number)
      first += 8
    }
    if (!LONG_RESULT.has(call.name)) view.setUint16(base + FLAGS, RESULT_INT | (call.report ? REPORT_TOLERATED : 0), true)
  }
  let indirect = 0
  for (const arg of call.args) {
    if (first > 48) throw new RangeError(`${call.name}: too many arguments for a call list`)
    if (arg !== 0 && arg !== null) {
      setWord(view, base + first, valueOf(session, arg))
      if (typeof arg === "object" && "kind" in arg && arg.kind === "slot") indirect |= 1 << (first / 8 - 1)
    }
    first += 8
  }
  if (indirect) view.setUint16(base + INDIRECT, indirect, true)

  const { fails } = call
  let check = CHECK_MINUS_ONE
  if (fails === "never" || (call.name === "load" && fails === undefined)) check = CHECK_NONE
  else if (fails === "null") check = CHECK_NULL
  else if (typeof fails === "object") {
    check = CHECK_EQUAL
    setWord(view, base + MASK, fails.mask)
    setWord(view, base + EXPECT, fails.unless)
  }
  view.setUint8(base + CHECK, check)
  if (call.tolerate) writeTolerated(view, base, call.tolerate)

  const { into } = call
  if (into) {
    const isSlot = "kind" in into
    setWord(view, base + STORE, isSlot ? addressOf(session, into) : (valueOf(session, into.at) as number))
    view.setUint16(base + STORE_SIZE, isSlot ? 8 : into.size, true)
  }
}

function writeJump(jump: NonNullable<Call["jump"]>, index: number, { view, offset: base }: Place): void {
  view.setUint16(base + JUMP, jump.when === "equal" ? JUMP_EQUAL : JUMP_NOT_EQUAL, true)
  setWord(view, base + MASK, jump.mask ?? -1)
  setWord(view, base + EXPECT, jump.value)
  view.setUint16(base + TO, index, true)
}

const CLOCK_MONOTONIC = 1

/** The four records of a traced call; see TRACE_STRIDE. */
function writeTraced(session: Session, stage: Stage, call: Call, index: number, trace: Trace, place: Place): void {
  const record = { ...place, offset: place.offset }
  writeCall(session, stage, call, record)
  const stamp = session.arena.allocate(TRACE_REPORT_SIZE)
  const part = (n: number): Place => ({ ...place, offset: place.offset + n * CALL_SIZE, address: place.address + n * CALL_SIZE })
  const clock: Call = { name: "clock_gettime", args: [CLOCK_MONOTONIC, stamp.address], fails: "never" }
  const vector = struct([8, place.address], [8, CALL_SIZE], [8, stamp.address], [8, 16])
  writeCall(session, stage, clock, part(1))
  writeCall(session, stage, { name: "writev", args: [trace.fd, vector, 2], fails: "never" }, part(2))
  writeCall(session, stage, { name: "load", args: [place.address + RESULT, -1], fails: "never" }, part(3))
  if (call.jump) writeJump(call.jump, (index + 1 + call.jump.skip) * TRACE_STRIDE, part(3))
}

/** A laid-out program: its address for the walker, and readers for what the calls left. */
export interface Program {
  readonly address: number
  /** The result of call `index`, after the walk in this process. */
  result(index: number): number
  /** Its errno, 0 when it did not fail. */
  errno(index: number): number
  /** A slot's value, after the walk in this process. */
  value(slot: Slot): number
  /** Where an Out lies. */
  placeOf(object: Slot | Out): number
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
}

/** Lays `calls` out in `arena`. With `trace`, indexes in reports count TRACE_STRIDE per call. */
export function layOut(calls: readonly Call[], arena: Arena, stage: Stage, options: LayOutOptions): Program {
  const session: Session = { arena, places: new Map() }
  const { trace, base = 0 } = options
  const program = arena.allocate(PROGRAM_SIZE)
  session.places.set(PROCESS, program.address + PROCESS_WORD)
  for (const [slot, value] of options.preset ?? []) {
    const place = arena.allocate(8)
    setWord(place.view, place.offset, value)
    session.places.set(slot, place.address)
  }
  const stride = trace ? TRACE_STRIDE : 1
  const records = arena.allocate(calls.length * CALL_SIZE * stride)
  calls.forEach((call, index) => {
    const shift = index * CALL_SIZE * stride
    const place: Place = { ...records, offset: records.offset + shift, address: records.address + shift }
    if (trace) {
      writeTraced(session, stage, call, index, trace, place)
      place.view.setUint16(place.offset + INDEX, base + index, true)
    } else {
      writeCall(session, stage, call, place)
      if (call.jump) writeJump(call.jump, index + 1 + call.jump.skip, place)
    }
  })
  const { view, offset } = program
  setWord(view, offset, records.address)
  setWord(view, offset + 8, calls.length * stride)
  setWord(view, offset + 16, stage.resolve("write").target)
  setWord(view, offset + 24, stage.resolve(stage.errnoLocation ? "_exit" : "exit_group").target)
  setWord(view, offset + 32, stage.errnoLocation)
  setWord(view, offset + PROCESS_WORD, options.child ? 0 : 1)
  setWord(view, offset + 48, options.reportFd)
  setWord(view, offset + 56, base * stride)
  const recordAt = (index: number) => records.offset + index * stride * CALL_SIZE
  return {
    address: program.address,
    result: (index) => getWord(records.view, recordAt(index) + RESULT),
    errno: (index) => records.view.getUint32(recordAt(index) + ERR, true),
    value: (object) => {
      const place = session.places.get(object)
      if (place === undefined) throw new RangeError(`slot ${object.name} is used by no call`)
      return getWord(records.view, place - records.address + records.offset)
    },
    placeOf: (object) => addressOf(session, object),
  }
}
