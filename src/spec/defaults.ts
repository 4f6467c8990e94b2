/** The defaults of a container: what docker's users expect, and podman's narrower capabilities. */
import type { Mount } from "../oci/runtime.ts"

/** podman's eleven: docker's fourteen without MKNOD, NET_RAW and AUDIT_WRITE. ping works by ping_group_range. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_NET_BIND_SERVICE",
  "CAP_SETFCAP",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_CHROOT",
]

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export const DEFAULT_SHM_SIZE = 64 * 1024 * 1024
export const DEFAULT_NOFILE = 1024

export const MASKED_PATHS: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
]

export const READONLY_PATHS: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
]

export { DEFAULT_DEVICE_RULES, DEFAULT_DEVICES } from "../oci/devices.ts"

/** Of the container's own network: any port may be bound, and ping needs no capability. */
export const NETWORK_SYSCTLS: Readonly<Record<string, string>> = {
  "net.ipv4.ip_unprivileged_port_start": "0",
  "net.ipv4.ping_group_range": "0 2147483647",
}

/**
 * What every container mounts, in order. `readonlyKernel` is off for privileged ones. POSIX shared memory is a part of
 * IPC that lives in a file system: with the host's IPC namespace it is the host's (`hostIpc`).
 */
export function defaultMounts(shmSize: number, readonlyKernel: boolean, hostIpc: boolean): Mount[] {
  const kernel = readonlyKernel ? ["nosuid", "noexec", "nodev", "ro"] : ["nosuid", "noexec", "nodev"]
  const mount = (destination: string, type: string, options: string[], source = type): Mount => ({
    destination,
    type,
    source,
    options,
  })
  return [
    mount("/proc", "proc", ["nosuid", "noexec", "nodev"]),
    // Not noexec: mmap(2) of /dev/zero as code is what some programs do.
    mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    hostIpc
      ? mount("/dev/shm", "bind", ["rbind", "nosuid", "noexec", "nodev"], "/dev/shm")
      : mount("/dev/shm", "tmpfs", ["nosuid", "noexec", "nodev", "mode=1777", `size=${shmSize}`], "shm"),
    mount("/dev/mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
    mount("/sys", "sysfs", kernel),
    mount("/sys/fs/cgroup", "cgroup", kernel),
    mount("/run", "tmpfs", ["nosuid", "nodev", "mode=755"]),
  ]
}
