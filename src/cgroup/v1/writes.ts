import type { LinuxNetwork, LinuxResources } from "../../oci/resources.ts"
import { hugetlbWrites, pidsWrites, rdmaWrites } from "../counts.ts"
import { deviceLines } from "../devices/v1.ts"
import type { FileWrite } from "../plan.ts"
import { blkioWrites } from "./blkio.ts"
import { cpuWrites } from "./cpu.ts"
import { type CurrentMemory, memoryWrites } from "./memory.ts"

/** `net_cls.classid`, `net_prio.ifpriomap`: net_cls.rst, net_prio.rst. */
function networkWrites({ classID, priorities = [] }: LinuxNetwork): FileWrite[] {
  const writes: FileWrite[] = []
  if (classID) writes.push({ file: "net_cls.classid", value: `${classID}`, field: "network.classID" })
  for (const { name, priority } of priorities) {
    writes.push({ file: "net_prio.ifpriomap", value: `${name} ${priority}`, field: "network.priorities" })
  }
  return writes
}

/**
 * `linux.resources` as writes to the files of the container's cgroup v1 directories, in order. Without cpuset, which must be
 * filled from its parents (fillCpuset).
 */
export function v1Writes(resources: LinuxResources, current: CurrentMemory | null = null): FileWrite[] {
  const { cpu, memory, pids, blockIO, hugepageLimits, rdma, network, devices } = resources
  // On the start path: a function that is never called costs nothing, a first call does.
  return [
    ...(cpu ? cpuWrites(cpu) : []),
    ...(memory ? memoryWrites(memory, current) : []),
    ...(pids ? pidsWrites(pids.limit) : []),
    ...(blockIO ? blkioWrites(blockIO) : []),
    ...(hugepageLimits ? hugetlbWrites(hugepageLimits, "limit_in_bytes") : []),
    ...(rdma ? rdmaWrites(rdma) : []),
    ...(network ? networkWrites(network) : []),
    ...(devices ? deviceLines(devices) : []),
  ]
}
