/** Where in a container nothing may be mounted. */

/** What programs that show a container its own figures (lxcfs) mount there: runc's list, rootfs_linux.go. */
const PROC_FILES = [
  ...["cpuinfo", "diskstats", "loadavg", "meminfo", "net/dev", "slabinfo", "stat", "swaps", "uptime"],
  ...["sys/kernel/ns_last_pid", "sys/crypto/fips_enabled"],
].map((file) => `/proc/${file}`)

/** Why nothing may be mounted at a place (normal and absolute); null where it may. Of procfs: CVE-2019-16884, CVE-2019-19921. */
export function refusedPlace(place: string): string | null {
  if (place === "/") return "nothing can be mounted on the container's root"
  if (place !== "/proc" && (!place.startsWith("/proc/") || PROC_FILES.includes(place))) return null
  return `nothing can be mounted on ${place}: /proc is the container's own, and its kernel's`
}

/** A volume has no devices. */
export const refusedVolume = (place: string): string | null =>
  place === "/dev" ? "a volume cannot be /dev: it has no devices" : refusedPlace(place)
