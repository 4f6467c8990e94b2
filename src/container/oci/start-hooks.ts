/** startContainer hooks: programs of the container, run in it before its command. */
import { __WALL } from "../../../ffi/constants/wait.ts"
import { close } from "../../../ffi/fs.ts"
import { waitChild } from "../../../ffi/signal.ts"
import { ToyboxError } from "../../errors.ts"
import type { Reports } from "../../launch/index.ts"
import type { Hook, Spec } from "../../oci/runtime.ts"
import { type Entering, enter } from "../enter.ts"
import { launchFailure } from "./command-error.ts"
import { environmentIn } from "./environment.ts"
import { checkHook, innerPid, memoryFile, readOutput, timeoutOf, waitUntil } from "./hooks.ts"
import { awaitReports, joinedFilter } from "./joined-filter.ts"
import type { OciRecord } from "./record.ts"
import { ociState } from "./state.ts"

/** As what the hook runs: as the command, in its place. One that names no environment has the command's. */
function withHook({ pid }: OciRecord, spec: Spec, { path, args, env }: Hook): Spec {
  const { process } = spec
  const own = { terminal: false, args: [path, ...(args?.slice(1) ?? [])], env: env ?? environmentIn(pid, process) }
  return { ...spec, process: { ...process, ...own } }
}

async function runStartHook(root: string, record: OciRecord, own: Spec, hook: Hook): Promise<void> {
  const spec = withHook(record, own, hook)
  const state = ociState(record, "created")
  const joined = await joinedFilter(root, spec, state)
  const { filter, listenerFd } = joined
  const stdin = memoryFile(JSON.stringify({ ...state, pid: innerPid(record.pid) }))
  const output = memoryFile("")
  try {
    const { pid, startTime, cgroup } = record
    const stdio = [stdin, output, output] as const
    let entering: Entering
    try {
      entering = enter({ pid, startTime, cgroup, spec, stdio, passedFds: [], seccomp: filter, listenerFd })
    } finally {
      if (listenerFd !== undefined) close(listenerFd)
    }
    const reports: Reports = { failures: [] }
    joined.introduce(entering, reports)
    while (awaitReports(entering.reportFd, reports));
    const last = reports.pid ?? entering.pid
    if (last !== entering.pid) waitChild(entering.pid, __WALL)
    const status = waitUntil(last, timeoutOf(hook))
    if (reports.failures.length > 0) {
      const cause = launchFailure(spec, entering.one, entering.two, reports)
      throw new ToyboxError(`hook startContainer: cannot run ${hook.path}`, { cause })
    }
    checkHook("startContainer", hook, status, readOutput(output))
  } finally {
    joined.close()
    close(stdin)
    close(output)
  }
}

/** Runs them in order; throws ToyboxError for the first that fails. */
export async function runStartHooks(root: string, record: OciRecord, spec: Spec): Promise<void> {
  for (const hook of spec.hooks?.startContainer ?? []) await runStartHook(root, record, spec, hook)
}
