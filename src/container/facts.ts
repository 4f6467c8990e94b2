/** What a plan needs to know of this machine. */
import { call, callResult, scratch } from "../../ffi/call.ts"
import { _LINUX_CAPABILITY_VERSION_3, CAPABILITY_NAMES } from "../../ffi/constants/capability.ts"
import { AT_FDCWD, O_NONBLOCK, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { NS_GET_NSTYPE } from "../../ffi/constants/ioctl.ts"
import * as sched from "../../ffi/constants/sched.ts"
import { STATX_BASIC_STATS, STATX_MNT_ID } from "../../ffi/constants/stat.ts"
import { listDir } from "../../ffi/directory.ts"
import { close, exists, isDirectory, lstat, open, readText, stat } from "../../ffi/fs.ts"
import { capHeader } from "../../ffi/structs.ts"
import type { Cgroups } from "../cgroup/detect.ts"
import { unescapeOctal } from "../cgroup/mountinfo.ts"
import { ToyboxError } from "../errors.ts"
import type { NamespaceType, Spec } from "../oci/runtime.ts"
import type { CgroupMount, Facts } from "../plan/facts.ts"

/**
 * The mounts to detach where pivot_root(2) is refused, on the initial ramfs. Null where the host's root can be left in the
 * ordinary way.
 */
export function unpivotableMounts(mountinfo: string): string[] | null {
  const lines = mountinfo.split("\n")
  let type: string | undefined
  for (const line of lines) {
    // Field 5 is the mount point; the type comes after a lone hyphen.
    if (line.includes(" / ") && line.split(" ")[4] === "/") type = line.slice(line.indexOf(" - ") + 3).split(" ")[0]
  }
  if (type !== undefined && type !== "rootfs") return null
  const targets = lines.map((line) => line.split(" ")[4] ?? "").filter((path) => path.startsWith("/") && path !== "/")
  // Detaching is recursive, so that those directly below the root are enough; deeper ones may hang on the root, too.
  // Of several on one place each has to be detached.
  return targets.map(unescapeOctal).sort((a, b) => b.length - a.length)
}

/** The mount that a directory is the root of or lies on, and its inode: statx(2). */
function placeOf(path: string): string | null {
  const result = callResult("statx", AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_MNT_ID, scratch.address)
  return result < 0 ? null : `${scratch.word(144)} ${scratch.word(32)}`
}

/**
 * Whether toybox may be in a chroot(2): its root is not the first process's. So it is too in a mount namespace of its own,
 * where leaving a chroot does no harm. Where nothing can be seen (no procfs, a foreign first process) it is not.
 */
export function isChrooted(): boolean {
  const first = placeOf("/proc/1/root")
  return first !== null && first !== placeOf("/")
}

const baseName = (path: string) => path.slice(path.lastIndexOf("/") + 1)

/** The mount option of a controller, or of a hierarchy that has none but a name. */
const optionOf = (controller: string): readonly [string, string | null] =>
  controller.startsWith("name=") ? ["name", controller.slice(5)] : [controller, null]

/**
 * What the container sees below /sys/fs/cgroup: the hierarchies that it has a cgroup of its own in (`used` controllers).
 * The cgroup namespace would show the host's tree in any other.
 */
export function cgroupView(cgroups: Cgroups, used: readonly string[], hostNamespace: boolean): Facts["cgroupView"] {
  if (cgroups.mode === "none") return { mounts: [], links: [] }
  if (hostNamespace) return { mounts: [], links: [], hostPath: "/sys/fs/cgroup" }
  if (cgroups.mode === "unified") return { mounts: [{ name: "cgroup", type: "cgroup2", options: [] }], links: [] }
  const byMount = new Map<string, string[]>()
  for (const [controller, { mountpoint }] of Object.entries(cgroups.controllers)) {
    if (!used.includes(controller)) continue
    byMount.set(mountpoint, [...(byMount.get(mountpoint) ?? []), controller])
  }
  const mounts: CgroupMount[] = [...byMount].map(([mountpoint, controllers]) => ({
    name: baseName(mountpoint),
    type: "cgroup",
    options: controllers.map((controller) => optionOf(controller)),
  }))
  const links = [...byMount].flatMap(([mountpoint, controllers]) =>
    controllers.length > 1 ? controllers.map((controller): [string, string] => [controller, baseName(mountpoint)]) : [],
  )
  return { mounts, links }
}

/** Of some paths of procfs and sysfs, those that this kernel has. */
export function presentPaths(paths: readonly string[]): Map<string, { directory: boolean }> {
  const present = new Map<string, { directory: boolean }>()
  for (const path of paths) {
    const found = lstat(path)
    if (found) present.set(path, { directory: isDirectory(found) })
  }
  return present
}

/** Per-processor temperature counters, a side channel: masked on machines that have them. */
export function thermalPaths(): string[] {
  if (!exists("/sys/devices/system/cpu/cpu0/thermal_throttle")) return []
  return listDir("/sys/devices/system/cpu")
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => `/sys/devices/system/cpu/${name}/thermal_throttle`)
}

/** The sources of bind mounts. Throws where one is gone. */
export function bindSources(spec: Spec): Map<string, { directory: boolean }> {
  const sources = new Map<string, { directory: boolean }>()
  for (const { type, source } of spec.mounts) {
    if (type !== "bind") continue
    const found = stat(source)
    if (!found) throw new ToyboxError(`cannot mount ${source}: it does not exist`)
    sources.set(source, { directory: isDirectory(found) })
  }
  return sources
}

const CLONE_FLAGS: Record<NamespaceType, number> = {
  mount: sched.CLONE_NEWNS,
  uts: sched.CLONE_NEWUTS,
  ipc: sched.CLONE_NEWIPC,
  pid: sched.CLONE_NEWPID,
  network: sched.CLONE_NEWNET,
  cgroup: sched.CLONE_NEWCGROUP,
  user: sched.CLONE_NEWUSER,
  time: sched.CLONE_NEWTIME,
}

/** Opens the namespace files of a spec, so that they stay what they are. */
export function openNamespaces(spec: Spec): Map<string, number> {
  const fds = new Map<string, number>()
  for (const { type, path } of spec.linux.namespaces) {
    if (path === undefined) continue
    let fd: number
    try {
      fd = open(path, O_RDONLY | O_NONBLOCK)
    } catch (error) {
      throw new ToyboxError(`cannot join the ${type} namespace ${path}`, { cause: error })
    }
    fds.set(path, fd)
    // Only files of namespaces answer: ioctl_ns(2).
    if (callResult("ioctl", fd, NS_GET_NSTYPE, 0) !== CLONE_FLAGS[type]) {
      for (const opened of fds.values()) close(opened)
      throw new ToyboxError(`cannot join the ${type} namespace ${path}: it is no file of a ${type} namespace`)
    }
  }
  return fds
}

let isConfined: boolean | undefined

/** Whether toybox is in a user namespace that is not the machine's own: user_namespaces(7). It stays where it is. */
export function inUserNamespace(): boolean {
  isConfined ??= !/^\s*0\s+0\s+4294967295\s*$/.test(readText("/proc/self/uid_map"))
  return isConfined
}

/** Whether toybox has an ordinary user's rights, be it as root of a user namespace of that user's. */
export const isOrdinaryUser = (): boolean => process.geteuid?.() !== 0 || inUserNamespace()

const KEEP_GROUPS = "run.oci.keep_original_groups"

/** Of a container's annotations those that change what it gets. */
export const HEEDED_ANNOTATIONS: readonly string[] = [KEEP_GROUPS]

/**
 * Whether the command has the groups of who calls toybox, as far as they are mapped: podman's --group-add keep-groups, by crun's
 * annotation. Those of root are nobody's to keep.
 */
export const keepsGroups = ({ annotations }: Spec): boolean => annotations?.[KEEP_GROUPS] === "1" && isOrdinaryUser()

/** The highest capability of this kernel: capabilities(7). */
export const lastCapability = (): number => Number(readText("/proc/sys/kernel/cap_last_cap"))

/** The capabilities that toybox itself has, and can pass on: capget(2). */
export function ownCapabilities(): string[] {
  call("capget", capHeader(_LINUX_CAPABILITY_VERSION_3), scratch.address)
  // Effective, permitted and inheritable of the first 32, then of the others.
  const permitted = [scratch.u32(4), scratch.u32(16)]
  return CAPABILITY_NAMES.filter((_, number) => ((permitted[number >> 5] ?? 0) >>> (number & 31)) & 1)
}
