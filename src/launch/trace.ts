/** --trace: each call with its result and time, on standard error. */
import { call, setTracer } from "../../ffi/call.ts"
import type { Call } from "../../ffi/calls.ts"
import { errnoName } from "../../ffi/errno.ts"
import { formatCall } from "../../ffi/format.ts"
import { close, readAll, writeAll } from "../../ffi/fs.ts"
import { readTraceReport } from "../../ffi/layout.ts"
import { createArena } from "../../ffi/memory.ts"
import { TRACE_REPORT_SIZE } from "../../ffi/records.ts"

const encoder = new TextEncoder()

const line = (who: string, made: Call, outcome: string, milliseconds: number | null) =>
  `${who} ${formatCall(made)} = ${outcome}${milliseconds === null ? "" : ` <${Math.round(milliseconds * 1000)} µs>`}`

const outcome = (result: number, errno: number) => (errno === 0 ? String(result) : `-1 ${errnoName(errno)}`)

// Long: the command's own arguments are in it.
const print = (lines: readonly string[]) => writeAll(2, encoder.encode(lines.map((text) => `${text}\n`).join("")))

/** A list of calls, and who carried it out. */
export type TracedList = readonly [who: string, calls: readonly Call[]]

/**
 * Prints what lists have written to a trace's memfd, and closes it. The indexes run on from one list to the next. Times
 * are those since the call before.
 */
export function printTrace(fd: number, lists: readonly TracedList[]): void {
  const made = lists.flatMap(([who, calls]) => calls.map((call) => [who, call] as const))
  call("lseek", fd, 0, 0)
  const bytes = readAll(fd)
  close(fd)
  const records = createArena(bytes.slice().buffer, 0)
  const lines: string[] = []
  let before: number | null = null
  for (let offset = 0; offset + TRACE_REPORT_SIZE <= bytes.length; offset += TRACE_REPORT_SIZE) {
    const { index, result, errno, time } = readTraceReport(records, offset)
    const [who, traced] = made[index] ?? []
    if (!who || !traced) continue
    lines.push(line(who, traced, outcome(result, result === -1 ? errno : 0), before === null ? null : time - before))
    before = time
  }
  print(lines)
}

/** Prints every call of this process from now on. */
export function traceThisProcess(): void {
  setTracer({
    single: (made, result, milliseconds) =>
      print([line("parent", made, outcome(result, Math.max(0, -result)), milliseconds)]),
    open: () => call("memfd_create", "trace", 1),
    list: (calls, fd) => printTrace(fd, [["parent", calls]]),
  })
}
