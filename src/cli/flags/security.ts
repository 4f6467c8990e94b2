/** Capabilities, devices, sysctls, security options. */
import { CAPABILITY_NAMES } from "../../../ffi/constants/capability.ts"
import { S_IFBLK, S_IFCHR, S_IFMT } from "../../../ffi/constants/stat.ts"
import { listDir } from "../../../ffi/directory.ts"
import { isDirectory, lstat, stat } from "../../../ffi/fs.ts"
import { checkedRules } from "../../cgroup/devices/rules.ts"
import { UsageError } from "../../errors.ts"
import type { LinuxDeviceCgroup } from "../../oci/resources.ts"
import type { NamespaceType } from "../../oci/runtime.ts"
import type { DeviceRequest, NamespaceMode } from "../../spec/request.ts"
import { closest, type ParsedArgv } from "../argv.ts"
import { normalPath } from "./path.ts"

/** --cap-add and --cap-drop: with or without CAP_, in either case, or ALL; several with commas, as podman has them. */
export function capabilities(argv: ParsedArgv, option: "cap-add" | "cap-drop"): string[] {
  const texts = (argv.lists.get(option) ?? []).flatMap((text) => text.split(","))
  return texts.map((text) => {
    const upper = text.toUpperCase()
    if (upper === "ALL") return upper
    const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`
    if (!CAPABILITY_NAMES.includes(name)) {
      const like = closest(name, CAPABILITY_NAMES)
      throw new UsageError(
        `--${option}: "${text}" is not a capability${like ? ` (did you mean ${like.slice(4)}?)` : ""}`,
        {
          hint: "names are those of capabilities(7), e.g. NET_ADMIN, or ALL",
        },
      )
    }
    return name
  })
}

/** --security-opt no-new-privileges[=true|false] (docker also takes a colon). */
export function noNewPrivileges(argv: ParsedArgv): boolean {
  let result = !(argv.booleans.get("privileged") ?? false)
  for (const text of argv.lists.get("security-opt") ?? []) {
    const match = /^no-new-privileges(?:[=:](true|false))?$/.exec(text)
    // The last two ask for what is: containers of toybox have no label, and no profile of AppArmor.
    if (/^(seccomp[=:].*|label[=:]disable|apparmor[=:]unconfined)$/s.test(text)) continue
    if (!match) {
      throw new UsageError(
        `--security-opt: "${text}" is not known (use no-new-privileges=true or =false, seccomp=FILE or =unconfined)`,
      )
    }
    result = match[1] !== "false"
  }
  return result
}

function lookUp(path: string): Omit<DeviceRequest, "path" | "access"> | null {
  const found = stat(path)
  if (!found) return null
  const kind = found.mode & S_IFMT
  if (kind !== S_IFBLK && kind !== S_IFCHR) return null
  const type = kind === S_IFBLK ? "b" : "c"
  return {
    type,
    major: found.rdevMajor,
    minor: found.rdevMinor,
    mode: found.mode & 0o7777,
    uid: found.uid,
    gid: found.gid,
  }
}

function devicesBelow(directory: string, target: string, access: string): DeviceRequest[] {
  return listDir(directory).flatMap((name): DeviceRequest[] => {
    const path = `${directory}/${name}`
    const found = lstat(path)
    if (!found) return []
    const kind = found.mode & S_IFMT
    if (kind === 0o040000) return devicesBelow(path, `${target}/${name}`, access)
    if (kind !== S_IFBLK && kind !== S_IFCHR) return []
    const device = lookUp(path)
    return device ? [{ ...device, path: `${target}/${name}`, access }] : []
  })
}

/** What --device names: here, in the container, and for which access. */
export function deviceParts(text: string): { from: string; to: string; access: string } {
  const [from = "", second, third] = text.split(":")
  const access = third ?? (second !== undefined && /^[rwm]{1,3}$/.test(second) ? second : "rwm")
  const typed = second !== undefined && second !== access ? second : from
  return { from, to: typed.startsWith("/") ? normalPath(typed) : "", access }
}

/** --device SRC[:DST[:rwm]]: one device, or all those below a directory. */
export function parseDevice(text: string): DeviceRequest[] {
  const { from, to, access } = deviceParts(text)
  const repeated = new Set(access).size !== access.length
  if (
    !from.startsWith("/") ||
    to.length < 2 ||
    !/^[rwm]{1,3}$/.test(access) ||
    repeated ||
    text.split(":").length > 3
  ) {
    throw new UsageError(`--device: "${text}" is no device (use /dev/SRC, /dev/SRC:/dev/DST or /dev/SRC:/dev/DST:rwm)`)
  }
  const device = lookUp(from)
  if (device) return [{ ...device, path: to, access }]
  const found = stat(from)
  const below = found && isDirectory(found) ? devicesBelow(from, to, access) : []
  if (below.length === 0) throw new UsageError(`--device: "${text}": ${from} is no device of this machine`)
  return below
}

/** --device-cgroup-rule "c 42:* rwm", docker's: by type (a is any), numbers (* is any) and access. Throws UsageError. */
export function deviceRules({ lists }: ParsedArgv): LinuxDeviceCgroup[] {
  return (lists.get("device-cgroup-rule") ?? []).map((text) => {
    const [, type, major = "", minor = "", access = ""] =
      /^([abc]) (\d{1,7}|\*):(\d{1,7}|\*) ([rwm]{1,3})$/.exec(text) ?? []
    if (type === undefined || new Set(access).size !== access.length)
      throw new UsageError(`--device-cgroup-rule: "${text}" is no rule (use "c 42:* rwm", "b 8:0 r" or "a *:* rwm")`)
    const numbers = {
      ...(major === "*" ? {} : { major: Number(major) }),
      ...(minor === "*" ? {} : { minor: Number(minor) }),
    }
    try {
      checkedRules([{ allow: true, type, ...numbers, access }])
    } catch (cause) {
      throw new UsageError(`--device-cgroup-rule: "${text}": a major number ends at 4095, a minor one at 1048575`, {
        cause,
      })
    }
    return { allow: true, type, ...numbers, access }
  })
}

// A privileged container has a terminal, shared memory and queues of its own in these places.
const OWN = /^\/dev\/(null|zero|full|random|urandom|tty|console|ptmx|pts|shm|mqueue|fd|stdin|stdout|stderr)(\/|$)/

export function devices(argv: ParsedArgv): DeviceRequest[] {
  const asked = (argv.lists.get("device") ?? []).flatMap(parseDevice)
  if (!argv.booleans.get("privileged")) return asked
  const paths = new Set(asked.map((device) => device.path))
  return [...asked, ...devicesBelow("/dev", "/dev", "rwm").filter(({ path }) => !OWN.test(path) && !paths.has(path))]
}

/** Kernel settings by the namespace that holds them: sysctl(8), namespaces(7). */
const SYSCTL_NAMESPACES: readonly (readonly [RegExp, NamespaceType])[] = [
  [/^net\./, "network"],
  [
    /^kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced|shm_next_id|sem_next_id|msg_next_id)$/,
    "ipc",
  ],
  [/^fs\.mqueue\./, "ipc"],
]

/** --sysctl KEY=VALUE: settings of the container's own namespaces only. */
export function sysctls(
  argv: ParsedArgv,
  modes: Readonly<Partial<Record<NamespaceType, NamespaceMode>>>,
): Record<string, string> {
  const result: Record<string, string> = {}
  for (const text of argv.lists.get("sysctl") ?? []) {
    const equals = text.indexOf("=")
    // "net/ipv4/x" is the other form of sysctl(8), for names that have a dot in them.
    const key = text.slice(0, Math.max(equals, 0)).replaceAll("/", ".")
    if (!/^[a-z0-9_-]+(\.[a-zA-Z0-9_-]+)+$/.test(key))
      throw new UsageError(`--sysctl: "${text}" is no setting (use net.core.somaxconn=1024)`)
    const namespace = SYSCTL_NAMESPACES.find(([pattern]) => pattern.test(key))?.[1]
    if (namespace === undefined) {
      throw new UsageError(`--sysctl: ${key} belongs to the whole machine, not to a namespace of the container`, {
        hint: "allowed are net.*, fs.mqueue.* and the kernel.msg*, kernel.sem*, kernel.shm* settings of IPC",
      })
    }
    if ((modes[namespace]?.mode ?? "private") !== "private") {
      throw new UsageError(`--sysctl: ${key} would change the ${namespace} namespace that the container shares`)
    }
    result[key] = text.slice(equals + 1)
  }
  return result
}
