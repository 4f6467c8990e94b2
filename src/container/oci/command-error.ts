/** Why a command cannot be run, in runc's words: engines make their exit codes 126 and 127 of them. */
import { errnoName } from "../../../ffi/errno.ts"
import { ToyboxError } from "../../errors.ts"
import type { Encoded, Reports } from "../../launch/index.ts"
import { stepError } from "../../launch/report.ts"
import type { Process, Spec } from "../../oci/runtime.ts"

const WORDS: Record<string, string> = {
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  ENOEXEC: "exec format error",
  ELIBBAD: "exec format error",
  E2BIG: "argument list too long",
  ETXTBSY: "text file busy",
  ELOOP: "too many levels of symbolic links",
  EISDIR: "permission denied",
}
const ABSENT = new Set(["ENOENT", "ENOTDIR"])

/** The error of a command of which every candidate failed. */
export function commandError({ args }: Process, errnos: readonly number[]): ToyboxError {
  const command = JSON.stringify(args[0] ?? "")
  const names = errnos.map(errnoName)
  const decisive = names.find((name) => !ABSENT.has(name))
  if (decisive !== undefined)
    return new ToyboxError(`exec: ${command}: ${WORDS[decisive] ?? decisive}`, { exitCode: 126 })
  const why = args[0]?.includes("/")
    ? `stat ${args[0]}: ${WORDS[names[0] ?? "ENOENT"]}`
    : "executable file not found in $PATH"
  return new ToyboxError(`exec: ${command}: ${why}`, { exitCode: 127 })
}

/** What may have kept a process from telling why it ended: its words are calls, too. */
const silenceHint = ({ linux }: Spec): { hint?: string } =>
  linux.seccomp?.listenerPath === undefined
    ? {}
    : { hint: "the supervisor of linux.seccomp must let those calls go on that toybox makes before the command's exec" }

/** The error of a child that ended before its command was run. */
export function launchFailure(spec: Spec, one: Encoded, two: Encoded, reports: Reports): ToyboxError {
  const errnos: number[] = []
  for (const { index, errno } of reports.failures) {
    const [stage, own] = index < one.calls.length ? [one, index] : [two, index - one.calls.length]
    const call = stage.calls[own]
    const step = call?.step === undefined ? undefined : stage.steps[call.step]?.kind
    if (step === "check-command" || step === "exec") errnos.push(errno)
    else if (call) return cwdError(stage, own, errno) ?? stepError(stage.steps, stage.calls, own, errno)
  }
  if (errnos.length > 0) return commandError(spec.process, errnos)
  return new ToyboxError("the container's process was killed before its command was run", silenceHint(spec))
}

function cwdError(stage: Encoded, own: number, errno: number): ToyboxError | null {
  const call = stage.calls[own]
  const step = call?.step === undefined ? undefined : stage.steps[call.step]
  if (step?.kind !== "chdir" || call?.name !== "chdir") return null
  const why = WORDS[errnoName(errno)] ?? errnoName(errno)
  return new ToyboxError(`chdir to cwd (${JSON.stringify(step.path)}) set in config.json failed: ${why}`)
}
