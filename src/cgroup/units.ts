/** Values of the resource options, from the text typed to the numbers of the OCI runtime specification. Pure. */
export { type CpuQuota, parseCpu, parseCpuShares, parseCpus, parseCpuWeight } from "./units/cpu.ts"
export { formatList, parseCpuset, parseList } from "./units/cpuset.ts"
export { type DeviceRate, parseBlkioWeight, parseDeviceRate, parseIoWeight, parsePids } from "./units/io.ts"
export { LEAST_MEMORY, type MemoryOptions, parseMemory, parseSize, resolveMemory } from "./units/memory.ts"
