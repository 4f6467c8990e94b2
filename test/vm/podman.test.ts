/** podman with toybox as its OCI runtime on a machine of its own, with cgroup v2. */
import { describe, expect, test } from "bun:test"
import { missing, session } from "./session.ts"

if (missing !== undefined) console.log(`vm tests skipped: ${missing}`)

// Unpacked packages have not been configured: what podman looks for in /etc is given here.
const FILES = {
  "/etc/containers/policy.json": '{"default":[{"type":"insecureAcceptAnything"}]}',
  "/etc/containers/containers.conf": `
    [engine]
    runtime = "toybox"
    cgroup_manager = "cgroupfs"
    events_logger = "file"
    conmon_path = ["/usr/bin/conmon"]
    [engine.runtimes]
    toybox = ["/bin/toybox-oci"]
    [containers]
    netns = "none"
    default_ulimits = ["nofile=1024:1024"]
  `,
}

describe.skipIf(missing !== undefined)("podman on cgroup v2", () => {
  const { lines, section } = session({
    timeoutSeconds: 240,
    root: "disk",
    packages: ["podman", "conmon", "catatonit"],
    memory: 2048,
    files: FILES,
    script: `
      export PATH=/bin:/sbin:/usr/bin:/usr/sbin
      ln -s toybox /bin/toybox-oci
      mkdir -p /var/tmp
      tar -C /srv/root -cf /tmp/root.tar . && podman import -q /tmp/root.tar image >/dev/null
      exec 2>&1
      section info
      podman info --format '{{.Host.CgroupsVersion}} {{.Host.OCIRuntime.Name}}'
      section run
      podman run --rm image sh -c 'echo hello; exit 7'; echo $?
      podman run --rm image nothere >/dev/null 2>&1; echo $?
      section identity
      podman run --rm --user 1000:50 --read-only image sh -c 'exec 2>&1; id -u; id -g; touch /x; grep -E "Seccomp:|NoNewPrivs|CapEff" /proc/self/status'
      section limits
      podman run --rm --memory 64m --cpus 0.5 --pids-limit 33 --cpuset-cpus 1 image sh -c \\
        'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max cpuset.cpus; cat /proc/self/cgroup'
      podman run --rm --memory 32m image tail /dev/zero; echo $?
      section devices
      podman run --rm --cap-add MKNOD image sh -c 'exec 2>&1; mknod /kmsg c 1 11 && echo x >/kmsg; echo lost >/dev/null && echo null'
      podman run --rm --device /dev/vda:/dev/disk:r image sh -c 'exec 2>&1; head -c 1 /dev/disk >/dev/null && echo read; echo x >/dev/disk'
      section mapped
      podman run --rm --uidmap 0:100000:5000 --device /dev/vda:/dev/disk:r image sh -c \\
        'exec 2>&1; stat -c "%u %t:%T" /dev/null /dev/disk; head -c 1 /dev/disk >/dev/null && echo read; echo x >/dev/disk'
      section life
      podman run -d --name box --memory 64m --init image sh -c 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.1; done' >/dev/null
      n=0; until podman logs box | grep -q ready || [ $n = 20 ]; do n=$((n + 1)); done
      podman exec -u 1000 box sh -c 'id -u; cat /proc/1/comm'
      podman exec box sh -c 'exit 9'; echo $?
      podman update --memory 48m box >/dev/null; podman exec box cat /sys/fs/cgroup/memory.max
      podman pause box; podman ps -a --format '{{.Status}}'; podman unpause box
      podman stats --no-stream --format '{{.Name}} {{.PIDs}}' box
      podman stop box; podman logs box; podman inspect -f '{{.State.Status}} {{.State.ExitCode}}' box
      podman start box >/dev/null; podman kill box; podman wait box; podman rm box
      section left
      find /sys/fs/cgroup -type d -path '*libpod-*'
      for process in /proc/[0-9]*; do case "$(readlink $process/exe)" in *toybox*|*conmon*) cat $process/comm;; esac; done
      find /run/toybox-oci -mindepth 1
    `,
  })

  test("is what podman sees: toybox, on cgroup v2", () => {
    expect(lines("info")).toEqual(["v2 toybox"])
  })

  test("runs a command, and has its exit code", () => {
    expect(lines("run")).toEqual(["hello", "7", "127"])
  })

  test("has its user, its security and a root that cannot be written", () => {
    expect(lines("identity")).toEqual([
      ...["1000", "50", "touch: /x: Read-only file system"],
      expect.stringMatching(/^CapEff:\s0{16}$/),
      expect.stringMatching(/^NoNewPrivs:\s0$/),
      expect.stringMatching(/^Seccomp:\s2$/),
    ])
  })

  test("is held to its limits", () => {
    expect(lines("limits")).toEqual(["67108864", "50000 100000", "33", "1", "0::/", "137"])
  })

  test("opens the devices it was given, and no others", () => {
    const denied = "sh: can't create /kmsg: Operation not permitted"
    expect(lines("devices")).toEqual([denied, "null", "read", "sh: can't create /dev/disk: Operation not permitted"])
  })

  test("has devices of its own users where these are mapped", () => {
    expect(lines("mapped")).toEqual([
      ...["0 1:3", "0 fe:0", "read"],
      "sh: can't create /dev/disk: Operation not permitted",
    ])
  })

  test("is entered, changed, paused, stopped, started, killed and removed", () => {
    expect(lines("life")).toEqual([
      ...["1000", expect.stringMatching(/^(catatonit|podman-init)$/), "9", "50331648"],
      ...[
        "box",
        "Paused",
        "box",
        expect.stringMatching(/^box [23]$/),
        "box",
        "ready",
        "bye",
        "exited 3",
        "box",
        "137",
        "box",
      ],
    ])
    expect(section("left")).toBe("")
  })
})
