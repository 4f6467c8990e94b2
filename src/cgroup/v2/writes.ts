import type { LinuxResources } from "../../oci/resources.ts"
import { hugetlbWrites, pidsWrites, rdmaWrites } from "../counts.ts"
import type { FileWrite } from "../plan.ts"
import { cpusetWrites, cpuWrites } from "./cpu.ts"
import { ioWrites } from "./io.ts"
import { memoryWrites } from "./memory.ts"
import { unifiedWrites } from "./unified.ts"

/** `linux.resources` as writes to the files of a cgroup v2 directory, in order; raw `unified` entries have the last word. */
export function v2Writes(resources: LinuxResources): FileWrite[] {
  const { cpu, memory, pids, blockIO, hugepageLimits, rdma, unified } = resources
  // On the start path: a function that is never called costs nothing, a first call does.
  return [
    ...(cpu ? [...cpusetWrites(cpu), ...cpuWrites(cpu)] : []),
    ...(memory ? memoryWrites(memory) : []),
    ...(pids ? pidsWrites(pids.limit) : []),
    ...(blockIO ? ioWrites(blockIO) : []),
    ...(hugepageLimits ? hugetlbWrites(hugepageLimits, "max") : []),
    ...(rdma ? rdmaWrites(rdma) : []),
    ...(unified ? unifiedWrites(unified) : []),
  ]
}
