/** Values of the resource options, from the text typed to the numbers of the OCI runtime specification. Pure. */
export {
  type CpuQuota,
  PERIOD,
  parseCpu,
  parseCpuPeriod,
  parseCpuQuota,
  parseCpuShares,
  parseCpus,
  parseCpuWeight,
  parseRealtime,
  REALTIME_PERIOD,
} from "./units/cpu.ts"
export { formatList, parseCpuset, parseList } from "./units/cpuset.ts"
export {
  type DeviceRate,
  parseBlkioWeight,
  parseDeviceRate,
  parseDeviceWeight,
  parseIoWeight,
  parsePids,
} from "./units/io.ts"
export {
  LEAST_MEMORY,
  type MemoryOptions,
  parseMemory,
  parseSize,
  parseSwappiness,
  resolveMemory,
} from "./units/memory.ts"
