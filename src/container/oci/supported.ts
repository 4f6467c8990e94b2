/** Fields that this kernel, not toybox, decides about. */
import { CAPABILITY_NAMES } from "../../../ffi/constants/capability.ts"
import { exists, readText } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import type { Process, Spec } from "../../oci/runtime.ts"

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

/** The capabilities of a process that this kernel does not know; the others are given all the same, as runc does it. */
export function unknownCapabilities({ capabilities }: Process, last: number): string[] {
  const known = new Set(CAPABILITY_NAMES.slice(0, last + 1))
  return [...new Set(Object.values(capabilities).flat())].filter((name) => !known.has(name))
}

/** Throws ToyboxError for what of a spec this kernel cannot do. */
export function checkSupported(spec: Spec): void {
  checkLabels(spec.process, "config.json")
  if (spec.linux.mountLabel && !hasSelinux()) throw lacks("config.json", "linux.mountLabel", "SELinux")
}
