/** Fields that this kernel, not toybox, decides about. */
import { CAPABILITY_NAMES } from "../../../ffi/constants/capability.ts"
import { exists, readText } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import { notice } from "../../log.ts"
import type { Process, Spec } from "../../oci/runtime.ts"
import { lastCapability, ownCapabilities } from "../facts.ts"

const APPARMOR = "/sys/module/apparmor/parameters/enabled"
const hasAppArmor = () => exists(APPARMOR) && readText(APPARMOR).startsWith("Y")
const hasSelinux = () => exists("/sys/fs/selinux/enforce")

const lacks = (where: string, field: string, module: string) =>
  new ToyboxError(`${where}: ${field}: this kernel runs without ${module}`, {
    hint: "the engine's option --security-opt label=disable or apparmor=unconfined leaves the field out",
  })

/** Throws ToyboxError for the labels of a process where the kernel has no such security module. */
export function checkLabels({ apparmorProfile, selinuxLabel }: Process, where: string): void {
  if (apparmorProfile && apparmorProfile !== "unconfined" && !hasAppArmor()) {
    throw lacks(where, "process.apparmorProfile", "AppArmor")
  }
  if (selinuxLabel && !hasSelinux()) throw lacks(where, "process.selinuxLabel", "SELinux")
}

/**
 * Leaves out of a process what capabilities this kernel does not know, or toybox itself cannot give, and tells so: such are no
 * reason to fail (runtime spec, config.md, "Linux Process"). In a user namespace, all are there to be given.
 */
export function leaveOutCapabilities({ process, linux }: Spec): void {
  const known = new Set(CAPABILITY_NAMES.slice(0, lastCapability() + 1))
  const own = new Set(linux.namespaces.some(({ type }) => type === "user") ? known : ownCapabilities())
  const asked = [...new Set(Object.values(process.capabilities).flat())]
  const unknown = asked.filter((name) => !known.has(name))
  const lacking = asked.filter((name) => known.has(name) && !own.has(name))
  if (unknown.length > 0) notice(`process.capabilities: this kernel does not know ${unknown.join(", ")}: left out`)
  if (lacking.length > 0) notice(`process.capabilities: toybox itself does not have ${lacking.join(", ")}: left out`)
  if (lacking.length === 0) return
  const given = (names: string[]) => names.filter((name) => own.has(name))
  const { bounding, effective, permitted, inheritable, ambient } = process.capabilities
  process.capabilities = {
    bounding: given(bounding),
    effective: given(effective),
    permitted: given(permitted),
    inheritable: given(inheritable),
    ambient: given(ambient),
  }
}

/** Throws ToyboxError for what of a spec this kernel cannot do. */
export function checkSupported(spec: Spec): void {
  checkLabels(spec.process, "config.json")
  if (spec.linux.mountLabel && !hasSelinux()) throw lacks("config.json", "linux.mountLabel", "SELinux")
}
