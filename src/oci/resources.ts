/**
 * `linux.resources` of the OCI runtime specification 1.2 (config-linux.md, "Control groups"), field names verbatim.
 * Integers are JavaScript numbers: what JSON gives.
 */

/** `linux.resources.devices[]`: one access rule; the last rule that matches a device decides. */
export interface LinuxDeviceCgroup {
  readonly allow: boolean
  /** `a` (all), `c` (character), `b` (block); absent means `a`. */
  readonly type?: string
  /** Absent or -1 means any. */
  readonly major?: number
  /** Absent or -1 means any. */
  readonly minor?: number
  /** Letters of `rwm`; absent means all three. */
  readonly access?: string
}

/** `linux.resources.memory`; sizes in bytes, -1 is unlimited. */
export interface LinuxMemory {
  readonly limit?: number
  /** Soft limit. */
  readonly reservation?: number
  /** Memory **plus** swap. */
  readonly swap?: number
  /** Deprecated by the specification: no current kernel honours it. */
  readonly kernel?: number
  /** Deprecated by the specification. */
  readonly kernelTCP?: number
  readonly swappiness?: number
  readonly disableOOMKiller?: boolean
  readonly useHierarchy?: boolean
  /** Refuse an update whose limit is below the present usage. */
  readonly checkBeforeUpdate?: boolean
}

/** `linux.resources.cpu`; times in microseconds. */
export interface LinuxCPU {
  /** 2..262144, 1024 is the kernel's default. */
  readonly shares?: number
  readonly quota?: number
  readonly burst?: number
  readonly period?: number
  readonly realtimeRuntime?: number
  readonly realtimePeriod?: number
  /** List format of cpuset(7): `0-3,5`. */
  readonly cpus?: string
  readonly mems?: string
  readonly idle?: number
}

/** `linux.resources.pids`; -1 is unlimited. */
export interface LinuxPids {
  readonly limit?: number
}

/** `linux.resources.blockIO.weightDevice[]`. */
export interface LinuxWeightDevice {
  readonly major: number
  readonly minor: number
  readonly weight?: number
  readonly leafWeight?: number
}

/** `linux.resources.blockIO.throttle*Device[]`; rate in bytes or operations per second. */
export interface LinuxThrottleDevice {
  readonly major: number
  readonly minor: number
  readonly rate: number
}

/** `linux.resources.blockIO`; weights 10..1000. */
export interface LinuxBlockIO {
  readonly weight?: number
  readonly leafWeight?: number
  readonly weightDevice?: readonly LinuxWeightDevice[]
  readonly throttleReadBpsDevice?: readonly LinuxThrottleDevice[]
  readonly throttleWriteBpsDevice?: readonly LinuxThrottleDevice[]
  readonly throttleReadIOPSDevice?: readonly LinuxThrottleDevice[]
  readonly throttleWriteIOPSDevice?: readonly LinuxThrottleDevice[]
}

/** `linux.resources.hugepageLimits[]`. */
export interface LinuxHugepageLimit {
  /** `64KB`, `2MB`, `1GB`, … */
  readonly pageSize: string
  /** Bytes. */
  readonly limit: number
}

/** `linux.resources.network.priorities[]`. */
export interface LinuxInterfacePriority {
  readonly name: string
  readonly priority: number
}

/** `linux.resources.network`; cgroup v1 only. */
export interface LinuxNetwork {
  readonly classID?: number
  readonly priorities?: readonly LinuxInterfacePriority[]
}

/** `linux.resources.rdma[device]`. */
export interface LinuxRdma {
  readonly hcaHandles?: number
  readonly hcaObjects?: number
}

/** `linux.resources`. */
export interface LinuxResources {
  readonly devices?: readonly LinuxDeviceCgroup[]
  readonly memory?: LinuxMemory
  readonly cpu?: LinuxCPU
  readonly pids?: LinuxPids
  readonly blockIO?: LinuxBlockIO
  readonly hugepageLimits?: readonly LinuxHugepageLimit[]
  readonly network?: LinuxNetwork
  readonly rdma?: Readonly<Record<string, LinuxRdma>>
  /** cgroup v2 file name to value, written as it is. */
  readonly unified?: Readonly<Record<string, string>>
}
