import { describe, expect, test } from "bun:test"
import { examine } from "../../../src/container/doctor.ts"
import type { Machine, StateDirectory } from "../../../src/container/examined.ts"

const FILES: Record<string, string> = {
  "/proc/sys/kernel/osrelease": "6.1.0-40-amd64\n",
  "/proc/filesystems": "nodev\tproc\nnodev\toverlay\n",
  "/proc/sys/kernel/seccomp/actions_avail": "kill_process errno allow\n",
  "/proc/cmdline": "quiet\n",
  "/proc/self/status": "CapEff:\t000001ffffffffff\n",
  "/proc/self/uid_map": "         0          0 4294967295\n",
  "/proc/self/ns/user": "",
  "/proc/pressure/cpu": "",
  "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
}

const STATE: StateDirectory = { path: "/var/lib/toybox", readOnly: false, free: 2 ** 34, inodes: 1e6 }

function machine(files: Record<string, string | null> = {}, other: Partial<Machine> = {}): Machine {
  const all: Record<string, string | null> = { ...FILES, ...files }
  return {
    read: (path) => all[path] ?? null,
    exists: (path) => (all[path] ?? null) !== null,
    list: () => [],
    cgroups: { mode: "unified", unified: { mountpoint: "/sys/fs/cgroup", root: "/" } },
    isReadOnly: () => false,
    isRoot: true,
    clones: true,
    nfTables: true,
    obstacles: [],
    broken: [],
    now: Date.UTC(2027, 0, 1),
    state: STATE,
    ...other,
  }
}

const found = (of: Machine) =>
  examine(of)
    .filter(({ state }) => state !== "ok")
    .map(({ name, state }) => `${name} ${state}`)

const DOCKER = { tool: "docker", family: "ip", table: "filter", chain: "FORWARD" } as const

describe("the doctor", () => {
  test("finds nothing on a good machine", () => {
    expect(found(machine())).toEqual([])
  })

  test.each<[string, Machine, string]>([
    ["an ordinary user", machine({}, { isRoot: false }), "user missing"],
    ["root of a user namespace", machine({ "/proc/self/uid_map": "0 1000 1\n" }), "user missing"],
    ["root of a container", machine({ "/proc/self/status": "CapEff:\t00000000800405fb\n" }), "user missing"],
    ["a filter around it", machine({}, { clones: false }), "seccomp missing"],
    [
      "cgroups that may only be read",
      machine({}, { isReadOnly: (path) => path === "/sys/fs/cgroup" }),
      "cgroup missing",
    ],
    ["an old kernel", machine({ "/proc/sys/kernel/osrelease": "5.4.0" }), "kernel missing"],
    ["a kernel before 5.19", machine({ "/proc/sys/kernel/osrelease": "5.15.0" }), "idmapped-mounts limited"],
    ["no cgroups", machine({}, { cgroups: { mode: "none" } }), "cgroup missing"],
    ["no memory controller", machine({ "/sys/fs/cgroup/cgroup.controllers": "cpu io pids cpuset" }), "cgroup limited"],
    ["no overlayfs", machine({ "/proc/filesystems": "nodev\tproc\n" }), "overlay limited"],
    ["no namespaces of users", machine({ "/proc/sys/user/max_user_namespaces": "0\n" }), "user-namespaces limited"],
    [
      "AppArmor",
      machine({ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n" }),
      "user-namespaces limited",
    ],
    ["no seccomp", machine({ "/proc/sys/kernel/seccomp/actions_avail": null }), "seccomp missing"],
    ["no nf_tables", machine({}, { nfTables: false }), "nf_tables limited"],
    ["nf_tables that only root sees", machine({}, { nfTables: null }), "nf_tables limited"],
    [
      "another firewall",
      machine({}, { obstacles: [{ name: "bridge", outside: DOCKER, ports: DOCKER, within: null, rules: ["mend"] }] }),
      "forwarding limited",
    ],
    ["networks that were flushed", machine({}, { broken: ["bridge"] }), "networks limited"],
    ["no account of swap", machine({ "/proc/cmdline": "swapaccount=0" }), "swap-accounting limited"],
    ["memfds without execution", machine({ "/proc/sys/vm/memfd_noexec": "2\n" }), "memfd missing"],
    ["no pressure", machine({ "/proc/pressure/cpu": null }), "pressure limited"],
    ["a full disk", machine({}, { state: { ...STATE, free: 1000 } }), "free-space limited"],
    ["a disk without room for files", machine({}, { state: { ...STATE, inodes: 12 } }), "free-space limited"],
    ["a read-only disk", machine({}, { state: { ...STATE, readOnly: true } }), "state-directory missing"],
    ["what only root may look at", machine({}, { obstacles: null }), "forwarding limited"],
    ["what only root may look at", machine({}, { broken: null }), "networks limited"],
    ["a clock of 1970", machine({}, { now: 0 }), "clock limited"],
  ])("finds %s, and says what it costs", (_, broken, expected) => {
    expect(found(broken)).toContain(expected)
    for (const check of examine(broken)) if (check.state !== "ok") expect(check.cost).toBeTruthy()
  })

  test("mends by itself only what is safe", () => {
    const broken = machine({ "/proc/sys/vm/memfd_noexec": "2\n", "/proc/sys/user/max_user_namespaces": "0\n" })
    const writes = examine(broken).flatMap(({ write }) => (write ? [write] : []))
    expect(writes).toEqual([{ path: "/proc/sys/vm/memfd_noexec", value: "1" }])
  })
})
