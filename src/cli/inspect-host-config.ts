/** HostConfig of docker inspect: what a container was asked to be, and has been changed to. */
import type { LogLimits } from "../container/log-limits.ts"
import type { RestartPolicy } from "../container/restart-policy.ts"
import type { ContainerRecord } from "../container/state.ts"
import type { StoredRequest } from "../container/stored-request.ts"
import type { LinuxDeviceCgroup, LinuxResources, LinuxThrottleDevice } from "../oci/resources.ts"
import type { Mount } from "../oci/runtime.ts"
import type { NamespaceMode } from "../spec/request.ts"
import type { ParsedArgv } from "./argv.ts"
import { listOrNull } from "./go-values.ts"
import { givenBinds, withGiven } from "./inspect-given.ts"
import { networkModeOf, wantedBindings } from "./inspect-network.ts"
import { volumeAt } from "./volume-fields.ts"

const restartPolicy = (policy: RestartPolicy | undefined) => ({
  Name: policy?.name ?? "no",
  MaximumRetryCount: policy?.name === "on-failure" ? (policy.most ?? 0) : 0,
})

const logConfig = (log: LogLimits | null | undefined) =>
  log
    ? { Type: "k8s-file", Config: { "max-file": String(log.maxFiles), "max-size": String(log.maxSize) } }
    : { Type: "none", Config: {} }

const modeText = (mode: NamespaceMode | undefined, otherwise: string) =>
  mode?.mode === "container" ? `container:${mode.id}` : mode?.mode === "host" ? "host" : otherwise

function bind({ source, destination, options }: Mount, record: ContainerRecord): string {
  const isReadOnly = options.includes("ro") || options.includes("rro")
  return `${volumeAt(record, destination) ?? source}:${destination}${isReadOnly ? ":ro" : ""}`
}

/** A limit, where there is one; 0 as docker has it where there is none. */
const limit = (value: number | undefined) => Math.max(0, value ?? 0)

type Numbers = { readonly major: number; readonly minor: number }

/** Devices by a name that udev has for each. */
const devicePath = ({ major, minor }: Numbers) => `/dev/block/${major}:${minor}`
const rates = (devices: readonly LinuxThrottleDevice[] = []) =>
  devices.map((device) => ({ Path: devicePath(device), Rate: device.rate }))

const ruleText = ({ type = "a", major, minor, access = "rwm" }: LinuxDeviceCgroup) =>
  `${type} ${major ?? "*"}:${minor ?? "*"} ${access}`

function blockConfig({ blockIO = {} }: LinuxResources): object {
  return {
    BlkioWeight: blockIO.weight ?? 0,
    BlkioWeightDevice: (blockIO.weightDevice ?? []).map((one) => ({ Path: devicePath(one), Weight: one.weight ?? 0 })),
    BlkioDeviceReadBps: rates(blockIO.throttleReadBpsDevice),
    BlkioDeviceWriteBps: rates(blockIO.throttleWriteBpsDevice),
    BlkioDeviceReadIOps: rates(blockIO.throttleReadIOPSDevice),
    BlkioDeviceWriteIOps: rates(blockIO.throttleWriteIOPSDevice),
  }
}

/** What docker has for other machines, for helper programs, or for containers of another kind. */
const OF_OTHERS = {
  ...{ UsernsMode: "", Cgroup: "", Links: listOrNull([]), DeviceRequests: listOrNull([]), VolumeDriver: "" },
  ...{ Runtime: "toybox", Isolation: "", CpuCount: 0, CpuPercent: 0, IOMaximumIOps: 0, IOMaximumBandwidth: 0 },
}

/** HostConfig of docker inspect. */
export function hostConfig(record: ContainerRecord, stored: StoredRequest, given: ParsedArgv): object {
  const { spec, detached } = record
  const { process, names, ports } = stored
  const { memory, cpu, pids } = spec.linux.resources
  const { namespaces } = process
  const quota = limit(cpu?.quota)
  const bound = givenBinds(given)
  const config = {
    AutoRemove: record.autoRemove,
    RestartPolicy: restartPolicy(detached?.restart),
    LogConfig: logConfig(detached?.log),
    NetworkMode: networkModeOf(stored),
    PidMode: modeText(namespaces.pid, ""),
    IpcMode: modeText(namespaces.ipc, "private"),
    UTSMode: modeText(namespaces.uts, ""),
    Binds: listOrNull(
      spec.mounts.filter(({ destination }) => bound.has(destination)).map((mount) => bind(mount, record)),
    ),
    PortBindings: wantedBindings(ports),
    PublishAllPorts: ports?.all ?? false,
    Dns: names?.dns ?? [],
    DnsSearch: names?.dnsSearch ?? [],
    DnsOptions: names?.dnsOptions ?? [],
    ExtraHosts: (names?.hosts ?? []).map(({ name, address }) => `${name}:${address}`),
    Annotations: process.annotations ?? {},
    ...OF_OTHERS,
    CgroupnsMode: namespaces.cgroup?.mode === "host" ? "host" : "private",
    ConsoleSize: [process.consoleSize?.height ?? 0, process.consoleSize?.width ?? 0],
    MaskedPaths: spec.linux.maskedPaths,
    ReadonlyPaths: spec.linux.readonlyPaths,
    CapAdd: process.capAdd,
    CapDrop: process.capDrop,
    GroupAdd: process.groupAdd,
    Privileged: process.privileged,
    ReadonlyRootfs: spec.root.readonly ?? false,
    Init: stored.init,
    ShmSize: process.shmSize,
    Sysctls: process.sysctl,
    OomScoreAdj: process.oomScoreAdj ?? 0,
    CgroupParent: stored.cgroupParent ?? "",
    Memory: limit(memory?.limit),
    // -1 is no limit, which docker shows as such.
    MemorySwap: limit(memory?.limit) === 0 ? 0 : (memory?.swap ?? 0),
    MemoryReservation: limit(memory?.reservation),
    NanoCpus: quota > 0 && cpu?.period ? Math.round((quota * 1e9) / cpu.period) : 0,
    CpuQuota: quota,
    CpuPeriod: cpu?.period ?? 0,
    CpuRealtimePeriod: cpu?.realtimePeriod ?? 0,
    CpuRealtimeRuntime: cpu?.realtimeRuntime ?? 0,
    CpuShares: cpu?.shares ?? 0,
    CpusetCpus: cpu?.cpus ?? "",
    CpusetMems: cpu?.mems ?? "",
    PidsLimit: limit(pids?.limit),
    // Null is the kernel's own, as docker has it.
    MemorySwappiness: memory?.swappiness ?? null,
    OomKillDisable: memory?.disableOOMKiller ?? false,
    ...blockConfig(spec.linux.resources),
    DeviceCgroupRules: (process.deviceRules ?? []).map(ruleText),
  }
  return withGiven(config, stored, given)
}
