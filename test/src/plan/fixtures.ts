import type { Spec } from "../../../src/oci/runtime.ts"
import type { Facts } from "../../../src/plan/facts.ts"

/** Facts of a machine with cgroup v2, with everything that a spec names. */
export function factsFor(spec: Spec, changes: Partial<Facts> = {}): Facts {
  const joined = spec.linux.namespaces.flatMap(({ path }) => path ?? [])
  return {
    rootMountPoint: "/state/containers/ID/merged",
    scratchMountPoint: "/state/containers/ID/work",
    unpivotable: null,
    chrooted: false,
    cgroup: { join: [], fd: 20 },
    cgroupView: { mounts: [{ name: "cgroup", type: "cgroup2", options: [] }], links: [] },
    sources: new Map(
      spec.mounts.map(({ source }) => [source, { directory: !/\/(hosts|hostname|resolv\.conf|file)$/.test(source) }]),
    ),
    ownFiles: new Set(["hosts", "hostname", "resolv.conf"].map((name) => `/state/containers/ID/${name}`)),
    present: new Map(
      [...spec.linux.maskedPaths, ...spec.linux.readonlyPaths].map((path) => [
        path,
        { directory: !/\/(kcore|keys|interrupts|sysrq-trigger|sched_debug|timer_list)$/.test(path) },
      ]),
    ),
    namespaceFds: new Map(joined.map((path, i) => [path, 30 + i])),
    lastCapability: 40,
    stdio: [0, 1, 2],
    ...(spec.linux.seccomp ? { seccomp: { program: new Uint8Array(24), flags: 4 } } : {}),
    init: false,
    parentDeathSignal: true,
    reportFd: 10,
    memfd: 11,
    goFd: 12,
    stageOneFds: [13],
    rootFiles: [{ kind: "touch", path: "/run/.containerenv" }],
    ...changes,
  }
}

/** Facts of a machine with cgroup v1. */
export const V1: Partial<Facts> = {
  cgroup: { join: ["/sys/fs/cgroup/cpu,cpuacct/toybox.slice/ID/tasks", "/sys/fs/cgroup/memory/toybox.slice/ID/tasks"] },
  cgroupView: {
    mounts: [
      {
        name: "cpu,cpuacct",
        type: "cgroup",
        options: [
          ["cpu", null],
          ["cpuacct", null],
        ],
      },
      { name: "memory", type: "cgroup", options: [["memory", null]] },
    ],
    links: [
      ["cpu", "cpu,cpuacct"],
      ["cpuacct", "cpu,cpuacct"],
    ],
  },
}
