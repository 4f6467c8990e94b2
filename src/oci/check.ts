/** What of a spec is valid field by field, but not as a whole: runtime-spec 1.2, config.md and config-linux.md. Pure. */
import { UsageError } from "../errors.ts"
import { below, shown } from "./decode.ts"
import type { NamespaceType, Spec } from "./runtime.ts"

type Check = (spec: Spec, where: string) => void

const has = (spec: Spec, type: NamespaceType) => spec.linux.namespaces.some((namespace) => namespace.type === type)
const makes = (spec: Spec, type: NamespaceType) =>
  spec.linux.namespaces.some((namespace) => namespace.type === type && namespace.path === undefined)

const namespaces: Check = (spec, where) => {
  const { namespaces } = spec.linux
  const place = below(where, "linux.namespaces")
  namespaces.forEach(({ type }, index) => {
    if (namespaces.findIndex((other) => other.type === type) !== index) {
      throw new UsageError(`${place}[${index}].type: ${type} is there twice`)
    }
  })
}

const names: Check = (spec, where) => {
  for (const key of ["hostname", "domainname"] as const) {
    if (!spec[key]) continue
    const place = below(where, key)
    if (!has(spec, "uts")) throw new UsageError(`${place}: needs a uts namespace in linux.namespaces`)
    // __NEW_UTS_LEN of linux/utsname.h.
    if (new TextEncoder().encode(spec[key]).length > 64) {
      throw new UsageError(`${place}: must be at most 64 bytes, is ${shown(spec[key])}`)
    }
  }
}

const userNamespace: Check = (spec, where) => {
  const maps = ["uidMappings", "gidMappings"] as const
  for (const key of maps) {
    const given = (spec.linux[key]?.length ?? 0) > 0
    const place = below(where, `linux.${key}`)
    if (given && !has(spec, "user")) throw new UsageError(`${place}: needs a user namespace in linux.namespaces`)
    if (!given && makes(spec, "user")) throw new UsageError(`${place}: is missing, which a new user namespace needs`)
    // 340 lines since Linux 4.15: user_namespaces(7).
    if ((spec.linux[key]?.length ?? 0) > 340) throw new UsageError(`${place}: must have at most 340 entries`)
  }
}

const CLOCKS = ["monotonic", "boottime"]

const timeOffsets: Check = (spec, where) => {
  const clocks = Object.keys(spec.linux.timeOffsets ?? {})
  const place = below(where, "linux.timeOffsets")
  if (clocks.length > 0 && !makes(spec, "time")) {
    throw new UsageError(`${place}: needs a new time namespace in linux.namespaces`)
  }
  const wrong = clocks.find((clock) => !CLOCKS.includes(clock))
  if (wrong !== undefined) {
    throw new UsageError(`${place}: ${shown(wrong)} is no clock that can be set (monotonic and boottime are)`)
  }
}

const IPC_SYSCTLS = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
])

/** The namespace that a sysctl belongs to, or undefined for those of the whole machine. */
function namespaceOf(key: string): NamespaceType | undefined {
  if (IPC_SYSCTLS.has(key) || key.startsWith("fs.mqueue.")) return "ipc"
  if (key.startsWith("net.")) return "network"
  if (key === "kernel.domainname" || key === "kernel.hostname") return "uts"
  if (key.startsWith("user.")) return "user"
  return undefined
}

/** As sysctl(8): where the first separator is a slash, dots belong to the names. */
export function sysctlName(key: string): string {
  const first = /[./]/.exec(key)?.[0]
  return first === "/" ? key.replace(/[./]/g, (separator) => (separator === "/" ? "." : "/")) : key
}

const sysctls: Check = (spec, where) => {
  for (const key of Object.keys(spec.linux.sysctl)) {
    const place = `${below(where, "linux.sysctl")}[${shown(key)}]`
    const name = sysctlName(key)
    if (!/^[^./]+(\.[^.]+)+$/.test(name) || /(^|\.)\/|\/(\.|$)/.test(name)) {
      throw new UsageError(`${place}: is not the name of a setting (such as net.ipv4.ip_forward)`)
    }
    const type = namespaceOf(name)
    if (type === undefined) {
      throw new UsageError(`${place}: is of the whole machine; only settings of a namespace can be set for a container`)
    }
    if (!has(spec, type)) {
      throw new UsageError(`${place}: needs a ${type} namespace in linux.namespaces: else it would change the host's`)
    }
    if (name === "kernel.hostname" && spec.hostname) {
      throw new UsageError(`${place}: the field hostname sets it already`)
    }
  }
}

const paths: Check = (spec, where) => {
  for (const key of ["maskedPaths", "readonlyPaths"] as const) {
    if (spec.linux[key].length > 0 && !makes(spec, "mount")) {
      throw new UsageError(`${below(where, `linux.${key}`)}: needs a new mount namespace in linux.namespaces`)
    }
    spec.linux[key].forEach((path, index) => {
      if (/^\/+$/.test(path)) throw new UsageError(`${below(where, `linux.${key}`)}[${index}]: must not be the root`)
    })
  }
}

const cgroupsPath: Check = (spec, where) => {
  const { cgroupsPath } = spec.linux
  if (cgroupsPath.startsWith("/") || cgroupsPath.split(":").length !== 3) return
  throw new UsageError(
    `${below(where, "linux.cgroupsPath")}: ${shown(cgroupsPath)} is the form slice:prefix:name, which asks systemd for the cgroup; toybox makes cgroups itself`,
    { hint: "set the engine's cgroup manager (native.cgroupdriver, SystemdCgroup, cgroup_manager) to cgroupfs" },
  )
}

const CHECKS: readonly Check[] = [namespaces, names, userNamespace, timeOffsets, sysctls, paths, cgroupsPath]

/** Throws a UsageError that names the first field that does not go with the others. */
export function checkSpec(spec: Spec, where: string): void {
  for (const check of CHECKS) check(spec, where)
}
