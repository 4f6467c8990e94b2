/** Fields that this kernel, not toybox, decides about. */
import { CAPABILITY_NAMES } from "../../../ffi/constants/capability.ts"
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT } from "../../../ffi/constants/stat.ts"
import { exists, lstat, readText } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import { notice } from "../../log.ts"
import type { Device, Process, Spec } from "../../oci/runtime.ts"
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

const KINDS: Record<Device["type"], number> = { c: S_IFCHR, u: S_IFCHR, b: S_IFBLK, p: S_IFIFO }

/** In a user namespace the host's own nodes are bound: each must be the device that the spec names. */
function checkHostDevices({ linux }: Spec): void {
  if (!linux.namespaces.some(({ type }) => type === "user")) return
  for (const { type, path, major, minor } of linux.devices) {
    if (type === "p") continue
    const found = lstat(path)
    const same =
      found && (found.mode & S_IFMT) === KINDS[type] && found.rdevMajor === major && found.rdevMinor === minor
    if (same) continue
    throw new ToyboxError(`config.json: linux.devices: the host has no device ${type} ${major}:${minor} at ${path}`, {
      hint: "in a user namespace no device can be made; those of the host are bound",
    })
  }
}

/** Throws ToyboxError for what of a spec this kernel cannot do. */
export function checkSupported(spec: Spec): void {
  checkLabels(spec.process, "config.json")
  checkHostDevices(spec)
  if (spec.linux.mountLabel && !hasSelinux()) throw lacks("config.json", "linux.mountLabel", "SELinux")
}
