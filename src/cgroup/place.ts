/** Where in its container's cgroup a process is, of version 2: cgroups(7), /proc/PID/cgroup. */
import type { CgroupHandle } from "./plan.ts"

/** The directory of the cgroup below a container's that the text of /proc/PID/cgroup names; null where there is none, or not there. */
export function placeIn({ path, dirs: { unified } }: CgroupHandle, text: string): string | null {
  const own = /^0::(.*)$/m.exec(text)?.[1] ?? ""
  const start = own.indexOf(`${path}/`)
  return unified === undefined || start < 0 ? null : unified + own.slice(start + path.length)
}
