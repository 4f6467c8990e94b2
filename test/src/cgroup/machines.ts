import type { Cgroups } from "../../../src/cgroup/detect.ts"
import { type Fake, fakeCgroups } from "./fake.ts"

export const ROOT = "/cg"

/** A pure v2 machine; new cgroups start with values that no test asks for. */
export function v2Machine(
  options: {
    controllers?: string
    enabled?: string
    delegated?: boolean
    procs?: string
    lacks?: readonly string[]
  } = {},
): { cgroups: Cgroups; fake: Fake } {
  const { controllers = "cpuset cpu io memory hugetlb pids", enabled = "", delegated = false, procs = "1\n" } = options
  const root = {
    "cgroup.controllers": `${controllers}\n`,
    "cgroup.subtree_control": enabled,
    "cgroup.procs": procs,
    ...(delegated && { "cgroup.events": "populated 1\nfrozen 0\n" }),
  }
  const files = {
    "cgroup.procs": "",
    "cgroup.subtree_control": "",
    "cgroup.events": "populated 0\nfrozen 0\n",
    "cgroup.kill": "",
    "cgroup.freeze": "0\n",
    "cpu.max": "max 100000\n",
    "cpu.weight": "100\n",
    "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 4\nthrottled_usec 9\n",
    "cpuset.cpus": "\n",
    "memory.max": "max\n",
    "memory.swap.max": "max\n",
    "memory.current": "4096\n",
    "memory.peak": "8192\n",
    "memory.events": "low 0\noom 3\noom_kill 2\noom_group_kill 0\n",
    "pids.max": "max\n",
    "pids.current": "6\n",
    "io.weight": "default 100\n",
  }
  const fake = fakeCgroups({ [ROOT]: root }, () =>
    Object.fromEntries(Object.entries(files).filter(([name]) => !options.lacks?.includes(name))),
  )
  return { cgroups: { mode: "unified", unified: { mountpoint: ROOT, root: "/" } }, fake }
}

const V1_FILES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  memory: {
    "memory.limit_in_bytes": "9223372036854771712\n",
    "memory.memsw.limit_in_bytes": "9223372036854771712\n",
    "memory.swappiness": "60\n",
    "memory.usage_in_bytes": "4096\n",
    "memory.max_usage_in_bytes": "8192\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
  },
  cpu: {
    "cpu.cfs_quota_us": "-1\n",
    "cpu.cfs_period_us": "100000\n",
    "cpu.shares": "1024\n",
    "cpu.stat": "nr_periods 7\nnr_throttled 4\nthrottled_time 9000\n",
  },
  cpuacct: { "cpuacct.usage": "5000\n", "cpuacct.usage_user": "3000\n", "cpuacct.usage_sys": "2000\n" },
  cpuset: { "cpuset.cpus": "\n", "cpuset.mems": "\n" },
  pids: { "pids.max": "max\n", "pids.current": "6\n" },
  devices: { "devices.allow": "", "devices.deny": "" },
  freezer: { "freezer.state": "THAWED\n" },
  blkio: { "blkio.bfq.weight": "100\n" },
}

/** A pure v1 machine with cpu and cpuacct mounted together. */
export function v1Machine(options: { without?: readonly string[]; lacks?: readonly string[] } = {}): {
  cgroups: Cgroups
  fake: Fake
} {
  const mounted = Object.keys(V1_FILES).filter((name) => !options.without?.includes(name))
  const place = (name: string) => `${ROOT}/${name === "cpu" || name === "cpuacct" ? "cpu,cpuacct" : name}`
  const filesOf = (dir: string) => {
    const all = mounted.filter((name) => dir.startsWith(`${place(name)}`)).map((name) => V1_FILES[name] ?? {})
    const files: Record<string, string> = Object.assign({ "cgroup.procs": "", tasks: "" }, ...all)
    for (const name of options.lacks ?? []) delete files[name]
    return files
  }
  const roots = Object.fromEntries(mounted.map((name) => [place(name), filesOf(place(name))]))
  if (roots[place("cpuset")])
    Object.assign(roots[place("cpuset")] ?? {}, { "cpuset.cpus": "0-3\n", "cpuset.mems": "0-1\n" })
  const controllers = Object.fromEntries(mounted.map((name) => [name, { mountpoint: place(name), root: "/" }]))
  return { cgroups: { mode: "legacy", controllers, unified: null }, fake: fakeCgroups(roots, filesOf) }
}
