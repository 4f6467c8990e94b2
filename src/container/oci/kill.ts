/** `kill`, `pause` and `resume`. */
import { callResult, failure } from "../../../ffi/call.ts"
import * as signals from "../../../ffi/constants/signal.ts"
import { close } from "../../../ffi/fs.ts"
import { kill } from "../../../ffi/signal.ts"
import { openCgroup } from "../../cgroup/manager.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import type { OciRecord } from "./record.ts"
import { awaitsStart, containerDirectory, isAlive, readConfig, readRecord, statusOf } from "./state.ts"
import { pause } from "./still.ts"

const LAST_SIGNAL = 64

/** A signal by name, with or without SIG, or number. Throws UsageError. */
export function parseSignal(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : undefined
  if (number !== undefined) {
    if (number >= 0 && number <= LAST_SIGNAL) return number
  } else {
    const upper = text.toUpperCase()
    const name = upper.startsWith("SIG") ? upper : `SIG${upper}`
    const realtime = /^SIGRT(MIN|MAX)([+-]\d+)?$/.exec(name)
    if (realtime) {
      const value = (realtime[1] === "MIN" ? 34 : LAST_SIGNAL) + Number(realtime[2] ?? 0)
      if (value >= 34 && value <= LAST_SIGNAL) return value
    }
    const known = name === "SIG_BLOCK" ? undefined : (signals as Record<string, number>)[name]
    if (known !== undefined && /^SIG[A-Z0-9]+$/.test(name)) return known
  }
  throw new UsageError(`unknown signal ${JSON.stringify(text)}`, {
    hint: "use a name such as TERM, or a number up to 64",
  })
}

/** Sends a signal to the very process that the record means, even should it end meanwhile: pidfd_send_signal(2). */
function signalProcess(record: OciRecord, signal: number): boolean {
  const pidFd = callResult("pidfd_open", record.pid, 0)
  if (pidFd < 0) return false
  try {
    if (!isAlive(record)) return false
    const result = callResult("pidfd_send_signal", pidFd, signal, null, 0)
    if (result < 0 && result !== -3) throw failure("pidfd_send_signal", result, record.pid, signal)
    return result === 0
  } finally {
    close(pidFd)
  }
}

const { SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM } = signals
const ENDING = new Set([SIGHUP, SIGINT, SIGQUIT, SIGTERM])

/** Sends a signal to a container's first process, or with `all` to every process of it. Throws where it does not run. */
export function killContainer(root: string, id: string, signal: number, all: boolean): void {
  const record = readRecord(root, id)
  const status = statusOf(root, record)
  const manager = record.cgroup ? openCgroup(record.cgroup) : null
  const everyone = all || (signal === SIGKILL && !ownPids(root, record))
  if (status === "creating") throw new ToyboxError(`container is being created: ${id}`)
  if (status === "stopped" && !everyone) throw new ToyboxError(`container not running: ${id}`)
  // What waits at its FIFO has no handlers, and as the first process of a namespace the kernel keeps other signals from it.
  const sent = ENDING.has(signal) && awaitsStart(root, id) ? SIGKILL : signal
  if (everyone && manager) {
    if (sent === SIGKILL) manager.kill()
    else for (const pid of manager.pids()) kill(pid, sent)
  } else if (!signalProcess(record, sent)) throw new ToyboxError(`container not running: ${id}`)
  // Frozen processes die when they are thawed.
  if (sent === SIGKILL && status === "paused") manager?.thaw()
}

const ownPids = (root: string, record: OciRecord) =>
  readConfig(root, record).linux.namespaces.some(({ type, path }) => type === "pid" && path === undefined)

/** Stops the processes of a running container where they are. */
export function pauseContainer(root: string, id: string): void {
  const record = readRecord(root, id)
  const status = statusOf(root, record)
  if (status !== "running" && status !== "created") throw new ToyboxError(`container not running: ${id} is ${status}`)
  if (!record.cgroup) throw withoutCgroup(id)
  if (!pause(containerDirectory(root, id), record.cgroup)) throw new ToyboxError(`container is paused already: ${id}`)
}

/** Lets them go on. */
export function resumeContainer(root: string, id: string): void {
  const record = readRecord(root, id)
  const status = statusOf(root, record)
  if (status !== "paused") throw new ToyboxError(`container not paused: ${id} is ${status}`)
  cgroupOf(record).thaw()
}

const withoutCgroup = (id: string) => new ToyboxError(`container ${id} has no cgroup`)

/** The cgroup of a container. Throws where it has none. */
export function cgroupOf({ id, cgroup }: OciRecord) {
  if (!cgroup) throw withoutCgroup(id)
  return openCgroup(cgroup)
}
