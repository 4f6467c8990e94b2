/** Why a command was never run. */
import { errnoName } from "../../ffi/errno.ts"
import { ToyboxError } from "../errors.ts"
import type { Encoded, Reports } from "../launch/index.ts"
import { execError, stepError } from "../launch/report.ts"
import { existsInRoot } from "./identity.ts"

/** The error of a command that was never run. */
export function launchError(one: Encoded, two: Encoded, reports: Reports, rootFd: number): ToyboxError {
  const attempts: { path: string; errno: string }[] = []
  for (const { index, errno } of reports.failures) {
    const [stage, own] = index < one.calls.length ? [one, index] : [two, index - one.calls.length]
    const call = stage.calls[own]
    if (stage === two && call?.name === "execve") attempts.push({ path: String(call.args[0]), errno: errnoName(errno) })
    else if (call) return stepError(stage.steps, stage.calls, own, errno)
  }
  const exec = two.steps.find((step) => step.kind === "exec")
  if (exec && attempts.length > 0) return execError(exec, attempts, (path) => existsInRoot(rootFd, path))
  return new ToyboxError("the container's process was killed before its command was run")
}
