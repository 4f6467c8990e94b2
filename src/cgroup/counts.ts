import { ToyboxError } from "../errors.ts"
import type { LinuxHugepageLimit, LinuxRdma } from "../oci/resources.ts"
import type { FileWrite } from "./plan.ts"

/**
 * Huge page limits; v1 and v2 differ in the last word of the file names (hugetlb.rst, cgroup-v2.rst "HugeTLB").
 * Reserved pages have a limit of their own since Linux 5.7; older kernels charge them with the others.
 */
export function hugetlbWrites(limits: readonly LinuxHugepageLimit[], word: "limit_in_bytes" | "max"): FileWrite[] {
  return limits.flatMap(({ pageSize, limit }) => {
    if (!/^[1-9][0-9]*[KMG]B$/.test(pageSize)) {
      const text = JSON.stringify(pageSize)
      throw new ToyboxError(`linux.resources.hugepageLimits: ${text} is not a page size (such as 64KB, 2MB or 1GB)`)
    }
    const value = `${BigInt(limit)}`
    const field = "hugepageLimits"
    return [
      { file: `hugetlb.${pageSize}.${word}`, value, field },
      { file: `hugetlb.${pageSize}.rsvd.${word}`, value, field, absent: { notice: null } },
    ]
  })
}

/** `rdma.max`: one line per device; the same in v1 and v2 (rdma.rst). */
export function rdmaWrites(devices: Readonly<Record<string, LinuxRdma>>): FileWrite[] {
  return Object.entries(devices).map(([device, { hcaHandles, hcaObjects }]) => {
    if (!/^[^\s/]+$/.test(device)) {
      throw new ToyboxError(`linux.resources.rdma: ${JSON.stringify(device)} is not the name of a device`)
    }
    const limits = [
      ...(hcaHandles === undefined ? [] : [`hca_handle=${hcaHandles}`]),
      ...(hcaObjects === undefined ? [] : [`hca_object=${hcaObjects}`]),
    ]
    return { file: "rdma.max", value: [device, ...limits].join(" "), field: "rdma" }
  })
}

/** `pids.max`; the same in v1 and v2 (pids.rst). 0 is what older bundles write for "not set". */
export function pidsWrites(limit: number | undefined): FileWrite[] {
  return limit ? [{ file: "pids.max", value: limit < 0 ? "max" : `${limit}`, field: "pids.limit" }] : []
}
