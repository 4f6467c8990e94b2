/** --trace: each call with its result and time, as the stages reported them. */
import { call } from "../../ffi/call.ts"
import type { Call } from "../../ffi/calls.ts"
import { readTraceReport, TRACE_REPORT_SIZE } from "../../ffi/layout.ts"
import { createArena } from "../../ffi/memory.ts"
import { errnoName } from "../../ffi/errno.ts"
import { formatCall } from "../../ffi/format.ts"
import { close, readAll, writeAll } from "../../ffi/fs.ts"

/** Prints what was written to the trace's memfd, and closes it. Times in microseconds since the call before. */
export function printTrace(fd: number, child: readonly Call[], sealed: readonly Call[]): void {
  call("lseek", fd, 0, 0)
  const bytes = readAll(fd)
  close(fd)
  const records = createArena(bytes.slice().buffer, 0)
  const lines: string[] = []
  let before: number | null = null
  for (let offset = 0; offset + TRACE_REPORT_SIZE <= bytes.length; offset += TRACE_REPORT_SIZE) {
    const { index, result, errno, time } = readTraceReport(records, offset)
    const made = index < child.length ? child[index] : sealed[index - child.length]
    if (!made) continue
    const outcome = result === -1 ? `-1 ${errnoName(errno)}` : String(result)
    const duration = before === null ? "" : ` <${Math.round((time - before) * 1000)} µs>`
    lines.push(`${index < child.length ? "child " : "sealed"} ${formatCall(made)} = ${outcome}${duration}`)
    before = time
  }
  // Long: the command's own arguments are in it.
  writeAll(2, new TextEncoder().encode(`${lines.join("\n")}\n`))
}
