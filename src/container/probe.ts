/** One look at a container's health. */
import type { Subprocess } from "bun"
import { O_RDWR } from "../../ffi/constants/fcntl.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { close, open, read } from "../../ffi/fs.ts"
import { pipe } from "../../ffi/pipe.ts"
import { poll } from "../../ffi/poll.ts"
import { kill } from "../../ffi/signal.ts"
import { spawnSelf } from "../../ffi/spawn.ts"
import { openCgroup } from "../cgroup/manager.ts"
import type { CgroupHandle } from "../cgroup/plan.ts"
import { environmentOf, type Paths } from "../paths.ts"
import { ageOf } from "./age.ts"
import { isToEnd, noteAsked, readAsked } from "./asked.ts"
import { recordEvents } from "./events.ts"
import { afterProbe, type HealthCheck, type OnFailure, type Probe, UNKNOWN_HEALTH } from "./health.ts"
import { readHealth, writeHealth } from "./health-file.ts"
import { STILL_STARTING } from "./health-monitor.ts"
import { isPaused } from "./standstill.ts"
import { type ContainerHead, isAlive, parentOf, type RunningRecord, readHead, readRunning } from "./state.ts"

// As docker has it.
const MOST_OUTPUT = 4096

/** Reads what comes until the end of it, or `deadline` (performance.now); null then. */
function readUntil(fd: number, deadline: number): Uint8Array | null {
  const parts: Uint8Array[] = []
  let length = 0
  for (;;) {
    const left = deadline - performance.now()
    if (left <= 0) return null
    poll([{ fd, events: POLLIN }], Math.ceil(left))
    if (performance.now() >= deadline) return null
    const part = read(fd)
    if (part.length === 0) return Buffer.concat(parts).subarray(0, MOST_OUTPUT)
    if (length < MOST_OUTPUT) parts.push(part.slice())
    length += part.length
  }
}

const PATIENCE = 5000
const LOOK_EVERY = 50

/** The processes of a container that a process, and those below it, have started. */
function startedBy(pid: number, cgroup: CgroupHandle): number[] {
  const pids = openCgroup(cgroup).pids()
  const parents = new Map(pids.map((one) => [one, parentOf(one)]))
  const found: number[] = []
  for (let last = [pid]; last.length > 0; found.push(...last))
    last = pids.filter((one) => last.includes(parents.get(one) ?? 0))
  return found
}

/** Ends the probe that a toybox runs, and with it that toybox: killed itself it would leave the probe behind, as any exec is. */
async function endProbe(child: Subprocess, { cgroup }: RunningRecord): Promise<void> {
  for (const end = performance.now() + PATIENCE; cgroup !== null && performance.now() < end; ) {
    // It may not be there yet.
    for (const pid of startedBy(child.pid, cgroup)) kill(pid, SIGKILL)
    if (typeof (await Promise.race([child.exited, Bun.sleep(LOOK_EVERY)])) === "number") return
  }
  child.kill("SIGKILL")
  await child.exited
}

/** Runs the command by a toybox of its own, in the same environment. */
async function probe(id: string, { command, timeout }: HealthCheck, running: RunningRecord): Promise<Probe> {
  const start = new Date().toISOString()
  const deadline = performance.now() + timeout
  const [output, end] = pipe()
  const nothing = open("/dev/null", O_RDWR)
  const child = Bun.spawn({
    cmd: ["/proc/self/exe", "exec", id, ...command],
    argv0: "toybox",
    stdin: nothing,
    stdout: end,
    stderr: end,
  })
  for (const fd of [end, nothing]) close(fd)
  const told = readUntil(output, deadline)
  // Who has closed its output may still run.
  const ended =
    told !== null && (await Promise.race([child.exited, Bun.sleep(Math.max(0, deadline - performance.now()))]))
  close(output)
  if (told === null || typeof ended !== "number") {
    await endProbe(child, running)
    const text = `Health check exceeded timeout (${timeout} ms)`
    return { start, end: new Date().toISOString(), exitCode: -1, output: text }
  }
  return { start, end: new Date().toISOString(), exitCode: ended, output: new TextDecoder().decode(told) }
}

/** Does to a container that has become unhealthy what was asked for, unless it is ending anyway: then no wonder. */
function actOn(paths: Paths, { id, stopSignal }: ContainerHead, running: RunningRecord, action: OnFailure): void {
  if (isToEnd(readAsked(paths, id, running.started), stopSignal)) return
  if (action !== "kill") {
    // It is to go on when the container has ended, and its supervisor with it.
    const env = [`PATH=${process.env.PATH ?? ""}`, ...environmentOf(paths)]
    spawnSelf(["toybox", action, id], env)
    return
  }
  noteAsked(paths, id, running, { command: "kill", signal: SIGKILL, health: true })
  if (running.cgroup !== null) openCgroup(running.cgroup).kill()
}

/**
 * Looks at the health of a container of which one start is meant, and writes down what was found. Of one that is paused nothing
 * is. Returns the exit code for its supervisor.
 */
export async function checkHealth(paths: Paths, id: string, started: string): Promise<number> {
  const current = () => {
    const running = readRunning(paths, id)
    return running && running.started === started && isAlive(running) ? running : null
  }
  const head = readHead(paths, id)
  const check = head?.detached?.health
  const running = current()
  if (!head || !check || !running || isPaused(running)) return 0
  const since = ageOf(running)
  const found = await probe(id, check, running)
  // It has ended meanwhile, or is just being ended.
  if (!current()) return 0
  const health = readHealth(paths, id) ?? UNKNOWN_HEALTH
  const next = afterProbe(health, found, check, since)
  writeHealth(paths, id, next)
  if (next.status !== health.status) {
    recordEvents(paths, head, [`health_status: ${next.status}`])
    if (next.status === "unhealthy" && check.onFailure) actOn(paths, head, running, check.onFailure)
  }
  return next.status === "starting" ? STILL_STARTING : 0
}
