/** What toybox keeps and what it runs on, in the names of docker's `GET /info`. */
import { availableParallelism, hostname, machine, release } from "node:os"
import { tryReadText } from "../../ffi/fs.ts"
import { version } from "../../package.json"
import { controllersOf, examine } from "../container/doctor.ts"
import type { Check } from "../container/examined.ts"
import { listContainers, type Summary } from "../container/list.ts"
import { thisMachine } from "../container/this-machine.ts"
import { listImages } from "../image/store/records.ts"
import type { Paths } from "../paths.ts"

/** The name of the system, of the text of an os-release file: os-release(5). */
export function systemName(text: string): string | null {
  const value = /^PRETTY_NAME=(.*)$/m.exec(text)?.[1]?.trim()
  if (value === undefined) return null
  const quoted = /^(["'])(.*)\1$/.exec(value)
  return (quoted?.[2] ?? value).replace(/\\([$"'\\`])/g, "$1")
}

/** Its version, of the same. */
const systemVersion = (text: string): string => /^VERSION_ID="?([^"\n]*)/m.exec(text)?.[1] ?? ""

/** Which limits containers can have, in docker's words. */
function limitsOf(controllers: readonly string[], swap: boolean) {
  const has = (...names: string[]) => names.some((name) => controllers.includes(name))
  return {
    MemoryLimit: has("memory"),
    SwapLimit: swap,
    ...{ CpuCfsPeriod: has("cpu"), CpuCfsQuota: has("cpu"), CPUShares: has("cpu"), CPUSet: has("cpuset") },
    PidsLimit: has("pids"),
  }
}

/** What docker tells of its daemon and of the swarm that it may be in. */
const OF_NO_DAEMON = {
  ...{ ID: "", Debug: false, ExperimentalBuild: false, LiveRestoreEnabled: true, Isolation: "", InitBinary: "" },
  ...{ Labels: [], Swarm: { NodeID: "", LocalNodeState: "inactive", ControlAvailable: false } },
  ...{ IndexServerAddress: "https://index.docker.io/v1/", Plugins: { Volume: ["local"], Network: ["bridge"] } },
}

/** Without the password that it may have in it. */
function proxy(name: string): string {
  const given = process.env[name] ?? process.env[name.toUpperCase()] ?? ""
  return given.replace(/\/\/[^@/]*@/, "//xxxxx:xxxxx@")
}

/** Bytes of memory, of the text of /proc/meminfo: proc_meminfo(5). */
export const memoryTotal = (text: string): number => Number(/^MemTotal:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024

const count = (containers: readonly Summary[], wanted: Summary["status"]) =>
  containers.filter(({ status }) => status === wanted).length

/** Sets in order what killed runs have left, as `ps` does. */
export function infoOf(paths: Paths) {
  const containers = listContainers(paths, true)
  const here = thisMachine(paths)
  const checks = new Map(examine(here).map((check) => [check.name, check]))
  const has = (name: string) => checks.get(name)?.state === "ok"
  const osRelease = tryReadText("/etc/os-release") ?? tryReadText("/usr/lib/os-release") ?? ""
  const warnings = [...checks.values()].filter(({ state }) => state !== "ok")
  return {
    Name: hostname(),
    ServerVersion: version,
    Containers: containers.length,
    ContainersRunning: count(containers, "running"),
    ContainersPaused: count(containers, "paused"),
    ContainersStopped: count(containers, "exited") + count(containers, "created"),
    Images: new Set(listImages(paths).map(({ id }) => id)).size,
    // Where there is no overlayfs every container gets a copy, which docker calls vfs.
    Driver: has("overlay") ? "overlay2" : "vfs",
    CgroupDriver: here.cgroups.mode === "none" ? "none" : "cgroupfs",
    CgroupVersion: here.cgroups.mode === "none" ? "" : here.cgroups.mode === "unified" ? "2" : "1",
    ...limitsOf(controllersOf(here), has("swap-accounting")),
    ...OF_NO_DAEMON,
    IPv4Forwarding: tryReadText("/proc/sys/net/ipv4/ip_forward")?.trim() === "1",
    SystemTime: new Date().toISOString(),
    LoggingDriver: "k8s-file",
    DefaultRuntime: "toybox",
    Runtimes: { toybox: { path: process.execPath } },
    ...{ HttpProxy: proxy("http_proxy"), HttpsProxy: proxy("https_proxy"), NoProxy: proxy("no_proxy") },
    SecurityOptions: [...(has("seccomp") ? ["name=seccomp,profile=builtin"] : []), "name=cgroupns"],
    KernelVersion: release(),
    OperatingSystem: systemName(osRelease) ?? "unknown",
    OSVersion: systemVersion(osRelease),
    OSType: "linux",
    Architecture: machine(),
    NCPU: availableParallelism(),
    MemTotal: memoryTotal(tryReadText("/proc/meminfo") ?? ""),
    DockerRootDir: paths.state,
    Warnings: warnings.map(({ name, found, cost = "" }: Check) => `${name}: ${found}: ${cost}`),
  }
}
