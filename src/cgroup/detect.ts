import { readText } from "../../ffi/fs.ts"
import { type MountLine, parseMountLine } from "./mountinfo.ts"

/** A mounted hierarchy. `root` is not "/" where only a subtree is mounted, as in a container without cgroup namespace. */
export interface Hierarchy {
  readonly mountpoint: string
  readonly root: string
}

/**
 * What is mounted: one v2 tree (`unified`), v1 trees alone (`legacy`), both (`hybrid`), or nothing (`none`).
 * Co-mounted v1 controllers (`cpu,cpuacct`) share one Hierarchy; one without controllers is by its name: `name=systemd`.
 */
export type Cgroups =
  | { readonly mode: "unified"; readonly unified: Hierarchy }
  | {
      readonly mode: "legacy" | "hybrid"
      readonly controllers: Readonly<Record<string, Hierarchy>>
      readonly unified: Hierarchy | null
    }
  | { readonly mode: "none" }

// Options of a v1 super block that are no controllers: cgroup1_show_options() in kernel/cgroup/cgroup-v1.c.
const NO_CONTROLLER = new Set(["rw", "ro", "noprefix", "xattr", "cpuset_v2_mode", "favordynmods", "clone_children", ""])
const isNamed = (option: string) => option.startsWith("name=")
const isController = (option: string) => !NO_CONTROLLER.has(option) && !option.includes("=")

const MARK = " - cgroup"

function cgroupMounts(root: string, mountinfo: string): MountLine[] {
  const lines: MountLine[] = []
  // A busy machine has thousands of mounts: only the lines that can matter are looked at.
  for (let at = mountinfo.indexOf(MARK); at >= 0; at = mountinfo.indexOf(MARK, at + 1)) {
    const end = mountinfo.indexOf("\n", at)
    const line = parseMountLine(mountinfo.slice(mountinfo.lastIndexOf("\n", at) + 1, end < 0 ? undefined : end))
    if (line && (line.mountpoint === root || line.mountpoint.startsWith(`${root}/`))) lines.push(line)
  }
  return lines
}

/**
 * Finds the cgroup hierarchies at and below `root` in the text of `/proc/self/mountinfo`; of mounts on top of each other the
 * last counts. Symlinks such as `cpu → cpu,cpuacct` do not matter, since the mount itself names its controllers.
 */
export function detectCgroups(root = "/sys/fs/cgroup", mountinfo: string = readText("/proc/self/mountinfo")): Cgroups {
  const controllers: Record<string, Hierarchy> = {}
  const named: Record<string, Hierarchy> = {}
  let unified: Hierarchy | null = null
  let atRoot: Hierarchy | null = null
  for (const { mountpoint, root: mountRoot, type, superOptions } of cgroupMounts(root, mountinfo)) {
    const hierarchy = { mountpoint, root: mountRoot }
    if (type === "cgroup2") {
      if (mountpoint === root) atRoot = hierarchy
      unified = hierarchy
    } else if (type === "cgroup") {
      for (const option of superOptions) {
        if (isController(option)) controllers[option] = hierarchy
        else if (isNamed(option)) named[option] = hierarchy
      }
    }
  }
  if (atRoot) return { mode: "unified", unified: atRoot }
  if (Object.keys(controllers).length > 0) {
    return { mode: unified ? "hybrid" : "legacy", controllers: { ...controllers, ...named }, unified }
  }
  // A v2 tree that somebody mounted below the root, and nothing else: it is the one there is.
  return unified ? { mode: "unified", unified } : { mode: "none" }
}

/** This process's cgroup per v1 controller, and in the v2 tree (`unified`, null without one): proc_pid_cgroup(5). */
export interface OwnCgroup {
  readonly unified: string | null
  readonly controllers: Readonly<Record<string, string>>
}

/** Parses `/proc/[pid]/cgroup`. Paths are relative to the root of the reader's cgroup namespace. */
export function ownCgroup(text: string = readText("/proc/self/cgroup")): OwnCgroup {
  let unified: string | null = null
  const controllers: Record<string, string> = {}
  for (const line of text.split("\n")) {
    const match = /^(\d+):([^:]*):(.*)$/.exec(line)
    if (!match) continue
    const [, id, names, path] = match
    if (id === "0" && names === "") unified = path ?? null
    else
      for (const name of (names ?? "").split(",").filter((name) => isController(name) || isNamed(name)))
        controllers[name] = path ?? "/"
  }
  return { unified, controllers }
}

/** The directory that shows cgroup `path` (as `/proc/self/cgroup` names it), or null where the mount does not show it. */
export function directoryOf({ mountpoint, root }: Hierarchy, path: string): string | null {
  if (root === "/") return path === "/" ? mountpoint : mountpoint + path
  if (path === root) return mountpoint
  return path.startsWith(`${root}/`) ? mountpoint + path.slice(root.length) : null
}
