/** Why a command was never run. */
import { errnoName } from "../../ffi/errno.ts"
import { ToyboxError } from "../errors.ts"
import type { Encoded, Reports } from "../launch/index.ts"
import { execError, stepError } from "../launch/report.ts"
import { existsInRoot } from "./identity.ts"

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
