/** The checked reader of `linux.resources`: runtime-spec 1.2, config-linux.md, "Control groups". */
import {
  flag,
  int64,
  integer,
  list,
  object,
  oneOf,
  type Read,
  record,
  text,
  uint16,
  uint32,
  uint64,
  word,
} from "./decode.ts"
import type * as resources from "./resources.ts"

// A negative size is "no limit".
const size = int64
// What dev_t of Linux holds, makedev(3); -1 is any.
const major = integer(-1, 0xfff)
const minor = integer(-1, 0xfffff)

const access: Read<string> = (value, where) => {
  const letters = text(value, where)
  return /^[rwm]*$/.test(letters) ? letters : oneOf(["r", "w", "m"])(letters, where)
}

const device = object<resources.LinuxDeviceCgroup>(
  { allow: flag, type: oneOf(["a", "c", "b"]), major, minor, access },
  ["allow"],
)

const memory = object<resources.LinuxMemory>({
  limit: size,
  reservation: size,
  swap: size,
  kernel: size,
  kernelTCP: size,
  swappiness: integer(0, 100),
  disableOOMKiller: flag,
  useHierarchy: flag,
  checkBeforeUpdate: flag,
})

const cpu = object<resources.LinuxCPU>({
  shares: uint64,
  quota: int64,
  burst: uint64,
  period: uint64,
  realtimeRuntime: int64,
  realtimePeriod: uint64,
  cpus: text,
  mems: text,
  idle: integer(0, 1),
})

const weight = uint16
const weightDevice = object<resources.LinuxWeightDevice>({ major: uint32, minor: uint32, weight, leafWeight: weight }, [
  "major",
  "minor",
])
const throttle = list(
  object<resources.LinuxThrottleDevice>({ major: uint32, minor: uint32, rate: uint64 }, ["major", "minor", "rate"]),
)

const blockIO = object<resources.LinuxBlockIO>({
  weight,
  leafWeight: weight,
  weightDevice: list(weightDevice),
  throttleReadBpsDevice: throttle,
  throttleWriteBpsDevice: throttle,
  throttleReadIOPSDevice: throttle,
  throttleWriteIOPSDevice: throttle,
})

const network = object<resources.LinuxNetwork>({
  classID: uint32,
  priorities: list(object<resources.LinuxInterfacePriority>({ name: word, priority: uint32 }, ["name", "priority"])),
})

/** Reads `linux.resources`, or the file of an update. Throws UsageError. */
export const readResources: Read<resources.LinuxResources> = object<resources.LinuxResources>({
  devices: list(device),
  memory,
  cpu,
  pids: object<resources.LinuxPids>({ limit: int64 }),
  blockIO,
  hugepageLimits: list(object<resources.LinuxHugepageLimit>({ pageSize: word, limit: uint64 }, ["pageSize", "limit"])),
  network,
  rdma: record(object<resources.LinuxRdma>({ hcaHandles: uint32, hcaObjects: uint32 })),
  unified: record(text),
})
