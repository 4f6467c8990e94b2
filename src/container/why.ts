/** Why a container ended, in words: what `toybox why` prints. */
import { SIGKILL } from "../../ffi/constants/signal.ts"
import type { Asked } from "./asked.ts"
import type { ContainerRecord, ContainerResult } from "./state.ts"

export interface Account {
  record: ContainerRecord
  result: ContainerResult
  asked: Asked | null
}

const mebibytes = (bytes: number) => `${Number((bytes / 2 ** 20).toFixed(1))} MiB`
const seconds = (microseconds: number) => `${Number((microseconds / 1e6).toFixed(microseconds < 1e6 ? 3 : 1))} s`
const milliseconds = (count: number) => (count < 1000 ? `${count} ms` : seconds(count * 1000))
const between = (from: string | undefined, to: string) =>
  from === undefined ? null : Math.max(0, Date.parse(to) - Date.parse(from))

const INIT_HINT = "a PID 1 sees only signals that it has a handler for: run --init puts one before the command"

/** Who ended it, where that is known; null where the exit code says it all. */
export function enderOf(
  { record, result, asked: told }: Account,
  signalName: (number: number) => string,
): string | null {
  const { signal, exitCode, oomKilled, passedOn, fromForeground, error } = result
  const asked = told?.waiting ? null : told
  if (error !== undefined) return error
  if (asked?.killedAfter !== undefined)
    return `toybox stop: ${signalName(asked.signal)} had no effect in ${asked.killedAfter} s, and then SIGKILL`
  // What the kernel has killed may be another process of it, before it was asked to end.
  if (oomKilled && exitCode === 137 && asked?.signal !== SIGKILL) return "the kernel: its memory limit was reached"
  if (asked?.health) return "its health check had found it unhealthy (--health-on-failure kill)"
  const isOf = (sent: number) => signal === sent || exitCode === 128 + sent
  // Many a signal ends nothing.
  if (asked && (asked.command === "stop" || isOf(asked.signal))) {
    const how = isOf(asked.signal) || signal === undefined ? "" : `, and then by ${signalName(signal)} of somebody else`
    return `toybox ${asked.command}, with ${signalName(asked.signal)}${how}`
  }
  if (passedOn !== undefined)
    return record.detached && !fromForeground
      ? `${signalName(passedOn)} to its supervisor, as when the machine is stopped`
      : `${signalName(passedOn)}, sent to the toybox in the foreground (a terminal's Ctrl-C, or kill) and passed on`
  return signal === undefined ? null : "a process in the container, or one of this machine; not toybox"
}

/** The limits that it came to. */
function limitLines({ record, result: { usage, oomKilled } }: Account): [string, string][] {
  const { memory, pids } = record.spec.linux.resources
  const lines: [string, string][] = []
  if (!usage) return lines
  const { memoryPeakBytes: peak, cpuUsageUsec, periods, throttledPeriods, throttledUsec, pidsLimitHits } = usage
  if (peak !== null) {
    const limit = memory?.limit && memory.limit > 0 ? memory.limit : null
    const reached = oomKilled ? ": reached, and a process killed" : limit !== null && peak >= limit ? ": reached" : ""
    lines.push(["memory", `${mebibytes(peak)} at most${limit ? `, of ${mebibytes(limit)}${reached}` : ""}`])
  }
  if (cpuUsageUsec !== null) {
    const held = `held back for ${seconds(throttledUsec ?? 0)}, in ${throttledPeriods} of ${periods} periods`
    lines.push(["cpu", `${seconds(cpuUsageUsec)}${periods && throttledPeriods ? `; ${held}` : ""}`])
  }
  if (pidsLimitHits) lines.push(["processes", `limit of ${pids?.limit} reached: ${pidsLimitHits} could not be made`])
  const waited = Object.entries(usage.pressureUsec).flatMap(([of, time]) => (time ? [`${of} ${seconds(time)}`] : []))
  if (waited.length > 0) lines.push(["waited for", waited.join(", ")])
  return lines
}

function timeLine({ result: { started, executed, finished, obtainedMs } }: Account): string {
  const setUp = executed === undefined ? null : between(started, executed)
  const parts = [
    ["image", obtainedMs ?? null],
    ["set-up", setUp],
    ["command", between(executed, finished)],
  ] as const
  return parts.flatMap(([name, time]) => (time === null ? [] : [`${name} ${milliseconds(time)}`])).join(", ")
}

/** Titles and what there is to say. */
export function accountLines(account: Account, signalName: (number: number) => string): [string, string][] {
  const { result, asked } = account
  const { exitCode, signal, finished } = result
  const lines: [string, string][] = [
    ["ended", `${finished}, exit code ${exitCode}${signal === undefined ? "" : ` (${signalName(signal)})`}`],
  ]
  const ender = enderOf(account, signalName)
  if (ender !== null) lines.push(["by", ender])
  if (asked?.unhandled && asked.killedAfter !== undefined) lines.push(["hint", INIT_HINT])
  lines.push(...limitLines(account))
  const times = timeLine(account)
  if (times !== "") lines.push(["took", times])
  return lines
}
