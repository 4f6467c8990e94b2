import type { Hierarchy } from "../detect.ts"
import type { CgroupIo } from "../io.ts"
import { ancestors } from "../path.ts"

/** One cgroup on the way from the top of the tree down to the container's parent. */
export interface V2Level {
  readonly dir: string
  /** The controllers in cgroup.subtree_control; none where the directory does not exist yet. */
  readonly enabled: readonly string[]
  /** Processes that the no-internal-process rule would count. Only known (else false) where controllers are missing. */
  readonly hasProcesses: boolean
  readonly isTop: boolean
}

/** What planning for cgroup v2 has to know of the machine. */
export interface V2Facts {
  readonly mountpoint: string
  /** cgroup.controllers at the top, as far as they can be had below. */
  readonly available: readonly string[]
  readonly levels: readonly V2Level[]
}

const words = (text: string | null) => (text ?? "").split(/\s+/).filter((word) => word !== "")

/** Reads the facts for `path`: two small files on the way down, and more only where controllers are still to be enabled. */
export function readV2Facts({ mountpoint }: Hierarchy, path: string, io: CgroupIo): V2Facts {
  let available = words(io.readText(`${mountpoint}/cgroup.controllers`))
  const levels = ["", ...ancestors(path)].map((ancestor): V2Level => {
    const dir = mountpoint + ancestor
    const isTop = ancestor === ""
    const control = `${dir}/cgroup.subtree_control`
    const text = io.tryReadText(control)
    const enabled = words(text)
    // Above what an ordinary user was given nothing can be enabled that is not: cgroups(7), "Cgroups v2 delegation".
    if (text !== null && available.some((name) => !enabled.includes(name)) && !io.mayWrite(control))
      available = available.filter((name) => enabled.includes(name))
    const complete = available.every((controller) => enabled.includes(controller))
    // The true root, which alone has no cgroup.events, is exempt from the no-internal-process rule.
    const counts = !complete && (!isTop || io.exists(`${dir}/cgroup.events`))
    return { dir, enabled, isTop, hasProcesses: counts && words(io.tryReadText(`${dir}/cgroup.procs`)).length > 0 }
  })
  return { mountpoint, available, levels }
}
