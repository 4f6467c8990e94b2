/** The limits of a container as options of `run`: those that it has now, which need not be those that it was made with. */
import type { RequestedResources } from "../../cgroup/flags.ts"
import type { LinuxThrottleDevice } from "../../oci/resources.ts"

const rates = (name: string, devices: readonly LinuxThrottleDevice[] = []) =>
  // udev has links of such names.
  devices.map(({ major, minor, rate }) => [name, `/dev/block/${major}:${minor}:${rate}`] as const)

/** Names and values; what nobody has asked for, or is unlimited, is left out. */
export function limitOptions({ resources, options }: RequestedResources): [string, string][] {
  const { cpu = {}, memory = {}, pids, blockIO = {}, unified = {} } = resources
  const { quota = -1, period = 0 } = cpu
  const swap = options["memory.swap"] === undefined ? undefined : memory.swap
  const weight = unified["io.weight"]?.replace("default ", "")
  const limit = (value: number | undefined) => (value !== undefined && value > 0 ? String(value) : undefined)
  const single = {
    cpu: quota > 0 && period > 0 ? `${Number(((quota * 100) / period).toFixed(4))}%` : undefined,
    "cpu-shares": limit(cpu.shares),
    cpuset: cpu.cpus,
    "cpuset-mems": cpu.mems,
    mem: limit(memory.limit),
    "memory-reservation": limit(memory.reservation),
    "memory-swap": limit(memory.limit) && swap !== undefined ? String(swap) : undefined,
    pids: options["pids.limit"] === undefined ? undefined : String(pids?.limit),
    "io-weight": weight,
    "blkio-weight": limit(blockIO.weight),
  }
  return [
    ...Object.entries(single).flatMap(([name, value]): [string, string][] => (value ? [[name, value]] : [])),
    ...rates("device-read-bps", blockIO.throttleReadBpsDevice),
    ...rates("device-write-bps", blockIO.throttleWriteBpsDevice),
    ...rates("device-read-iops", blockIO.throttleReadIOPSDevice),
    ...rates("device-write-iops", blockIO.throttleWriteIOPSDevice),
  ].map(([name, value]) => [name, value])
}
