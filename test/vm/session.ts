/** One machine whose script's sections several tests look at: booting costs more than looking. */
import { beforeAll } from "bun:test"
import { bootAndRun, type MachineOptions, type MachineResult, vmUnavailable } from "./machine.ts"

/**
 * Shell functions for scripts in the machine. Nothing waits longer than its seconds, and `own` is the container's own
 * cgroup, of which there is one at a time (on v1: of one controller).
 */
const FUNCTIONS = `
  # within SECONDS COMMAND...: until it succeeds
  within() { n=$(($1 * 50)); shift; until "$@" >/dev/null 2>&1; do n=$((n - 1)); [ $n -gt 0 ] || return 1; usleep 20000; done; }
  # started FILE: the container has written "ready"
  # Without what it said: the next one's shell may not have made its own file yet when that is looked into.
  started() { within 60 grep -qs ready $1 || { echo "never ready:"; cat $1; }; rm -f $1; }
  own() { [ $# = 0 ] && echo /sys/fs/cgroup/toybox.slice/*/ || echo /sys/fs/cgroup/$1/toybox-*/; }
  # left: what a container could have left behind
  left() {
    find /sys/fs/cgroup -type d -path '*toybox*'
    diff /tmp/mounts-before /proc/mounts
    for process in /proc/[0-9]*; do case "$(readlink $process/exe)" in *toybox*) echo "$process $(cat $process/comm)";; esac; done
    ls /run/toybox/running
  }
  # tree DIR: a root with toybox in it, to chroot to
  tree() {
    mkdir -p $1/proc $1/sys $1/tmp; for d in bin lib lib64; do cp -a /$d $1/$d; done; echo > $1/secret
    mount -t proc p $1/proc; mount -t sysfs s $1/sys
  }
  cat /proc/mounts > /tmp/mounts-before
`

/** What is in the root of the base image. */
export const ROOT = "bin dev etc home mnt opt proc root run sbin srv sys tmp usr var"

/**
 * Run in a container as root with `-v /proc:/x/proc`: whether something of the host can be reached, by name, and from below a
 * further root by a descriptor of this one.
 */
export const LOOK = `
  ls / | xargs
  wc -l < /proc/mounts
  for f in /vm /secret /c /srv/look /lib64 /newroot; do [ -e $f ] && echo "host: $f"; done
  mkdir /x/bin && cp /bin/busybox /x/bin/ls
  chroot /x /bin/ls /proc/self/fd/3/.. 3</ | xargs
  chroot /x /bin/ls /proc/self/fd/3/../.. 3</ | xargs
`

/** What the tests of a machine have at hand. */
export interface Session {
  /** The output of one section. Throws where the script has no such section. */
  section(name: string): string
  lines(name: string): string[]
}

/** Why there is no machine, or undefined. */
export const missing = vmUnavailable()

/** Boots a machine before the tests of the surrounding describe. */
export function session(options: MachineOptions): Session {
  let result: MachineResult | undefined
  beforeAll(
    async () => {
      result = await bootAndRun({ ...options, script: FUNCTIONS + options.script })
    },
    options.timeoutSeconds * 1000 + 15_000,
  )
  const section = (name: string) => {
    const text = result?.sections[name]
    if (text === undefined) throw new Error(`no section ${name} in: ${result?.output}`)
    return text
  }
  return { section, lines: (name) => section(name).split("\n") }
}
