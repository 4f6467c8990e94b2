/** Offsets and codes of `struct call` and `struct program` in walker.c, and of what the walker reports. */

export const CALL_SIZE = 128
export const PROGRAM_SIZE = 64
export const PROCESS_WORD = 40
export const RESULT = 56
export const OP = 64
export const CHECK = 68
export const MASK = 72
export const EXPECT = 80
export const TOLERATE = 88
export const STORE = 104
export const ERR = 112
/** With `indirect` in the upper half of its word. */
export const STORE_SIZE = 116
/** With `to` in the upper half of its word. */
export const JUMP = 120
export const FLAGS = 124
export const INDEX = 126

export const OP_LOAD = 1
// CHECK_NONE is 0.
export const CHECK_MINUS_ONE = 1
export const CHECK_NULL = 2
export const CHECK_EQUAL = 3
export const JUMP_EQUAL = 1
export const JUMP_NOT_EQUAL = 2
export const RESULT_INT = 1
export const REPORT_TOLERATED = 2

/** A traced call takes four records: itself, the clock, the report, the jump. */
export const TRACE_STRIDE = 4
/** Of a trace report: the record, then seconds and nanoseconds of CLOCK_MONOTONIC. */
export const TRACE_REPORT_SIZE = CALL_SIZE + 16
/** Of a failure report: index and errno. */
export const REPORT_SIZE = 8
