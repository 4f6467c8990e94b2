import { ToyboxError } from "../../errors.ts"
import type { LinuxDeviceCgroup } from "../../oci/resources.ts"
import type { FileWrite } from "../plan.ts"
import { accessLetters, checkedRules, covers, type DeviceRule, isTotal, overlaps } from "./rules.ts"

/** The state the v1 devices controller can hold: allow or deny everything, with exceptions by device. */
interface State {
  allow: boolean
  exceptions: Map<string, DeviceRule>
}

const deviceOf = ({ type, major, minor }: DeviceRule) => `${type ?? "a"} ${major ?? "*"}:${minor ?? "*"}`

function removeFrom(exceptions: Map<string, DeviceRule>, rule: DeviceRule): void {
  for (const [device, exception] of exceptions) {
    if (!overlaps(exception, rule) || (exception.access & rule.access) === 0) continue
    if (!covers(rule, exception)) {
      // Exceptions have no exceptions: the kernel would take the write and go on granting (or refusing) the whole.
      throw new ToyboxError(
        `linux.resources.devices: cgroup v1 cannot ${rule.allow ? "allow" : "deny"} ${line(rule)} after ${line(exception)}`,
        { hint: "list the narrower rule first, or spell the wider one out" },
      )
    }
    const access = exception.access & ~rule.access
    if (access === 0) exceptions.delete(device)
    else exceptions.set(device, { ...exception, access })
  }
}

function apply(state: State, rule: DeviceRule): void {
  if (rule.allow === state.allow) {
    removeFrom(state.exceptions, rule)
    return
  }
  const device = deviceOf(rule)
  const present = state.exceptions.get(device)
  state.exceptions.set(device, present ? { ...present, access: present.access | rule.access } : rule)
}

function reduce(rules: readonly DeviceRule[]): State {
  let state: State = { allow: false, exceptions: new Map() }
  for (const rule of rules) {
    if (isTotal(rule)) state = { allow: rule.allow, exceptions: new Map() }
    else if (rule.type !== null) apply(state, rule)
    else {
      // The controller knows `a` only as a reset of everything, so a rule for both types that is no reset becomes two.
      apply(state, { ...rule, type: "b" })
      apply(state, { ...rule, type: "c" })
    }
  }
  return state
}

function line(rule: DeviceRule): string {
  return `${deviceOf(rule)} ${accessLetters(rule.access)}`
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
  const writes: FileWrite[] = [{ file: allow ? "devices.allow" : "devices.deny", value: "a", field }]
  const file = allow ? "devices.deny" : "devices.allow"
  for (const rule of exceptions.values()) writes.push({ file, value: line(rule), field })
  return writes
}
