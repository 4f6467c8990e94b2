import { ToyboxError } from "../../errors.ts"
import type { LinuxDeviceCgroup } from "../../oci/resources.ts"
import type { FileWrite } from "../plan.ts"
import { accessLetters, checkedRules, covers, type DeviceRule, isTotal, overlaps } from "./rules.ts"

/** The state the v1 devices controller can hold: allow or deny everything, with exceptions. */
interface State {
  readonly allow: boolean
  readonly exceptions: readonly DeviceRule[]
}

const isSame = (a: DeviceRule, b: DeviceRule) => covers(a, b) && covers(b, a)

function addException(exceptions: readonly DeviceRule[], rule: DeviceRule): DeviceRule[] {
  const same = exceptions.find((exception) => isSame(exception, rule))
  if (!same) return [...exceptions, rule]
  const merged = { ...same, access: same.access | rule.access }
  return exceptions.map((exception) => (exception === same ? merged : exception))
}

function removeFrom(exceptions: readonly DeviceRule[], rule: DeviceRule): DeviceRule[] {
  return exceptions.flatMap((exception) => {
    if (!overlaps(exception, rule) || (exception.access & rule.access) === 0) return [exception]
    if (!covers(rule, exception)) {
      // Exceptions have no exceptions: the kernel would take the write and go on granting (or refusing) the whole.
      throw new ToyboxError(
        `linux.resources.devices: cgroup v1 cannot ${rule.allow ? "allow" : "deny"} ${line(rule)} after ${line(exception)}`,
        { hint: "list the narrower rule first, or spell the wider one out" },
      )
    }
    const access = exception.access & ~rule.access
    return access === 0 ? [] : [{ ...exception, access }]
  })
}

/** The controller knows `a` only as a reset of everything, so a rule for both types that is no reset becomes two. */
function perType(rule: DeviceRule): DeviceRule[] {
  if (rule.type !== null || isTotal(rule)) return [rule]
  return [
    { ...rule, type: "b" },
    { ...rule, type: "c" },
  ]
}

function reduce(rules: readonly DeviceRule[]): State {
  let state: State = { allow: false, exceptions: [] }
  for (const rule of rules.flatMap(perType)) {
    if (isTotal(rule)) state = { allow: rule.allow, exceptions: [] }
    else if (rule.allow === state.allow) state = { ...state, exceptions: removeFrom(state.exceptions, rule) }
    else state = { ...state, exceptions: addException(state.exceptions, rule) }
  }
  return state
}

function line({ type, major, minor, access }: DeviceRule): string {
  return `${type ?? "a"} ${major ?? "*"}:${minor ?? "*"} ${accessLetters(access)}`
}

/**
 * Device rules as writes to `devices.deny` and `devices.allow`: devices.rst. The controller has no order of rules but a
 * default with exceptions, and ignores a rule it cannot express; so the rules are reduced to that form here (starting from
 * "deny"), and what cannot be is an error. No rules at all: nothing is written.
 */
export function deviceLines(rules: readonly LinuxDeviceCgroup[]): FileWrite[] {
  if (rules.length === 0) return []
  const { allow, exceptions } = reduce(checkedRules(rules))
  const field = "devices"
  return [
    { file: allow ? "devices.allow" : "devices.deny", value: "a", field },
    ...exceptions.map((rule) => ({
      file: allow ? "devices.deny" : "devices.allow",
      value: line(rule),
      field,
    })),
  ]
}
