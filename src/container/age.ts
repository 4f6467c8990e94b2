/** How long something has been going on, whatever the clock of the machine was set to meanwhile. */
import { readText } from "../../ffi/fs.ts"
import type { RunningRecord } from "./state.ts"

/** USER_HZ, which is the same everywhere. */
const TICKS = 100

/** Milliseconds since the container's first process began, as long as it is there or was seen to end: proc_uptime(5). */
export function ageOf({ startTime }: Pick<RunningRecord, "startTime">): number {
  // Of one that did not even begin.
  if (startTime === "") return 0
  const [uptime] = readText("/proc/uptime").split(" ")
  return Number(uptime) * 1000 - (Number(startTime) * 1000) / TICKS
}
