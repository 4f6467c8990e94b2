import { afterAll, describe, expect, test } from "bun:test"
import { chownSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Config, insideBundle, refusal } from "../helpers/oci-bundle.ts"
import { ownLeftovers } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

afterAll(async () => expect(await ownLeftovers()).toEqual([]))
cleanUpAfterAll()

const FILES: Record<string, string> = {
  pid: "pid",
  network: "net",
  ipc: "ipc",
  uts: "uts",
  cgroup: "cgroup",
  user: "user",
  time: "time",
}
const file = (type: string) => `/proc/self/ns/${FILES[type]}`
const hosts = (type: string) => readlinkSync(file(type))

function withNamespace(config: Config, type: string, path?: string): void {
  const others = config.linux.namespaces.filter((namespace: { type: string }) => namespace.type !== type)
  config.linux.namespaces = [...others, path === undefined ? { type } : { type, path }]
}

/** A process with namespaces of its own, for others to join. */
async function holding<T>(options: readonly string[], use: (path: (type: string) => string) => Promise<T>): Promise<T> {
  const child = Bun.spawn(
    ["timeout", "-k", "1", "20", "unshare", ...options, "--fork", "--kill-child", "sh", "-c", "echo; exec sleep 20"],
    { stdout: "pipe" },
  )
  try {
    await child.stdout.getReader().read()
    const children = (pid: number) => Bun.file(`/proc/${pid}/task/${pid}/children`).text()
    const unshare = Number((await children(child.pid)).trim())
    const inner = Number((await children(unshare)).trim())
    return await use((type) => `/proc/${inner}/ns/${FILES[type]}`)
  } finally {
    child.kill()
    await child.exited
  }
}

describe.each(["pid", "network", "ipc", "uts", "cgroup", "time"])("%s", (type) => {
  test("new, absent, and joined by path", async () => {
    const script = `readlink ${file(type)}`
    expect(await insideBundle(script, (config) => withNamespace(config, type))).not.toBe(hosts(type))
    const option = { pid: "--pid", network: "--net", ipc: "--ipc", uts: "--uts", cgroup: "--cgroup", time: "--time" }[
      type
    ] as string
    await holding([option], async (path) => {
      const wanted = readlinkSync(path(type))
      expect(wanted).not.toBe(hosts(type))
      const change = (config: Config) => {
        withNamespace(config, type, path(type))
        if (type === "uts") config.hostname = "joined"
      }
      expect(await insideBundle(type === "uts" ? `hostname; ${script}` : script, change)).toBe(
        type === "uts" ? `joined\n${wanted}` : wanted,
      )
    })
    const without = (config: Config) => {
      config.linux.namespaces = config.linux.namespaces.filter((namespace: { type: string }) => namespace.type !== type)
      // A sysfs shows the network it was made in, which must be its own.
      config.linux.sysctl = {}
    }
    expect(await insideBundle(script, without)).toBe(hosts(type))
  })

  test("a file of another type, of none, or that is not there is refused", async () => {
    const other = type === "ipc" ? "uts" : "ipc"
    for (const path of [file(other), "/etc/passwd", "/proc/self/ns/none"]) {
      expect(await refusal((config) => withNamespace(config, type, path))).toContain(
        `cannot join the ${type} namespace ${path}`,
      )
    }
  })
})

test("the clocks of a time namespace", async () => {
  const change = (config: Config) => {
    withNamespace(config, "time")
    config.linux.timeOffsets = { boottime: { secs: 1_000_000_000 }, monotonic: { secs: 5, nanosecs: 7 } }
  }
  const [uptime = "", ...lines] = (await insideBundle("cat /proc/uptime /proc/self/timens_offsets", change)).split("\n")
  expect(Number(uptime.split(".")[0])).toBeGreaterThan(1_000_000_000)
  expect(lines.map((line) => line.split(/\s+/).join(" "))).toEqual(["monotonic 5 7", "boottime 1000000000 0"])
})

describe("user", () => {
  const BASE = 100_000
  const maps = (config: Config) => {
    withNamespace(config, "user")
    config.linux.uidMappings = [
      { containerID: 0, hostID: BASE, size: 1000 },
      { containerID: 5000, hostID: 7, size: 1 },
    ]
    config.linux.gidMappings = [{ containerID: 0, hostID: BASE, size: 1000 }]
  }
  const root = () => {
    const dir = makeRoot()
    Bun.spawnSync(["chown", "-R", "-h", `${BASE}:${BASE}`, dir])
    return dir
  }

  test("maps, files, limits, masks, devices", async () => {
    const volume = temporaryDirectory("closed")
    mkdirSync(join(volume, "in"))
    writeFileSync(join(volume, "in/file"), "x")
    chownSync(join(volume, "in/file"), BASE + 3, BASE + 4)
    const change = (config: Config) => {
      maps(config)
      // Only the parent can get there: the directory above is closed to all but root.
      Bun.spawnSync(["chmod", "700", volume])
      config.mounts.push({ destination: "/volume", type: "bind", source: join(volume, "in"), options: ["rbind", "ro"] })
      Object.assign(config.process, { oomScoreAdj: 33, rlimits: [{ type: "RLIMIT_NOFILE", soft: 50, hard: 60 }] })
      config.process.capabilities.effective.push("CAP_SYS_ADMIN")
      config.process.capabilities.permitted.push("CAP_SYS_ADMIN")
      config.process.capabilities.bounding.push("CAP_SYS_ADMIN")
    }
    const script = [
      "id -u; id -g; awk '{print $1,$2,$3}' /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups",
      "stat -c %u:%g /volume/file /tmp; touch /tmp/own && stat -c %u /tmp/own; touch /volume/x 2>/dev/null || echo read-only",
      "cat /proc/self/oom_score_adj; ulimit -n; ulimit -Hn; wc -c < /proc/keys; echo x > /dev/null && echo null",
    ].join("\n")
    expect((await insideBundle(script, change, root())).split("\n")).toEqual([
      "0",
      "0",
      `0 ${BASE} 1000`,
      "5000 7 1",
      `0 ${BASE} 1000`,
      "allow",
      "3:4",
      "0:0",
      "0",
      "read-only",
      "33",
      "50",
      "60",
      "0",
      "null",
    ])
  })

  test("its root lies in a closed directory of its own, in one of the host's root", async () => {
    // As podman has it with --uidmap: the directory that holds the layers is given to the container's root.
    const own = join(temporaryDirectory("closed"), "own")
    mkdirSync(own, { mode: 0o700 })
    const path = makeRoot({ dir: join(own, "root") })
    Bun.spawnSync(["chown", "-R", "-h", `${BASE}:${BASE}`, own])
    expect(await insideBundle("id -u", maps, path)).toBe("0")
    await holding(["--user"], async (path_) => {
      for (const name of ["uid_map", "gid_map"]) writeFileSync(join(path_("user"), "../..", name), `0 ${BASE} 1000\n`)
      expect(await insideBundle("id -u", (config) => withNamespace(config, "user", path_("user")), path)).toBe("0")
    })
  })

  test("that toybox is in already cannot be joined, and the reason is told", async () => {
    const message = await refusal((config) => withNamespace(config, "user", file("user")))
    expect(message).toMatch(/CLONE_NEWUSER\): EINVAL\ntoybox: hint: toybox is in that user namespace already/)
  })

  test("joined, with its maps in the configuration all the same", async () => {
    const map = [{ containerID: 0, hostID: 0, size: 1 }]
    await holding(["--user", "--map-root-user"], async (path) => {
      const change = (config: Config) => {
        withNamespace(config, "user", path("user"))
        Object.assign(config.linux, { uidMappings: map, gidMappings: map })
        for (const mount of config.mounts) mount.options = mount.options.filter((option: string) => option !== "gid=5")
      }
      expect(await insideBundle(`readlink ${file("user")}; id -u`, change)).toBe(`${readlinkSync(path("user"))}\n0`)
    })
  })

  test("message queues and a terminal of an exec belong to its root", async () => {
    expect(await insideBundle("stat -c %u /dev/mqueue", maps, root())).toBe("0")
    await holding(["--user"], async (path) => {
      for (const name of ["uid_map", "gid_map"]) writeFileSync(join(path("user"), "../..", name), `0 ${BASE} 1000\n`)
      const joins = (config: Config) => withNamespace(config, "user", path("user"))
      expect(await insideBundle("stat -c %u /dev/mqueue", joins, root())).toBe("0")
    })
  })

  test("with the host's network: /sys is the host's, of which it owns nothing", async () => {
    const without = (config: Config) => {
      maps(config)
      config.linux.namespaces = config.linux.namespaces.filter((each: { type: string }) => each.type !== "network")
    }
    const links = readdirSync("/sys/class/net").sort().join("\n")
    const script =
      "ls /sys/class/net | sort; grep ' - sysfs ' /proc/self/mountinfo | cut -d ' ' -f 4-6; ls /sys/fs/cgroup | wc -l"
    const mounts = (config: Config) => {
      without(config)
      config.mounts = config.mounts.filter(
        ({ destination }: { destination: string }) => destination !== "/sys/fs/cgroup",
      )
    }
    expect(await insideBundle(script, mounts, root())).toBe(`${links}\n/ /sys ro,nosuid,nodev,noexec,relatime\n0`)
    await holding(["--net"], async (path) => {
      const change = (config: Config) => {
        maps(config)
        withNamespace(config, "network", path("network"))
      }
      expect(await insideBundle("test -d /sys/class && echo there", change, root())).toBe("there")
    })
  })

  test("joined: what is made belongs to it", async () => {
    await holding(["--user", "--map-root-user", "--net"], async (path) => {
      const change = (config: Config) => {
        withNamespace(config, "user", path("user"))
        withNamespace(config, "network", path("network"))
        // Only group 0 is mapped.
        for (const mount of config.mounts) mount.options = mount.options.filter((option: string) => option !== "gid=5")
        config.process.capabilities = {
          bounding: ["CAP_SYS_ADMIN"],
          permitted: ["CAP_SYS_ADMIN"],
          effective: ["CAP_SYS_ADMIN"],
        }
      }
      const expected = `${readlinkSync(path("user"))}\n${readlinkSync(path("network"))}\n0\nnamed`
      expect(
        await insideBundle(
          `readlink ${file("user")}; readlink ${file("network")}; id -u; hostname named && hostname`,
          change,
        ),
      ).toBe(expected)
    })
  })

  test("new, together with a network namespace of the host that is joined", async () => {
    await holding(["--net"], async (path) => {
      const change = (config: Config) => {
        maps(config)
        withNamespace(config, "network", path("network"))
        // Whoever does not own a network may not see it in a sysfs.
        config.mounts = config.mounts.filter(
          (mount: { type: string }) => mount.type !== "sysfs" && mount.type !== "cgroup",
        )
      }
      expect(await insideBundle(`readlink ${file("network")}`, change, root())).toBe(readlinkSync(path("network")))
    })
  })

  test("an idmapped volume with the maps of the container", async () => {
    const volume = temporaryDirectory("volume")
    writeFileSync(join(volume, "file"), "x")
    const change = (config: Config) => {
      maps(config)
      config.mounts.push({ destination: "/volume", type: "bind", source: volume, options: ["bind", "idmap"] })
    }
    expect(await insideBundle("stat -c %u:%g /volume/file", change, root())).toBe("0:0")
  })

  test("a limit that the kernel refuses is named, with the reason", async () => {
    const change = (config: Config) => {
      maps(config)
      // Beyond /proc/sys/fs/nr_open also for who may raise limits.
      config.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 10, hard: 2 ** 40 }]
    }
    expect(await refusal(change)).toMatch(/process.rlimits: RLIMIT_NOFILE: .*EPERM\ntoybox: hint: a hard limit/)
  })

  test("maps that the kernel refuses are an error that names them, and nothing is left", async () => {
    const change = (config: Config) => {
      maps(config)
      config.linux.uidMappings = [
        { containerID: 0, hostID: 1, size: 10 },
        { containerID: 5, hostID: 100, size: 10 },
      ]
    }
    expect(await refusal(change)).toContain("config.json: linux.uidMappings: the kernel refuses it")
  })
})
