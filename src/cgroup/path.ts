import { UsageError } from "../errors.ts"

/** The cgroup that holds toybox's containers, unless `--cgroup-parent` names another. */
export const SLICE = "/toybox.slice"

/**
 * The cgroup of a container. On v1 without a slice above it, which would cost a directory more in every hierarchy at
 * every start and end, and give nothing: each controller has its own tree anyway.
 */
export function containerCgroup(parent: string | null, id: string, version: 1 | 2): string {
  if (parent !== null) return `${parent}/${id}`
  return version === 2 ? `${SLICE}/${id}` : `/toybox-${id}`
}

/**
 * Checks a cgroup path (`--cgroup-parent`, `linux.cgroupsPath`) and gives it back absolute, from the root of the hierarchy:
 * `a/b/` is `/a/b`. Refuses `..`, which would leave the hierarchy, and names the kernel refuses. Throws UsageError.
 */
export function cgroupPath(option: string, text: string): string {
  const names = text.split("/").filter((name) => name !== "" && name !== ".")
  const bad = names.find((name) => name === ".." || name.length > 255 || /[\0\n]/.test(name))
  // With the mount point before it and a file's name behind it, PATH_MAX of linux/limits.h.
  if (names.join("/").length > 3800)
    throw new UsageError(`${option}: ${text.length} characters are too long for a path`)
  if (names.length === 0 || bad !== undefined) {
    throw new UsageError(`${option}: ${JSON.stringify(text)} is not a cgroup path (use /my.slice or my.slice/part)`)
  }
  return `/${names.join("/")}`
}

/** The cgroups above `path`, outermost first, without the root of the hierarchy: `/a/b/c` has `/a` and `/a/b`. */
export function ancestors(path: string): string[] {
  const names = path.split("/").slice(1, -1)
  return names.map((_, index) => `/${names.slice(0, index + 1).join("/")}`)
}

/** Of the directories above a container's, those that are toybox's to remove when empty, innermost first. */
export function ownParents(mountpoint: string, path: string): string[] {
  return ancestors(path)
    .filter((ancestor) => ancestor === SLICE || ancestor.startsWith(`${SLICE}/`))
    .map((ancestor) => mountpoint + ancestor)
    .reverse()
}
