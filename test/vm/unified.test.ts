/** The article's container on a machine with pure cgroup v2 and nothing but toybox, its libc and an init. */
import { describe, expect, test } from "bun:test"
import { LOOK, missing, ROOT, session } from "./session.ts"

if (missing !== undefined) console.log(`vm tests skipped: ${missing}`)

const INNER = "-v /bin/toybox:/bin/toybox:ro -v /lib:/lib:ro -v /lib64:/lib64:ro"

describe.skipIf(missing !== undefined)("on pure cgroup v2", () => {
  const { section, lines } = session({
    timeoutSeconds: 240,
    modules: ["brd"],
    script: `
      section first
      toybox run --hostname isolated --name first base sh -c 'hostname; echo $$; ps -o pid,comm; ls / | xargs'
      hostname
      section cgroup
      toybox run --rm base sh -c 'cat /proc/self/cgroup; ls -d /sys/fs/cgroup/toybox* 2>&1; mkdir /sys/fs/cgroup/x 2>&1'
      section mounts
      toybox run --rm base cat /proc/mounts
      section placement
      toybox run --rm --trace base true 2>&1 | grep -o 'clone3({[^}]*CLONE_INTO_CGROUP' | head -1
      toybox run --rm --trace base true 2>&1 | grep '^child' | grep -c 'cgroup.procs'
      toybox rm first >/dev/null; section left-first; left

      section limits
      toybox run --rm --cpu 10% --mem 50M --pids 33 --cpuset 1 --cpu-weight 50 --io-weight 200 base \\
        sh -c 'echo ready; exec sleep 200' >/tmp/log 2>&1 &
      started /tmp/log
      for file in cpu.max memory.max memory.swap.max pids.max cpu.weight cpuset.cpus io.weight; do
        echo "$file $(cat $(own)/$file)"
      done
      pid=$(cat $(own)/cgroup.procs)
      within 60 grep -qx sleep /proc/$pid/comm
      echo "processes $(echo "$pid" | wc -l) $(cat /proc/$pid/comm) $(grep Cpus_allowed_list /proc/$pid/status | cut -f2)"
      echo "root $(tr ' ' '\\n' < /sys/fs/cgroup/cgroup.subtree_control | sort | xargs)"
      echo "slice $(tr ' ' '\\n' < /sys/fs/cgroup/toybox.slice/cgroup.subtree_control | sort | xargs)"
      kill $!; wait $!; echo "ended $?"
      section left-limits; left

      section busy
      toybox run --rm --cpu 10% --mem 50M base sh -c 'echo ready; while :; do :; done' >/tmp/log 2>&1 &
      started /tmp/log
      usage() { sed -n 's/usage_usec //p' $(own)/cpu.stat; }
      now() { sed 's/ .*//; s/\\.//' /proc/uptime; }
      sleep 1; u=$(usage); t=$(now); sleep 5
      echo $(($(usage) - u)) $((($(now) - t) * 10000))
      grep nr_throttled $(own)/cpu.stat
      kill -9 $!; wait $!

      section oom
      toybox run --rm --mem 50M base tail /dev/zero; echo $?
      toybox run --name oom --mem 50M base sh -c 'tail /dev/zero; echo survived $?' 2>/dev/null; echo $?; toybox ps -a --json; toybox rm oom
      section why
      toybox run --name used --cpu 20% --mem 50M --pids 3 base sh -c '
        i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; for i in 1 2 3 4; do sleep 0 & done; wait' 2>/dev/null
      toybox why --json used; toybox why used | cut -d: -f1; toybox rm used >/dev/null
      section pids
      toybox run --rm --pids 5 base sh -c 'for i in 1 2 3 4 5 6 7; do sleep 100 & done 2>&1; wait' 2>&1 | grep -c fork

      section devices
      toybox run --rm --cap-add MKNOD base sh -c '
        mknod /ram b 1 0 && mknod /kmsg c 1 11 && echo made
        head -c 4 /ram 2>&1; echo x 2>&1 >/kmsg; cat /kmsg 2>&1'
      section default-devices
      toybox run --rm base sh -c '
        head -c 3 /dev/zero | wc -c; echo lost >/dev/null && echo null; echo x 2>&1 >/dev/full
        head -c 4 /dev/random | wc -c; head -c 4 /dev/urandom | wc -c; ls /dev | tr "\\n" " "; mknod /x c 1 3 2>&1'
      section given-device
      echo "disk" > /dev/ram0
      toybox run --rm --device /dev/ram0 base sh -c 'head -c 4 /dev/ram0; echo; echo DISK >/dev/ram0 && echo written; head -c 4 /dev/ram0'
      section read-only-device
      toybox run --rm --device /dev/ram0:/dev/disk:r base sh -c 'head -c 4 /dev/disk; echo; echo x 2>&1 >/dev/disk'

      section killed
      toybox run --mem 50M --name killed base sh -c 'sleep 1000 & sleep 1000 & echo ready; wait' >/tmp/log 2>&1 &
      box=$!; started /tmp/log
      # Not of the container's PID namespace: it does not die with its PID 1.
      ( echo 0 > $(own)/cgroup.procs; exec sleep 200 ) & outsider=$!
      within 60 grep -qx $outsider $(own)/cgroup.procs
      kill -9 $box; wait $box
      within 60 sh -c '[ $(cat /sys/fs/cgroup/toybox.slice/*/cgroup.procs | wc -l) = 1 ]' && echo only the outsider
      toybox ps -a --json; wait $outsider 2>/dev/null; echo "outsider $?"
      toybox rm killed
      section left-killed; left

      section leaf
      mkdir -p /sys/fs/cgroup/service/leaf
      (
        echo 0 > /sys/fs/cgroup/service/leaf/cgroup.procs
        toybox run --rm --mem 50M base cat /sys/fs/cgroup/memory.max
      )
      section busy-parent
      echo +memory > /sys/fs/cgroup/cgroup.subtree_control; rmdir /sys/fs/cgroup/service/leaf
      (
        echo 0 > /sys/fs/cgroup/service/cgroup.procs
        toybox run --rm --cgroup-parent /service --mem 50M base true 2>&1; echo $?
        toybox run --rm --cgroup-parent /service/below --mem 50M base true 2>&1; echo $?
      )
      section parent
      toybox run --rm --cgroup-parent /other/one --mem 50M base cat /sys/fs/cgroup/memory.max
      mkdir /sys/fs/cgroup/other; toybox run --rm --cgroup-parent /other --mem 50M base true; find /sys/fs/cgroup -type d | sort
      rmdir /sys/fs/cgroup/other /sys/fs/cgroup/service
      section left-parents; left

      section delegated
      toybox run --rm --privileged --mem 300M ${INNER} base sh -c '
        cat /proc/self/cgroup
        toybox run --rm --net none --mem 50M --cpu 20% base sh -c "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max; ls / | wc -l" 2>&1; echo $?
        cat /proc/self/cgroup /sys/fs/cgroup/cgroup.subtree_control; find /sys/fs/cgroup -type d | xargs
        ls /var/lib/toybox/containers /run/toybox/running; wc -l < /proc/mounts'
      section left-delegated; left

      section own-cgroups
      toybox run -d --name own --privileged base sh -c '
        cd /sys/fs/cgroup; mkdir init other; echo 1 > init/cgroup.procs; echo +memory > cgroup.subtree_control; exec sleep 1000' >/dev/null
      within 60 toybox exec own sh -c 'grep -q memory /sys/fs/cgroup/cgroup.subtree_control'
      toybox exec own cat /proc/self/cgroup; echo $?
      toybox rm -f own
      section left-own-cgroups; left

      section chroot
      tree /c; mount -t cgroup2 c /c/sys/fs/cgroup
      chroot /c /bin/toybox run --rm -v /proc:/x/proc base sh -c "$(cat /srv/look)"; echo $?
      section chroot-mount
      mkdir /d; mount --bind /c /d; for d in proc sys sys/fs/cgroup; do mount --bind /c/$d /d/$d; done
      chroot /d /bin/toybox run --rm -v /proc:/x/proc base sh -c "$(cat /srv/look)"; echo $?
      for d in /d/sys/fs/cgroup /d/sys /d/proc /d /c/sys/fs/cgroup /c/sys /c/proc; do umount $d; done
      section left-chroot; left

      section without-overlay
      rmmod overlay
      toybox run --rm base sh -c 'ls / | wc -l; grep " / " /proc/mounts | cut -d" " -f1; id -u' 2>&1; echo $?
      toybox run --name kept base sh -c 'echo > /x' 2>&1; ls -d /var/lib/toybox/containers/*/upper/x | wc -l; toybox cp kept:/x - | tar -t; toybox rm kept
      section left-copy; left`,
    files: { "/srv/look": LOOK },
  })

  test("has its own host name, processes and root", () => {
    const [name, pid, , init, ps, root, host, ...others] = lines("first")
    expect({ name, pid, root, host, others }).toEqual({
      name: "isolated",
      pid: "1",
      root: ROOT,
      host: "vm",
      others: [],
    })
    expect([init, ps]).toEqual([expect.stringMatching(/^ +1 sh$/), expect.stringMatching(/^ +\d ps$/)])
  })

  test("sees its own cgroup as the root, and cannot change it", () => {
    expect(lines("cgroup")).toEqual([
      "0::/",
      "ls: /sys/fs/cgroup/toybox*: No such file or directory",
      "mkdir: can't create directory '/sys/fs/cgroup/x': Read-only file system",
    ])
  })

  test("mounts what it is said to mount", () => {
    const mounts = lines("mounts").map((line) => {
      const [, target = "", type, options = ""] = line.split(" ")
      return `${target} ${type} ${options.split(",")[0]}`
    })
    expect(mounts.slice(0, 12)).toEqual([
      "/ overlay rw",
      "/proc proc rw",
      "/dev tmpfs rw",
      "/dev/pts devpts rw",
      "/dev/shm tmpfs rw",
      "/dev/mqueue mqueue rw",
      "/sys sysfs ro",
      "/sys/fs/cgroup cgroup2 ro",
      "/run tmpfs rw",
      "/etc/hosts tmpfs rw",
      "/etc/hostname tmpfs rw",
      "/etc/resolv.conf tmpfs rw",
    ])
    expect(mounts.slice(12).every((line) => /^\/(proc|sys)\/\S+ \S+ ro$/.test(line))).toBe(true)
    expect(mounts).toContain("/proc/sys proc ro")
    expect(mounts).toContain("/proc/kcore tmpfs ro")
  })

  test("is born in its cgroup", () => {
    expect(lines("placement")).toEqual([expect.stringContaining("CLONE_INTO_CGROUP"), "0"])
  })

  test("has its limits in the kernel while it runs, the controllers enabled down the path", () => {
    expect(lines("limits")).toEqual([
      "cpu.max 10000 100000",
      "memory.max 52428800",
      "memory.swap.max 0",
      "pids.max 33",
      "cpu.weight 50",
      "cpuset.cpus 1",
      "io.weight default 200",
      "processes 1 sleep 1",
      "root cpu cpuset io memory pids",
      "slice cpu cpuset io memory pids",
      // PID 1 without a handler: the signal becomes SIGKILL, the exit code stays that of SIGTERM.
      "ended 143",
    ])
  })

  test("is held to 10 % of one processor", () => {
    // The guest's own clock measures both, so that an emulator that gets less of the real processor changes nothing.
    const [usage = 0, elapsed = 1] = (lines("busy")[0] ?? "").split(" ").map(Number)
    expect(elapsed).toBeGreaterThan(4.9e6)
    expect((100 * usage) / elapsed).toBeWithin(8, 12)
    expect(section("busy")).toMatch(/nr_throttled [1-9]/)
  })

  test("is killed at its memory limit, which is told", () => {
    const [told, code, other, status, json] = lines("oom")
    expect([told, code]).toEqual(["toybox: killed: out of memory (limit 50 MiB)", "137"])
    // A child of the command was killed: the command went on.
    expect([other, status]).toEqual(["survived 137", "0"])
    expect(JSON.parse(json ?? "")).toMatchObject({ name: "oom", exitCode: 0 })
  })

  test("leaves what it used, how often its limits held it back, and how long it waited", () => {
    const [json, ...titles] = lines("why")
    const { usage } = JSON.parse(json ?? "")
    expect(titles).toEqual(expect.arrayContaining(["ended", "memory", "cpu", "processes", "took"]))
    for (const count of [
      "cpuUsageUsec",
      "memoryPeakBytes",
      "periods",
      "throttledPeriods",
      "throttledUsec",
      "pidsLimitHits",
    ])
      expect([count, usage[count] > 0]).toEqual([count, true])
    expect(usage.pressureUsec).toEqual({ cpu: expect.any(Number), memory: expect.any(Number), io: expect.any(Number) })
  })

  test("cannot have more processes than allowed", () => {
    expect(Number(section("pids"))).toBeGreaterThan(0)
  })

  test("opens no device but those of its /dev", () => {
    expect(lines("devices")).toEqual([
      "made",
      "head: /ram: Operation not permitted",
      "sh: can't create /kmsg: Operation not permitted",
      "cat: can't open '/kmsg': Operation not permitted",
    ])
    expect(lines("default-devices")).toEqual([
      "3",
      "null",
      "sh: write error: No space left on device",
      "4",
      "4",
      "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero mknod: /x: Operation not permitted",
    ])
  })

  test("opens a device it was given, as far as it was given", () => {
    expect(lines("given-device")).toEqual(["disk", "written", "DISK"])
    expect(lines("read-only-device")).toEqual(["DISK", "sh: can't create /dev/disk: Operation not permitted"])
  })

  test("leaves nothing once the command after a kill -9 has run, not even a stranger in its cgroup", () => {
    const [alone, json, outsider] = lines("killed").filter((line) => !line.startsWith("Killed"))
    expect(alone).toBe("only the outsider")
    expect(JSON.parse(json ?? "")).toMatchObject({ name: "killed", status: "exited", exitCode: 137 })
    expect(outsider).toBe("outsider 137")
  })

  test("respects the rule of no internal processes", () => {
    expect(section("leaf")).toBe("52428800")
    const refused = "toybox: cgroup /sys/fs/cgroup/service has processes of its own, so no limits can be set below it"
    const [error, hint, code, ...below] = lines("busy-parent")
    expect([error, code]).toEqual([refused, "125"])
    expect(hint).toContain("choose another --cgroup-parent")
    expect([below[0], below[2]]).toEqual([refused, "125"])
    // Of the parents that --cgroup-parent names, those that toybox had to make go again.
    const kept = ["/sys/fs/cgroup", "/sys/fs/cgroup/other", "/sys/fs/cgroup/service"]
    expect(lines("parent")).toEqual(["52428800", ...kept])
  })

  test("runs in a container that has a delegated cgroup with processes in it, and copies what overlayfs refuses", () => {
    expect(lines("delegated")).toEqual([
      "0::/",
      "toybox: overlayfs is refused here (fsconfig: EINVAL): the root is copied, which takes time and space",
      "52428800",
      "20000 100000",
      "15",
      "0",
      "0::/init",
      "cpu memory pids",
      "/sys/fs/cgroup /sys/fs/cgroup/init",
      "/run/toybox/running:",
      "",
      "/var/lib/toybox/containers:",
      expect.stringMatching(/^\d+$/),
    ])
  })

  test("is entered also where its processes are in cgroups of its own, as under systemd", () => {
    expect(lines("own-cgroups")).toEqual(["0::/init", "0", "own"])
  })

  test.each(["chroot", "chroot-mount"])("shows nothing of the host from within a %s", (name) => {
    const mounts = `${lines("mounts").length + 1}`
    expect(lines(name)).toEqual([`${ROOT} x`, mounts, `${ROOT} x`, `${ROOT} x`, "0"])
  })

  test("is copied, with a warning, where the kernel has no overlayfs", () => {
    const warning = "toybox: overlayfs is refused here (fsopen: ENODEV): the root is copied, which takes time and space"
    expect(lines("without-overlay")).toEqual([warning, "15", "tmpfs", "0", "0", warning, "1", "x", "kept"])
  })

  const moments = ["first", "limits", "killed", "parents", "delegated", "own-cgroups", "chroot", "copy"]
  test.each(moments)("leaves no mount, cgroup, process or lock behind (%s)", (name) => {
    expect(section(`left-${name}`)).toBe("")
  })
})
