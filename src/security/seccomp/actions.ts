/** Actions of a profile → what a filter returns: seccomp(2), libseccomp's seccomp_rule_add(3). */
import { EPERM } from "../../../ffi/constants/errno.ts"
import {
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_TRAP,
  SECCOMP_RET_USER_NOTIF,
} from "../../../ffi/constants/seccomp.ts"
import type { SeccompAction } from "../../oci/seccomp.ts"

const VALUES: Readonly<Record<SeccompAction, number>> = {
  SCMP_ACT_KILL: SECCOMP_RET_KILL_THREAD,
  SCMP_ACT_KILL_THREAD: SECCOMP_RET_KILL_THREAD,
  SCMP_ACT_KILL_PROCESS: SECCOMP_RET_KILL_PROCESS,
  SCMP_ACT_TRAP: SECCOMP_RET_TRAP,
  SCMP_ACT_ERRNO: SECCOMP_RET_ERRNO,
  SCMP_ACT_TRACE: SECCOMP_RET_TRACE,
  SCMP_ACT_ALLOW: SECCOMP_RET_ALLOW,
  SCMP_ACT_LOG: SECCOMP_RET_LOG,
  SCMP_ACT_NOTIFY: SECCOMP_RET_USER_NOTIF,
}

/** The value a filter returns for an action. ERRNO and TRACE carry a number, EPERM unless one is given. */
export function returnValue(action: SeccompAction, errnoRet?: number): number {
  const carries = action === "SCMP_ACT_ERRNO" || action === "SCMP_ACT_TRACE"
  return carries ? (VALUES[action] | (errnoRet ?? EPERM)) >>> 0 : VALUES[action]
}

/** Whether a call that gets this value is carried out (by the kernel, or as a supervisor or tracer has it). */
export function isCarriedOut(value: number): boolean {
  const action = (value & 0xffff0000) >>> 0
  return [SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_TRACE, SECCOMP_RET_USER_NOTIF].includes(action)
}
