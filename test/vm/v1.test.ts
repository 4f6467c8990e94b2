/** The same container on machines with cgroup v1, alone and beside v2; and where the root cannot be pivoted. */
import { describe, expect, test } from "bun:test"
import { LOOK, missing, ROOT, session } from "./session.ts"

if (missing !== undefined) console.log(`vm tests skipped: ${missing}`)

const LIMITS = `
  section limits
  toybox run --rm --cpu 10% --mem 50M --pids 33 --cpuset 1 --cpu-weight 50 base \\
    sh -c 'echo ready; exec sleep 200' >/tmp/log 2>&1 &
  started /tmp/log
  for file in cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us memory/memory.limit_in_bytes pids/pids.max cpuset/cpuset.cpus; do
    echo "$file $(cat $(own \${file%/*})/\${file#*/})"
  done
  pid=$(cat $(own memory)/cgroup.procs)
  # Of every hierarchy that has a part in the limits.
  echo "joined $(grep -cE '(cpu|cpuset|memory|pids|devices|freezer):/toybox-' /proc/$pid/cgroup)"
  echo "on $(grep Cpus_allowed_list /proc/$pid/status | cut -f2)"
  kill $!; wait $!
  section cgroup
  toybox run --rm --mem 50M base sh -c 'ls /sys/fs/cgroup | xargs; cat /sys/fs/cgroup/memory/memory.limit_in_bytes
    echo 1 2>&1 > /sys/fs/cgroup/memory/memory.limit_in_bytes; grep -E "(memory|cpu):" /proc/self/cgroup'
  section busy
  toybox run --rm --cpu 10% base sh -c 'echo ready; while :; do :; done' >/tmp/log 2>&1 &
  started /tmp/log
  usage() { cat $(own cpuacct)/cpuacct.usage; }
  now() { sed 's/ .*//; s/\\.//' /proc/uptime; }
  sleep 1; u=$(usage); t=$(now); sleep 5
  echo $((($(usage) - u) / 1000)) $((($(now) - t) * 10000))
  kill -9 $!; wait $!
  section oom
  toybox run --rm --mem 50M base tail /dev/zero; echo $?
  section devices
  toybox run --rm --cap-add MKNOD base sh -c 'mknod /kmsg c 1 11 && echo x 2>&1 >/kmsg; echo lost >/dev/null && echo null'
  section killed
  toybox run --rm --mem 50M base sh -c 'sleep 100 & echo ready; wait' >/tmp/log 2>&1 &
  box=$!; started /tmp/log; kill -9 $box; wait $box; toybox ps -a
  section left; left
`

function expectLimits({ section, lines }: ReturnType<typeof session>): void {
  test("has its limits in the kernel while it runs", () => {
    expect(lines("limits")).toEqual([
      "cpu/cpu.cfs_quota_us 10000",
      "cpu/cpu.cfs_period_us 100000",
      "memory/memory.limit_in_bytes 52428800",
      "pids/pids.max 33",
      "cpuset/cpuset.cpus 1",
      "joined 6",
      "on 1",
    ])
  })

  test("sees its own cgroups as the roots, and cannot change them", () => {
    expect(lines("cgroup")).toEqual([
      expect.stringMatching(/^cpu cpuacct .*memory.*pids/),
      "52428800",
      "sh: can't create /sys/fs/cgroup/memory/memory.limit_in_bytes: Read-only file system",
      expect.stringMatching(/^\d+:memory:\/$/),
      expect.stringMatching(/^\d+:cpu:\/$/),
    ])
  })

  test("is held to its share and killed at its limit", () => {
    const [usage = 0, elapsed = 1] = (lines("busy")[0] ?? "").split(" ").map(Number)
    expect((100 * usage) / elapsed).toBeWithin(8, 12)
    expect(lines("oom")).toEqual(["toybox: killed: out of memory (limit 50 MiB)", "137"])
  })

  test("opens no device but those of its /dev", () => {
    expect(lines("devices")).toEqual(["sh: can't create /kmsg: Operation not permitted", "null"])
  })

  test("leaves nothing behind, killed or not", () => {
    expect(section("killed")).not.toContain("sleep 100")
    expect(section("left")).toBe("")
  })
}

describe.skipIf(missing !== undefined)("on cgroup v1, from an initial ramfs", () => {
  const machine = session({
    timeoutSeconds: 240,
    root: "initramfs",
    cgroup: "legacy",
    files: { "/srv/look": LOOK },
    script: `
      ${LIMITS}
      section look
      toybox run --rm -v /proc:/x/proc base sh -c "$(cat /srv/look)"; echo $?
      section chroot
      tree /c; mount -t tmpfs t /c/sys/fs/cgroup
      for name in cpu memory devices pids freezer; do
        mkdir /c/sys/fs/cgroup/$name; mount -t cgroup -o $name cgroup /c/sys/fs/cgroup/$name
      done
      chroot /c /bin/toybox run --rm -v /proc:/x/proc base sh -c "$(cat /srv/look)"; echo $?
      for name in cpu memory devices pids freezer; do umount /c/sys/fs/cgroup/$name; done
      umount /c/sys/fs/cgroup /c/sys /c/proc
      section after; left
      section bare
      rm -rf /etc /var /run; toybox run --rm --mem 50M base sh -c 'id -un; cat /etc/hostname | wc -c; grep -c localhost /etc/hosts'; echo $?
      stat -c '%a %n' /var /var/lib /var/lib/toybox /run /run/toybox; ls -d /etc
    `,
  })
  expectLimits(machine)

  test.each(["look", "chroot"])("shows nothing of the host, where pivot_root is refused (%s)", (name) => {
    const [, mounts = ""] = machine.lines(name)
    expect(machine.lines(name)).toEqual([`${ROOT} x`, mounts, `${ROOT} x`, `${ROOT} x`, "0"])
    expect(Number(mounts)).toBeWithin(20, 50)
    expect(machine.section("after")).toBe("")
  })

  test("runs on a host without /etc, /var and /run, and closes only what is its own", () => {
    expect(machine.lines("bare")).toEqual([
      ...["root", "13", "2", "0"],
      ...["755 /var", "755 /var/lib", "700 /var/lib/toybox", "755 /run", "700 /run/toybox"],
      "ls: /etc: No such file or directory",
    ])
  })
})

describe.skipIf(missing !== undefined)("on cgroup v1 beside v2, from a disk", () => {
  expectLimits(session({ timeoutSeconds: 240, root: "disk", cgroup: "hybrid", script: LIMITS }))
})
