import type { CgroupIo } from "../io.ts"
import { ancestors } from "../path.ts"

/** A directory of the cpuset hierarchy above a container's, with its lists as they are; empty where it does not exist. */
export interface CpusetLevel {
  readonly dir: string
  readonly cpus: string
  readonly mems: string
}

/** Reads the lists from the top of the hierarchy down to the container's parent. */
export function readCpusetLevels(mountpoint: string, path: string, io: CgroupIo): CpusetLevel[] {
  return ["", ...ancestors(path)].map((ancestor) => {
    const dir = mountpoint + ancestor
    return {
      dir,
      cpus: io.tryReadText(`${dir}/cpuset.cpus`)?.trim() ?? "",
      mems: io.tryReadText(`${dir}/cpuset.mems`)?.trim() ?? "",
    }
  })
}

/** What to write into each empty parent, and what a child of the last one inherits. */
export interface CpusetFill {
  readonly fills: readonly CpusetLevel[]
  readonly cpus: string
  readonly mems: string
}

/**
 * A new v1 cpuset is empty and takes no process until it has CPUs and memory nodes of its parent (cpusets.rst), so each
 * empty level gets its parent's, from the top down. In `fills` an empty list means that nothing is to be written.
 */
export function fillFromTop(levels: readonly CpusetLevel[]): CpusetFill {
  let cpus = ""
  let mems = ""
  const fills: CpusetLevel[] = []
  for (const level of levels) {
    fills.push({ dir: level.dir, cpus: level.cpus ? "" : cpus, mems: level.mems ? "" : mems })
    cpus = level.cpus || cpus
    mems = level.mems || mems
  }
  return { fills, cpus, mems }
}
