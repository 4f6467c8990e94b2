/** How a container ended, in a code and in words. */
import type { CgroupManager } from "../cgroup/manager.ts"
import { ToyboxError } from "../errors.ts"
import type { Encoded, Reports } from "../launch/index.ts"
import { execError, stepError } from "../launch/report.ts"
import { errnoName } from "../../ffi/errno.ts"
import { existsInRoot } from "./identity.ts"
import type { Ending } from "./supervise.ts"

const SIGKILL = 9

/** The error of a command that was never run. */
export function launchError(encoded: Encoded, reports: Reports, rootFd: number): ToyboxError {
  const { child, sealed, plan } = encoded
  const attempts: { path: string; errno: string }[] = []
  for (const { index, errno } of reports.failures) {
    const inSealed = index >= child.length
    const call = inSealed ? sealed[index - child.length] : child[index]
    if (inSealed && call?.name === "execve") attempts.push({ path: String(call.args[0]), errno: errnoName(errno) })
    else if (call) return stepError(inSealed ? plan.sealed : plan.child, inSealed ? sealed : child, inSealed ? index - child.length : index, errno)
  }
  const exec = plan.sealed.find((step) => step.kind === "exec")
  if (exec && attempts.length > 0) return execError(exec, attempts, (path) => existsInRoot(rootFd, path))
  return new ToyboxError("the container's process was killed before its command was run")
}

const mebibytes = (bytes: number) => `${Number((bytes / 2 ** 20).toFixed(1))} MiB`

export interface Description {
  exitCode: number
  signal?: number
  oomKilled: boolean
  /** For the user, where the code alone would leave a question. */
  message?: string
}

/** Exit code, and what there is to say. */
export function describeEnding({ status, escalated }: Ending, manager: CgroupManager | null): Description {
  const signal = escalated ?? status.signal
  const exitCode = signal === undefined ? (status.code ?? 0) : 128 + signal
  const base = { exitCode, ...(signal === undefined ? {} : { signal }) }
  const kills = exitCode === 0 || !manager ? 0 : manager.oomKills()
  if (kills === 0) return { ...base, oomKilled: false }
  const limit = manager?.memoryLimit() ?? null
  const why = `killed: out of memory${limit === null ? "" : ` (limit ${mebibytes(limit)})`}`
  return { ...base, oomKilled: true, message: exitCode === 128 + SIGKILL ? why : `a process of the container was ${why}` }
}
