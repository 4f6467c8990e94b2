/** The hooks of a spec, carried out: runtime-spec config.md "POSIX-platform Hooks". */
import { call } from "../../../ffi/call.ts"
import { POLLIN } from "../../../ffi/constants/poll.ts"
import { SIGKILL } from "../../../ffi/constants/signal.ts"
import { __WALL } from "../../../ffi/constants/wait.ts"
import { errnoName } from "../../../ffi/errno.ts"
import { close, readAll, tryReadText, writeAll } from "../../../ffi/fs.ts"
import { pipe } from "../../../ffi/pipe.ts"
import { poll } from "../../../ffi/poll.ts"
import { kill, type WaitStatus, waitChild } from "../../../ffi/signal.ts"
import { ToyboxError } from "../../errors.ts"
import { launch, type Reports, readReports } from "../../launch/index.ts"
import { explainFailure } from "../../launch/report.ts"
import type { Hook, Hooks } from "../../oci/runtime.ts"
import type { Step } from "../../plan/steps.ts"
import { type Entered, otherNamespaces } from "../namespaces.ts"
import type { OciState } from "./state.ts"

export type HookName = keyof Hooks

const MOST_OUTPUT = 4096

/** A file without a name that holds `text`, to be read from its beginning. */
export function memoryFile(text: string): number {
  const fd = call("memfd_create", "hook", 1)
  writeAll(fd, new TextEncoder().encode(text))
  call("lseek", fd, 0, 0)
  return fd
}

/** What a hook has said, as far as it is worth telling. */
export function readOutput(fd: number): string {
  call("lseek", fd, 0, 0)
  return new TextDecoder().decode(readAll(fd, MOST_OUTPUT))
}

/** Waits for a child; kills it after `milliseconds`, and then gives null. */
export function waitUntil(pid: number, milliseconds: number | null): WaitStatus | null {
  const pidFd = call("pidfd_open", pid, 0)
  const [ended = 0] = pollFor(pidFd, milliseconds)
  close(pidFd)
  if (!ended) kill(pid, SIGKILL)
  const status = waitChild(pid, __WALL)
  return ended ? status : null
}

/** A poll that signals do not cut short. */
function pollFor(fd: number, milliseconds: number | null): number[] {
  const deadline = milliseconds === null ? null : performance.now() + milliseconds
  for (;;) {
    const left = deadline === null ? null : Math.max(0, Math.ceil(deadline - performance.now()))
    const [events = 0] = poll([{ fd, events: POLLIN }], left)
    if (events || left === 0) return [events]
  }
}

/** As os/exec of other runtimes has it: a hook that names no environment has the runtime's own. */
const environment = (): string[] => Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ""}`)

/** The steps of a hook's process. With `inside` it is a member of the container's namespaces, but has its root from the host's. */
function hookSteps(
  hook: Hook,
  bundle: string,
  fds: { report: number; stdin: number; output: number },
  inside: Entered | null,
): Step[] {
  const enterPid: Step[] = inside?.namespaces.includes("pid")
    ? [{ kind: "enter-pid-namespace", reportFd: fds.report }]
    : []
  return [
    { kind: "clone", namespaces: [] },
    { kind: "close-other-fds", keep: [fds.report, fds.stdin, fds.output, ...(inside ? [inside.pidFd] : [])] },
    ...(inside ? [{ kind: "enter-namespaces", ...inside } satisfies Step] : []),
    { kind: "stdio", fds: [fds.stdin, fds.output, fds.output] },
    { kind: "default-signals" },
    { kind: "chdir", path: bundle },
    // Behind the working directory, which may be root's alone.
    ...(inside?.namespaces.includes("user") ? [{ kind: "become-root" } satisfies Step] : []),
    ...enterPid,
    { kind: "exec", candidates: [hook.path], args: hook.args ?? [hook.path], env: hook.env ?? environment() },
  ]
}

/** Throws for a hook whose program ended badly, or not in time. `output` is what it has said. */
export function checkHook(name: HookName, hook: Hook, status: WaitStatus | null, output: string): void {
  const said = output.trim() === "" ? "" : `: ${output.trim()}`
  if (status === null) {
    throw new ToyboxError(`hook ${name}: ${hook.path} has not ended within ${hook.timeout} s, and was killed${said}`)
  }
  if (status.code === 0) return
  const how = status.signal === undefined ? `exit status ${status.code}` : `killed by signal ${status.signal}`
  throw new ToyboxError(`hook ${name}: ${hook.path}: ${how}${said}`)
}

export const timeoutOf = ({ timeout }: Hook): number | null => (timeout === undefined ? null : timeout * 1000)

function runHook(name: HookName, hook: Hook, bundle: string, state: string, inside: Entered | null): void {
  const stdin = memoryFile(state)
  const output = memoryFile("")
  const [reportFd, reportEnd] = pipe()
  const reports: Reports = { failures: [] }
  let pid: number
  const steps = hookSteps(hook, bundle, { report: reportEnd, stdin, output }, inside)
  try {
    pid = launch(steps, { reportFd: reportEnd, memfd: -1 }).pid
  } catch (error) {
    throw explainFailure(error)
  } finally {
    close(reportEnd)
    close(stdin)
  }
  const helper = pid
  while (readReports(reportFd, reports, false)) if (reports.pid !== undefined) pid = reports.pid
  if (helper !== pid) waitChild(helper, __WALL)
  const status = waitUntil(pid, timeoutOf(hook))
  const said = readOutput(output)
  close(output)
  const [failure] = reports.failures
  if (failure) throw new ToyboxError(`hook ${name}: cannot run ${hook.path}: ${errnoName(failure.errno)}`)
  checkHook(name, hook, status, said)
}

/** The number that a process has in the innermost of its pid namespaces: proc_pid_status(5), NSpid. */
export function innerPid(pid: number): number {
  const numbers = /^NSpid:(.*)$/m.exec(tryReadText(`/proc/${pid}/status`) ?? "")?.[1]
  return Number(numbers?.trim().split(/\s+/).at(-1) ?? pid)
}

/**
 * Runs the hooks of one kind in order, in the bundle's directory, with the state on standard input; in the container's
 * namespaces, and with its pid as seen there, where a container is given. Throws ToyboxError for the first that fails, is
 * killed, or takes longer than its timeout.
 */
export function runHooks(name: HookName, hooks: readonly Hook[] | undefined, state: OciState, pid?: number): void {
  if (!hooks?.length) return
  const text = JSON.stringify(pid === undefined ? state : { ...state, pid: innerPid(pid) })
  const inside = pid === undefined ? null : otherNamespaces(pid)
  try {
    for (const hook of hooks) runHook(name, hook, state.bundle, text, inside)
  } finally {
    if (inside) close(inside.pidFd)
  }
}
