/** What this machine has for containers and what it lacks, what each lack costs, and the command that mends it. */
import type { Cgroups } from "../cgroup/detect.ts"
import { type Check, type Machine, ok, type Rule } from "./examined.ts"
import { seccomp, user } from "./privileges.ts"

function versionOf({ read }: Machine): [text: string, major: number, minor: number] {
  const text = (read("/proc/sys/kernel/osrelease") ?? "unknown").trim()
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(text) ?? []
  return [text, Number(major ?? 0), Number(minor ?? 0)]
}

const kernel: Rule = (machine) => {
  const [text, major, minor] = versionOf(machine)
  if (major > 5 || (major === 5 && minor >= 12)) return ok("kernel", text)
  return { name: "kernel", state: "missing", found: text, cost: "toybox needs Linux 5.12", mend: "a newer kernel" }
}

const WANTED: readonly (readonly [v1: string, v2: string])[] = [
  ["cpu", "cpu"],
  ["memory", "memory"],
  ["pids", "pids"],
  ["blkio", "io"],
  ["cpuset", "cpuset"],
]

/** The controllers that there are, on v1 with hierarchies that have a name only. */
export function controllersOf({ cgroups, read }: Pick<Machine, "cgroups" | "read">): string[] {
  if (cgroups.mode === "none") return []
  return cgroups.mode === "unified"
    ? (read(`${cgroups.unified.mountpoint}/cgroup.controllers`) ?? "").trim().split(" ").filter(Boolean)
    : Object.keys(cgroups.controllers)
}

/** Where cgroups of containers are made. */
const placesOf = (cgroups: Exclude<Cgroups, { mode: "none" }>): string[] =>
  cgroups.mode === "unified"
    ? [cgroups.unified.mountpoint]
    : Object.entries(cgroups.controllers).flatMap(([name, { mountpoint }]) =>
        name.startsWith("name=") ? [] : [mountpoint],
      )

const cgroup: Rule = (machine) => {
  const { cgroups } = machine
  const name = "cgroup"
  if (cgroups.mode === "none")
    return {
      name,
      state: "missing",
      found: "no hierarchy is mounted",
      cost: "no limits, no containers",
      mend: "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    }
  const isV2 = cgroups.mode === "unified"
  const controllers = controllersOf(machine)
  const found = `${isV2 ? "v2" : `v1 (${cgroups.mode})`}: ${controllers.sort().join(" ")}`
  const closed = placesOf(cgroups).find(machine.isReadOnly)
  if (closed !== undefined) {
    const mend = `mount -o remount,rw,bind ${closed} (in a container: run that one with --privileged)`
    return { name, state: "missing", found: `${closed} is read-only`, cost: "no container can be made", mend }
  }
  const lacking = WANTED.map(([v1, v2]) => (isV2 ? v2 : v1)).filter((controller) => !controllers.includes(controller))
  if (lacking.length === 0) return ok(name, found)
  const mend = "a kernel with these controllers, none of them in cgroup_disable= of /proc/cmdline"
  return { name, state: "limited", found, cost: `no limits by ${lacking.join(", ")}`, mend }
}

const overlay: Rule = ({ read }) => {
  if (/\boverlay$/m.test(read("/proc/filesystems") ?? "")) return ok("overlay", "overlayfs")
  const cost = "each container gets a full copy of its root (the module may load by itself at the first run)"
  return { name: "overlay", state: "limited", found: "not loaded", cost, mend: "modprobe overlay" }
}

const userNamespaces: Rule = ({ read, exists }) => {
  const name = "user-namespaces"
  const base = { name, state: "limited" as const, cost: "no containers for ordinary users" }
  if (!exists("/proc/self/ns/user")) return { ...base, found: "none", mend: "a kernel with CONFIG_USER_NS" }
  const sysctl = (key: string, bad: string, good: string): Check | null => {
    const path = `/proc/sys/${key.replaceAll(".", "/")}`
    if (read(path)?.trim() !== bad) return null
    return { ...base, found: `${key} is ${bad}`, mend: `sysctl -w ${key}=${good}` }
  }
  return (
    sysctl("user.max_user_namespaces", "0", "15000") ??
    sysctl("kernel.unprivileged_userns_clone", "0", "1") ??
    sysctl("kernel.apparmor_restrict_unprivileged_userns", "1", "0") ??
    ok(name, "allowed")
  )
}

const idmap: Rule = (machine) => {
  const [text, major, minor] = versionOf(machine)
  if (major > 5 || (major === 5 && minor >= 19)) return ok("idmapped-mounts", "also below overlayfs")
  const cost = "images have to be copied for containers with a user namespace"
  return { name: "idmapped-mounts", state: "limited", found: `not on overlayfs (${text})`, cost, mend: "Linux 5.19" }
}

/** What an ordinary user cannot know. */
const unseen = (name: string): Check => ({
  name,
  state: "limited",
  found: "not known",
  cost: "only root can look at it",
  mend: "sudo toybox doctor",
})

const nfTables: Rule = (machine) => {
  if (machine.nfTables === null) return unseen("nf_tables")
  if (machine.nfTables) return ok("nf_tables", "there")
  const cost = "no published ports and no NAT"
  return { name: "nf_tables", state: "limited", found: "none", cost, mend: "modprobe nf_tables" }
}

const networks: Rule = ({ broken }) => {
  if (broken === null) return unseen("networks")
  if (broken.length === 0) return ok("networks", "as they were made")
  const found = `missing: ${broken.join(", ")}`
  const cost = "containers may not reach the outside, their ports not be reached, and networks not be kept apart"
  return { name: "networks", state: "limited", found, cost, mend: "toybox network reload" }
}

const forwarding: Rule = ({ obstacles }) => {
  const name = "forwarding"
  if (obstacles === null) return unseen(name)
  const bad = obstacles.filter(({ outside, ports, within }) => outside ?? ports ?? within)
  const [first] = bad
  if (first === undefined) return ok(name, "no other firewall drops what is forwarded")
  const drops = bad.flatMap(({ outside, ports, within }) => outside ?? ports ?? within ?? [])
  const found = drops.map(
    ({ tool, family, table, chain }) => `${tool}: table ${family} ${table}, chain ${chain}, drops`,
  )
  const cost = bad.some(({ outside }) => outside)
    ? "from a bridge the outside is not reached, nor a bridge from there, until that firewall allows it"
    : first.within
      ? "containers of a network do not reach one another"
      : "published ports go through a process of toybox's own"
  const rules = bad.flatMap((one) => one.rules)
  return {
    name,
    state: "limited",
    found: [...new Set(found)].join("; "),
    cost,
    ...(rules.length > 0 ? { mend: rules.join("; ") } : {}),
  }
}

const swap: Rule = ({ cgroups, exists, list, read }) => {
  const name = "swap-accounting"
  if (cgroups.mode === "none") return { name, state: "limited", found: "no cgroups", cost: "swap cannot be limited" }
  const directory = cgroups.mode === "unified" ? cgroups.unified.mountpoint : cgroups.controllers.memory?.mountpoint
  const has =
    directory !== undefined &&
    (cgroups.mode === "unified"
      ? // The root itself has no such file.
        list(directory).some((child) => exists(`${directory}/${child}/memory.swap.max`)) ||
        !/\bswapaccount=0\b/.test(read("/proc/cmdline") ?? "")
      : exists(`${directory}/memory.memsw.limit_in_bytes`))
  if (has) return ok(name, "on")
  const cost = "--swap and --memory-swap are refused, and --mem does not keep a container from swapping"
  return { name, state: "limited", found: "off", cost, mend: "boot with swapaccount=1" }
}

const memfd: Rule = ({ read }) => {
  const path = "/proc/sys/vm/memfd_noexec"
  if (read(path)?.trim() !== "2") return ok("memfd", "executable")
  const found = "vm.memfd_noexec is 2"
  const cost = "no container can be started"
  const write = { path, value: "1" }
  return { name: "memfd", state: "missing", found, cost, mend: "sysctl -w vm.memfd_noexec=1", write }
}

const pressure: Rule = ({ exists }) => {
  if (exists("/proc/pressure/cpu")) return ok("pressure", "PSI")
  const cost = "stats does not show pressure"
  return { name: "pressure", state: "limited", found: "no PSI", cost, mend: "boot with psi=1" }
}

const LITTLE = 2 ** 30
// A root file system has some tens of thousands.
const FEW = 20_000

const stateDirectory: Rule = ({ state }) => {
  const name = "state-directory"
  if (state === null) return ok(name, "none yet")
  if (!state.readOnly) return ok(name, state.path)
  const found = `${state.path} is read-only`
  const cost = "no container can be made or started, and how those end is lost with this boot"
  return { name, state: "missing", found, cost, mend: `mount -o remount,rw $(findmnt -no TARGET -T ${state.path})` }
}

const space: Rule = ({ state }) => {
  const name = "free-space"
  if (state === null) return ok(name, "no state directory yet")
  const { free, inodes } = state
  const found = `${(free / 2 ** 30).toFixed(1)} GiB${inodes === null ? "" : `, ${inodes} files`}`
  if (free >= LITTLE && (inodes ?? FEW) >= FEW) return ok(name, found)
  return { name, state: "limited", found, cost: "pulls, starts and writes may fail", mend: "toybox prune" }
}

const EARLIEST = Date.UTC(2026, 0, 1)

const clock: Rule = ({ now }) => {
  const found = new Date(now).toISOString()
  if (now >= EARLIEST) return ok("clock", found)
  const cost = "certificates seem not to be valid yet: no pulls"
  return { name: "clock", state: "limited", found, cost, mend: "date -s …, or start a time service" }
}

/** In the order they are shown in. */
const RULES: readonly Rule[] = [
  user,
  kernel,
  cgroup,
  overlay,
  userNamespaces,
  seccomp,
  idmap,
  nfTables,
  networks,
  forwarding,
  swap,
  memfd,
  pressure,
  stateDirectory,
  space,
  clock,
]

/** Looks at everything; changes nothing. */
export const examine = (machine: Machine): Check[] => RULES.map((rule) => rule(machine))
