import { afterAll, describe, expect, test } from "bun:test"
import { statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import {
  type Config,
  config,
  insideBundle,
  refusal,
  runConfig,
  sharedRoot,
  withRunning,
} from "../helpers/oci-bundle.ts"
import { ownLeftovers } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

afterAll(async () => expect(await ownLeftovers()).toEqual([]))
cleanUpAfterAll()

const process_ = (values: object) => (config: Config) => Object.assign(config.process, values)
const status = (field: string) => `grep ^${field}: /proc/self/status | awk '{print $2}'`
// What an application has, before a shell changes it.
const own = (path: string) => ["/bin/cat", path]

describe("process", () => {
  test("user, groups, umask, cwd, env", async () => {
    const change = (config: Config) => {
      Object.assign(config.process, { cwd: "/not/there/yet", env: ["PATH=/bin", "A=b=c", "EMPTY="] })
      config.process.user = { uid: 1000, gid: 1001, additionalGids: [7, 1234], umask: 0o027 }
    }
    const script = "id -u; id -g; id -G; umask; pwd; echo $A-$EMPTY-"
    expect(await insideBundle(script, change)).toBe("1000\n1001\n1001 7 1234\n0027\n/not/there/yet\nb=c--")
  })

  test("all five sets of capabilities; those that no kernel has are left out, with a word", async () => {
    const change = (config: Config) => {
      config.process.user = { uid: 1000, gid: 1000 }
      const set = ["CAP_KILL", "CAP_CHOWN", "CAP_OF_TOMORROW"]
      config.process.capabilities = {
        bounding: [...set, "CAP_SYS_CHROOT"],
        permitted: set,
        effective: ["CAP_KILL"],
        inheritable: ["CAP_KILL"],
        ambient: ["CAP_KILL"],
      }
      config.process.args = own("/proc/self/status")
    }
    const value = config("")
    change(value)
    const { stdout: text, stderr } = await runConfig(value)
    expect(stderr).toBe("toybox: process.capabilities: this kernel does not know CAP_OF_TOMORROW: left out\n")
    const sets = ["Inh", "Prm", "Eff", "Bnd", "Amb"].map(
      (name) => new RegExp(`^Cap${name}:\\s+0*(\\w+)$`, "m").exec(text)?.[1],
    )
    // By the exec a user keeps the ambient ones only.
    expect(sets).toEqual(["20", "20", "20", "40021", "20"])
  })

  test("those that toybox itself does not have are left out, with a word; in a user namespace all are there", async () => {
    const set = ["CAP_KILL", "CAP_SYS_TIME"]
    const value = () => {
      const asked = config(status("CapEff"))
      asked.process.capabilities = { bounding: set, permitted: set, effective: set, inheritable: set, ambient: set }
      return asked
    }
    const binary = join(temporaryDirectory("lacking"), "toybox")
    const less = "--bounding-set=-sys_time --inh-caps=-sys_time"
    writeFileSync(binary, `#!/bin/sh\nexec setpriv ${less} ${toyboxBinary()} "$@"\n`, { mode: 0o755 })
    expect(await runConfig(value(), sharedRoot(), { binary })).toMatchObject({
      stdout: "0000000000000020\n",
      stderr: "toybox: process.capabilities: toybox itself does not have CAP_SYS_TIME: left out\n",
      exitCode: 0,
    })
    const mapped = value()
    mapped.linux.namespaces.push({ type: "user" })
    mapped.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 65536 }]
    mapped.linux.gidMappings = mapped.linux.uidMappings
    expect(await runConfig(mapped, sharedRoot(), { binary })).toMatchObject({
      stdout: "0000000002000020\n",
      stderr: "",
    })
  })

  test("none where none are named", async () => {
    const change = (config: Config) => {
      delete config.process.capabilities
    }
    expect(await insideBundle(`${status("CapBnd")}; ${status("CapEff")}`, change)).toBe(
      "0000000000000000\n0000000000000000",
    )
  })

  test("noNewPrivileges, rlimits and oomScoreAdj", async () => {
    const change = process_({
      noNewPrivileges: true,
      oomScoreAdj: 77,
      rlimits: [
        { type: "RLIMIT_NOFILE", soft: 100, hard: 200 },
        { type: "RLIMIT_CORE", soft: 0, hard: 0 },
      ],
    })
    const script = `${status("NoNewPrivs")}; cat /proc/self/oom_score_adj; ulimit -Sn; ulimit -Hn; ulimit -c`
    expect(await insideBundle(script, change)).toBe("1\n77\n100\n200\n0")
  })

  test("scheduler and ioPriority", async () => {
    const change = process_({
      scheduler: { policy: "SCHED_BATCH", nice: 7, flags: ["SCHED_FLAG_RESET_ON_FORK"] },
      ioPriority: { class: "IOPRIO_CLASS_BE", priority: 6 },
    })
    const fields = await insideBundle("cut -d ' ' -f 19,41 /proc/$$/stat; ionice -p $$", change)
    expect(fields).toBe("7 3\nbest-effort: prio 6")
  })

  test("personality", async () => {
    const change = (config: Config) => {
      config.linux.personality = { domain: "LINUX32" }
    }
    expect(await insideBundle("cat /proc/self/personality; uname -m", change)).toMatch(
      /^00000008\ni686$|^00000008\narmv/,
    )
  })

  test("labels of security modules that this kernel lacks are errors that name the field", async () => {
    expect(await refusal(process_({ apparmorProfile: "docker-default" }))).toContain("process.apparmorProfile")
    expect(await refusal(process_({ selinuxLabel: "system_u:system_r:container_t:s0" }))).toContain(
      "process.selinuxLabel",
    )
    expect(await insideBundle("echo ran", process_({ apparmorProfile: "unconfined", selinuxLabel: "" }))).toBe("ran")
    const label = (config: Config) => {
      config.linux.mountLabel = "system_u:object_r:container_file_t:s0"
    }
    expect(await refusal(label)).toContain("linux.mountLabel")
  })
})

describe("devices", () => {
  const device = (path: string, more: object) => (config: Config) => {
    config.linux.devices = [{ path, type: "c", major: 1, minor: 3, ...more }]
  }

  test("of every type, with owner and mode, and missing parents", async () => {
    const change = (config: Config) => {
      config.linux.devices = [
        { path: "/dev/deep/er/null", type: "u", major: 1, minor: 3, fileMode: 0o640, uid: 5, gid: 6 },
        { path: "/dev/loop99", type: "b", major: 7, minor: 99 },
        { path: "/srv/fifo", type: "p", fileMode: 0o600 },
        { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o622 },
      ]
    }
    const script = "cd /dev; stat -c '%F %t:%T %a %u:%g' deep/er/null loop99 /srv/fifo null zero"
    expect((await insideBundle(script, change, makeRoot())).split("\n")).toEqual([
      "character special file 1:3 640 5:6",
      "block special file 7:63 666 0:0",
      "fifo 0:0 600 0:0",
      "character special file 1:3 622 0:0",
      "character special file 1:5 666 0:0",
    ])
  })

  test("without a mount on /dev they are made in the root; what is there must be the same", async () => {
    const root = makeRoot()
    const bare = (config: Config) => {
      config.mounts = config.mounts.filter((mount: { destination: string }) => !mount.destination.startsWith("/dev"))
    }
    const script = "cat /dev/null; stat -c %t:%T /dev/zero; readlink /dev/fd"
    expect(await insideBundle(script, bare, root)).toBe("1:5\n/proc/self/fd")
    expect(statSync(join(root, "dev/zero")).isCharacterDevice()).toBe(true)
    expect(await insideBundle(script, bare, root)).toBe("1:5\n/proc/self/fd")
    const other = await refusal((config) => {
      config.root.path = root
      bare(config)
      device("/dev/zero", { minor: 9 })(config)
    })
    expect(other).toContain("make the device /dev/zero")
  })

  test("one that is there already stays as it is: it may be the host's", async () => {
    const nodes = temporaryDirectory()
    Bun.spawnSync(["mknod", "-m", "600", join(nodes, "there"), "c", "1", "3"])
    const change = (config: Config) => {
      config.mounts.push({ destination: "/nodes", type: "bind", source: nodes, options: ["bind"] })
      const made = { type: "c", major: 1, minor: 3, uid: 5, gid: 6 }
      config.linux.devices = ["there", "new"].map((name) => ({ path: `/nodes/${name}`, ...made }))
    }
    expect(await insideBundle("cd /nodes; stat -c '%n %a %u:%g' there new", change)).toBe("there 600 0:0\nnew 666 5:6")
  })

  test("a /dev of the host is left alone", async () => {
    const change = (config: Config) => {
      config.mounts = config.mounts.filter((mount: { destination: string }) => !mount.destination.startsWith("/dev"))
      config.mounts.push({ destination: "/dev", type: "bind", source: "/dev", options: ["rbind"] })
      device("/dev/toybox-test", {})(config)
    }
    expect(await insideBundle("test -e /dev/toybox-test || echo absent; test -c /dev/null && echo null", change)).toBe(
      "absent\nnull",
    )
  })

  test("access is denied but for the default ones and those allowed", async () => {
    const rules = (config: Config) => {
      device("/dev/kmsg", { minor: 11 })(config)
      config.process.capabilities.bounding.push("CAP_MKNOD")
    }
    const script =
      "(head -c 1 /dev/kmsg || echo denied) 2>&1 | tail -1 | grep -c -E 'denied|permitted'; head -c 1 /dev/zero | wc -c"
    expect(await insideBundle(script, rules)).toBe("1\n1")
  })
})

test("names and settings", async () => {
  const change = (config: Config) => {
    Object.assign(config, { hostname: "box", domainname: "example.org" })
    config.linux.sysctl = { "kernel.shmmni": "512", "net/ipv4/ip_forward": "1", "net.ipv4.conf.lo.forwarding": "1" }
  }
  const script = "hostname; cat /proc/sys/kernel/domainname /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_forward"
  expect(await insideBundle(script, change)).toBe("box\nexample.org\n512\n1")
})

test("a root with a symbolic link for /proc is refused, not followed", async () => {
  const root = makeRoot({ files: { "srv/real/x": "" } })
  const fake = makeRoot()
  await Bun.$`rmdir ${join(fake, "proc")} && ln -s srv ${join(fake, "proc")}`.quiet()
  expect(sharedRoot()).not.toBe(root)
  const error = await refusal((config) => {
    config.root.path = fake
  })
  expect(error).toContain("mount proc on /proc")
})

test("execCPUAffinity, of what joins the container", async () => {
  await withRunning(async (exec) => {
    const file = join(temporaryDirectory("process"), "process.json")
    const process = {
      cwd: "/",
      args: ["/bin/grep", "Cpus_allowed_list", "/proc/self/status"],
      user: { uid: 0, gid: 0 },
    }
    writeFileSync(file, JSON.stringify({ ...process, execCPUAffinity: { initial: "0", final: "1" } }))
    expect(await exec("--process", file)).toMatch(/Cpus_allowed_list:\s+1$/)
    writeFileSync(file, JSON.stringify({ ...process, execCPUAffinity: { initial: "0" } }))
    expect(await exec("--process", file)).toMatch(/Cpus_allowed_list:\s+0$/)
  })
})
