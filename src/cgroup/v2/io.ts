import type { LinuxBlockIO, LinuxThrottleDevice } from "../../oci/resources.ts"
import type { FileWrite } from "../plan.ts"
import { blkioToIoWeight } from "../weights.ts"

/** `io.weight` and `io.bfq.weight`: which of the two acts depends on each disk's scheduler, so both are set. */
function weightWrites({ weight, weightDevice = [] }: LinuxBlockIO): FileWrite[] {
  const write = (device: string, value: number, field: string): FileWrite => ({
    file: "io.weight",
    value: `${device} ${blkioToIoWeight(value)}`,
    field,
    others: [{ file: "io.bfq.weight", value: `${device} ${value}` }],
    use: "all",
  })
  const writes = weight ? [write("default", weight, "blockIO.weight")] : []
  for (const device of weightDevice) {
    if (device.weight) writes.push(write(`${device.major}:${device.minor}`, device.weight, "blockIO.weightDevice"))
  }
  return writes
}

/** `io.max`: cgroup-v2.rst, "IO Interface Files"; the four limits of one device in one line. */
function throttleWrites(blockIO: LinuxBlockIO): FileWrite[] {
  const sources = [
    ["rbps", "throttleReadBpsDevice"],
    ["wbps", "throttleWriteBpsDevice"],
    ["riops", "throttleReadIOPSDevice"],
    ["wiops", "throttleWriteIOPSDevice"],
  ] as const
  const devices = new Map<string, { limits: Map<string, string>; field: string }>()
  for (const [key, name] of sources) {
    const list: readonly LinuxThrottleDevice[] = blockIO[name] ?? []
    for (const { major, minor, rate } of list) {
      const device = `${major}:${minor}`
      const entry = devices.get(device) ?? { limits: new Map(), field: `blockIO.${name}` }
      entry.limits.set(key, rate > 0 ? `${rate}` : "max")
      devices.set(device, entry)
    }
  }
  return [...devices].map(([device, { limits, field }]) => ({
    file: "io.max",
    value: [device, ...[...limits].map(([key, rate]) => `${key}=${rate}`)].join(" "),
    field,
  }))
}

/** Weights and limits of block devices. */
export function ioWrites(blockIO: LinuxBlockIO): FileWrite[] {
  return [...weightWrites(blockIO), ...throttleWrites(blockIO)]
}
