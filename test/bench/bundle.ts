import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { LIMITS } from "./limits.ts"

const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID"]
  .concat(["SETPCAP", "SETUID", "SYS_CHROOT"])
  .map((name) => `CAP_${name}`)

const MASKED = ["acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list"]
  .concat(["timer_stats"])
  .map((name) => `/proc/${name}`)
  .concat(["/sys/devices/virtual/powercap", "/sys/firmware"])

const READONLY = ["bus", "fs", "irq", "sys", "sysrq-trigger"].map((name) => `/proc/${name}`)

const ALLOWED_DEVICES: readonly [number, number | undefined][] = [
  [1, 3],
  [1, 5],
  [1, 7],
  [1, 8],
  [1, 9],
  [5, 0],
  [5, 1],
  [5, 2],
  [136, undefined],
]

function mounts(dir: string): object[] {
  const quiet = ["nosuid", "noexec", "nodev"]
  const bind = (name: string) => ({
    destination: `/etc/${name}`,
    type: "bind",
    source: join(dir, name),
    options: ["bind", "rprivate"],
  })
  return [
    { destination: "/proc", type: "proc", source: "proc", options: quiet },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/dev/shm", type: "tmpfs", source: "shm", options: [...quiet, "mode=1777", "size=65536k"] },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: quiet },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, "ro"] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...quiet, "relatime", "ro"] },
    { destination: "/run", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=755"] },
    ...["hostname", "hosts", "resolv.conf"].map(bind),
  ]
}

function resources(): object {
  const allow = ALLOWED_DEVICES.map(([major, minor]) => ({ allow: true, type: "c", major, minor, access: "rwm" }))
  return {
    memory: { limit: LIMITS.memory, swap: LIMITS.memory },
    cpu: { quota: LIMITS.cpuQuota, period: LIMITS.cpuPeriod },
    pids: { limit: LIMITS.pids },
    devices: [{ allow: false, access: "rwm" }, ...allow],
  }
}

/**
 * Makes an OCI bundle in `dir` that asks of an OCI runtime what `toybox run` does by itself: the same namespaces,
 * mounts, limits, devices, capabilities and masked paths, on the root `root`.
 */
export function makeBundle(dir: string, root: string, cgroupsPath: string, swapAccounting: boolean): string {
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, "hostname"), "bench\n")
  writeFileSync(join(dir, "hosts"), "127.0.0.1 localhost\n::1 localhost\n")
  writeFileSync(join(dir, "resolv.conf"), "")
  const limits = resources() as { memory: { limit: number; swap?: number } }
  if (!swapAccounting) delete limits.memory.swap
  const config = {
    ociVersion: "1.0.0",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ["/bin/true"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "HOSTNAME=bench"],
      cwd: "/",
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: root },
    hostname: "bench",
    mounts: mounts(dir),
    linux: {
      cgroupsPath,
      resources: limits,
      namespaces: ["pid", "mount", "uts", "ipc", "network", "cgroup"].map((type) => ({ type })),
      maskedPaths: MASKED,
      readonlyPaths: READONLY,
    },
  }
  writeFileSync(join(dir, "config.json"), JSON.stringify(config, null, 2))
  return dir
}
