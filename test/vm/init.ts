/** How the machine's control groups are mounted. */
export type CgroupLayout = "unified" | "legacy" | "hybrid"

/** What the script's root is: a tmpfs or a disk that was switched to, or the initramfs where pivot_root is refused. */
export type RootKind = "tmpfs" | "initramfs" | "disk"

/** What the two init scripts need to know. */
export interface InitOptions {
  nonce: string
  root: RootKind
  cgroup: CgroupLayout
  /** The modules in the order in which they are to be loaded, as paths in the initramfs. */
  modules: readonly string[]
}

const V1_CONTROLLERS = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"]

/** The directories of the payload that move from the initramfs to the root that is switched to. */
export const PAYLOAD_DIRECTORIES = ["bin", "lib", "lib64", "etc", "srv", "vm", "root"]

function mountCgroups(layout: CgroupLayout): string[] {
  if (layout === "unified") return ["mount -t cgroup2 cgroup2 /sys/fs/cgroup"]
  const lines = ["mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup"]
  for (const name of V1_CONTROLLERS) {
    lines.push(`mkdir /sys/fs/cgroup/${name}`, `mount -t cgroup -o ${name} cgroup /sys/fs/cgroup/${name}`)
  }
  lines.push("mkdir /sys/fs/cgroup/systemd", "mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd")
  if (layout === "hybrid") {
    lines.push("mkdir /sys/fs/cgroup/unified", "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified")
  }
  return lines
}

function enterRoot(root: RootKind): string[] {
  if (root === "initramfs") return ["exec /bin/busybox sh /vm/main"]
  const mountRoot =
    root === "tmpfs"
      ? ["mount -t tmpfs -o mode=755 tmpfs /newroot", ...PAYLOAD_DIRECTORIES.map((d) => `cp -a /${d} /newroot/`)]
      : ["mount -t ext4 /dev/vda /newroot"]
  return [
    ...mountRoot,
    "mkdir -p /newroot/proc /newroot/sys /newroot/dev",
    "for d in proc sys dev; do mount -o move /$d /newroot/$d; done",
    "exec switch_root /newroot /bin/busybox sh /vm/main",
  ]
}

/** `/init` of the initramfs: loads the modules, opens the output port as fd 1 and 2, and goes to the root. */
export function initScript(options: InitOptions): string {
  return [
    "#!/bin/busybox sh",
    "export PATH=/bin:/sbin",
    "/bin/busybox mkdir -p /proc /sys /dev /newroot",
    "/bin/busybox --install -s /bin",
    "mount -t proc proc /proc",
    "mount -t sysfs sys /sys",
    "mount -t devtmpfs dev /dev",
    ...options.modules.map((path) => `insmod ${path} || echo "init: insmod ${path} failed"`),
    "n=0; while ! ls /dev/vport*p1 >/dev/null 2>&1 && [ $n -lt 500 ]; do usleep 10000; n=$((n+1)); done",
    "set -- /dev/vport*p1",
    "exec </dev/null >$1 2>&1",
    ...enterRoot(options.root),
    "",
  ].join("\n")
}

/** `/vm/main`: the rest of the set-up in the final root, then the script, its exit code, and power off. */
export function mainScript(options: InitOptions): string {
  return [
    "export PATH=/bin:/sbin HOME=/root TERM=linux TOYBOX_NETWORK=none",
    "mkdir -p /tmp /run /var/lib /root /dev/pts /dev/shm /dev/mqueue /srv/root/bin",
    "chmod 1777 /tmp",
    "[ -e /bin/poweroff ] || /bin/busybox --install -s /bin",
    "ln /bin/busybox /srv/root/bin/busybox",
    "cp -a /bin/sh /srv/root/bin/sh",
    "busybox --install -s /srv/root/bin",
    "for d in dev proc sys tmp run root var home etc; do mkdir -p /srv/root/$d; done; chmod 1777 /srv/root/tmp",
    "cp /etc/passwd /etc/group /srv/root/etc/",
    "mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts",
    "mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
    "mount -t mqueue mqueue /dev/mqueue",
    "ln -sf /proc/self/fd /dev/fd",
    ...mountCgroups(options.cgroup),
    // As on a machine under systemd, so that a mount that propagates back is seen.
    "mount --make-rshared /",
    "hostname vm",
    "ip link set lo up",
    `export VM_NONCE=${options.nonce}`,
    "sh -c '. /vm/functions; . /vm/script'",
    "code=$?",
    `echo; echo "@@${options.nonce} exit $code"`,
    "sync",
    "poweroff -f",
    "",
  ].join("\n")
}

/** Shell functions that a script may use: `section NAME` starts a new section of the output. */
export const FUNCTIONS = `section() { echo; echo "@@$VM_NONCE section $1"; }\n`
