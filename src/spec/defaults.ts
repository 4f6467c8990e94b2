/** The defaults of a container: what docker's users expect, and podman's narrower capabilities. */
import type { LinuxDeviceCgroup } from "../oci/resources.ts"
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

/** The device nodes of runtime-spec config-linux.md, "Default Devices"; all character devices, mode 0666. */
export const DEFAULT_DEVICES: readonly (readonly [string, number, number])[] = [
  ["/dev/null", 1, 3],
  ["/dev/zero", 1, 5],
  ["/dev/full", 1, 7],
  ["/dev/random", 1, 8],
  ["/dev/urandom", 1, 9],
  ["/dev/tty", 5, 0],
]

const allow = (type: string, major: number, minor: number, access = "rwm"): LinuxDeviceCgroup => ({
  allow: true,
  type,
  major,
  minor,
  access,
})

/** What the devices of a container's own /dev need: runtime-spec config-linux.md "Default Devices", terminals included. */
const ALLOWED_DEVICES: readonly LinuxDeviceCgroup[] = [
  // Making a node gives no access to the device: whoever was given CAP_MKNOD may, as in docker and runc.
  allow("c", -1, -1, "m"),
  allow("b", -1, -1, "m"),
  allow("c", 1, 3), // null
  allow("c", 1, 5), // zero
  allow("c", 1, 7), // full
  allow("c", 1, 8), // random
  allow("c", 1, 9), // urandom
  allow("c", 5, 0), // tty
  allow("c", 5, 1), // console
  allow("c", 5, 2), // ptmx
  allow("c", 136, -1), // pts/*
]

/** The device rules of a container that asked for nothing. Rules for `--device` go behind them. */
export const DEFAULT_DEVICE_RULES: readonly LinuxDeviceCgroup[] = [{ allow: false, access: "rwm" }, ...ALLOWED_DEVICES]

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
