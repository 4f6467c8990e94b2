/** The time as logs and events have it: clock_gettime(2). */
import { callResult, scratch } from "../ffi/call.ts"

const CLOCK_REALTIME = 0

/** RFC 3339 with nanoseconds, always as long, so that texts compare as times do. */
export function timestamp(): string {
  callResult("clock_gettime", CLOCK_REALTIME, scratch.address)
  const seconds = scratch.word(0)
  const nanoseconds = String(scratch.word(8)).padStart(9, "0")
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${nanoseconds}Z`
}
