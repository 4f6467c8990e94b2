/** Limits, of `run` and `update`: docker's names, and our short ones. */
import type { OptionDefinitions } from "../argv.ts"

export const LIMIT_OPTIONS = {
  cpu: { type: "string", valueHint: "10%|100m|0.1|2", description: "CPU time, of one processor" },
  cpus: { type: "string", valueHint: "N", description: "CPU time, in processors" },
  "cpu-shares": { type: "string", alias: "c", valueHint: "N", description: "Relative CPU share, 2 to 262144" },
  "cpu-weight": { type: "string", valueHint: "N", description: "Relative CPU weight, 1 to 10000" },
  "cpu-period": { type: "string", valueHint: "MICROSECONDS", description: "Period of --cpu-quota (default: 100000)" },
  "cpu-quota": { type: "string", valueHint: "MICROSECONDS", description: "CPU time in such a period" },
  "cpu-rt-period": { type: "string", valueHint: "MICROSECONDS", description: "Realtime CPU period (cgroup v1)" },
  "cpu-rt-runtime": { type: "string", valueHint: "MICROSECONDS", description: "Realtime CPU time in it (cgroup v1)" },
  cpuset: { type: "string", alias: "cpuset-cpus", valueHint: "0-3", description: "Processors to run on" },
  "cpuset-mems": { type: "string", valueHint: "0", description: "Memory nodes to use" },
  mem: { type: "string", alias: ["m", "memory"], valueHint: "500M", description: "Memory limit" },
  "memory-reservation": { type: "string", valueHint: "SIZE", description: "Soft memory limit" },
  swap: { type: "string", valueHint: "SIZE", description: "Swap on top of the memory (default: none)" },
  "memory-swap": { type: "string", valueHint: "SIZE", description: "Memory and swap together, as docker counts" },
  "memory-swappiness": {
    type: "string",
    valueHint: "0-100",
    description: "How readily memory is swapped (cgroup v1)",
  },
  pids: {
    type: "string",
    alias: "pids-limit",
    valueHint: "N",
    description: "Most processes and threads (default: 4096)",
  },
  "io-weight": { type: "string", valueHint: "N", description: "Relative I/O weight, 1 to 10000" },
  "blkio-weight": { type: "string", valueHint: "N", description: "Relative I/O weight, 10 to 1000, as docker counts" },
  "blkio-weight-device": {
    type: "string",
    repeated: true,
    valueHint: "DEV:WEIGHT",
    description: "The same of one device",
  },
  "device-read-bps": {
    type: "string",
    repeated: true,
    valueHint: "DEV:RATE",
    description: "Read rate, bytes per second",
  },
  "device-write-bps": {
    type: "string",
    repeated: true,
    valueHint: "DEV:RATE",
    description: "Write rate, bytes per second",
  },
  "device-read-iops": { type: "string", repeated: true, valueHint: "DEV:RATE", description: "Reads per second" },
  "device-write-iops": { type: "string", repeated: true, valueHint: "DEV:RATE", description: "Writes per second" },
} as const satisfies OptionDefinitions
