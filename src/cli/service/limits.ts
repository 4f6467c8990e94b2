/** The limits of a container as options of `run`: those that it has now, which need not be those that it was made with. */
import type { RequestedResources } from "../../cgroup/flags.ts"
import type { LinuxThrottleDevice } from "../../oci/resources.ts"

const rates = (name: string, devices: readonly LinuxThrottleDevice[] = []) =>
  // udev has links of such names.
  devices.map(({ major, minor, rate }) => [name, `/dev/block/${major}:${minor}:${rate}`] as const)

/** CPU time as it was asked for: in microseconds of a period, or as an amount. */
function cpuTime({ resources, options }: RequestedResources): Record<string, string | undefined> {
  const { quota = -1, period = 0 } = resources.cpu ?? {}
  if (/^--cpu-(quota|period)$/.test(options["cpu.quota"] ?? ""))
    return { "cpu-period": String(period), "cpu-quota": quota > 0 ? String(quota) : undefined }
  return { cpu: quota > 0 && period > 0 ? `${Number(((quota * 100) / period).toFixed(4))}%` : undefined }
}

/** Names and values; what nobody has asked for, or is unlimited, is left out. */
export function limitOptions(requested: RequestedResources): [string, string][] {
  const { resources, options } = requested
  const { cpu = {}, memory = {}, pids, blockIO = {}, unified = {} } = resources
  const swap = options["memory.swap"] === undefined ? undefined : memory.swap
  const weight = unified["io.weight"]?.replace("default ", "")
  const limit = (value: number | undefined) => (value !== undefined && value > 0 ? String(value) : undefined)
  const single = {
    ...cpuTime(requested),
    "cpu-rt-period": limit(cpu.realtimePeriod),
    "cpu-rt-runtime": limit(cpu.realtimeRuntime),
    "cpu-shares": limit(cpu.shares),
    cpuset: cpu.cpus,
    "cpuset-mems": cpu.mems,
    mem: limit(memory.limit),
    "memory-reservation": limit(memory.reservation),
    "memory-swap": limit(memory.limit) && swap !== undefined ? String(swap) : undefined,
    "memory-swappiness": memory.swappiness === undefined ? undefined : String(memory.swappiness),
    pids: options["pids.limit"] === undefined ? undefined : String(pids?.limit),
    "io-weight": weight,
    "blkio-weight": limit(blockIO.weight),
  }
  return [
    ...Object.entries(single).flatMap(([name, value]): [string, string][] => (value ? [[name, value]] : [])),
    ...rates(
      "blkio-weight-device",
      (blockIO.weightDevice ?? []).map(({ weight = 0, ...device }) => ({ ...device, rate: weight })),
    ),
    ...rates("device-read-bps", blockIO.throttleReadBpsDevice),
    ...rates("device-write-bps", blockIO.throttleWriteBpsDevice),
    ...rates("device-read-iops", blockIO.throttleReadIOPSDevice),
    ...rates("device-write-iops", blockIO.throttleWriteIOPSDevice),
  ].map(([name, value]) => [name, value])
}
