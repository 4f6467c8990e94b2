/** Mounts of a bundle in their order, tied to the host's or not, and those that are made before the container. */
import { afterAll, describe, expect, test } from "bun:test"
import { chmodSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { hostMounts, parseMounts } from "../helpers/container.ts"
import { type Config, insideBundle, refusal } from "../helpers/oci-bundle.ts"
import { ownLeftovers } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

afterAll(async () => expect(await ownLeftovers()).toEqual([]))
cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

const add =
  (...mounts: { destination: string; [field: string]: unknown }[]) =>
  (config: Config) => {
    config.mounts.push(...mounts)
  }
const bind = (destination: string, source: string, ...options: string[]) => ({
  destination,
  type: "bind",
  source,
  options: ["bind", ...options],
})
const tmpfs = (destination: string, ...options: string[]) => ({
  destination,
  type: "tmpfs",
  source: "tmpfs",
  options,
})
const volume = (content = "content\n") => {
  const dir = temporaryDirectory("volume")
  writeFileSync(join(dir, "file"), content)
  chmodSync(dir, 0o755)
  return dir
}

const BASE = 100_000
const inUserNamespace = (config: Config) => {
  config.linux.namespaces.push({ type: "user" })
  const map = [{ containerID: 0, hostID: BASE, size: 1000 }]
  config.linux.uidMappings = map
  config.linux.gidMappings = map
}
const mappedRoot = () => {
  const dir = makeRoot()
  Bun.spawnSync(["chown", "-R", "-h", `${BASE}:${BASE}`, dir])
  return dir
}

describe.skipIf(!isRoot)("mounts", () => {
  test("are listed in their order, also those with ties to the host's", async () => {
    const dir = volume()
    const change = (config: Config) => {
      config.linux.rootfsPropagation = "rslave"
      add(
        tmpfs("/one"),
        bind("/two", dir, "rshared"),
        bind("/three", dir),
        bind("/four", dir, "rslave"),
        tmpfs("/five"),
      )(config)
    }
    const lines = parseMounts(await insideBundle("cat /proc/self/mountinfo", change))
    const places = ["/one", "/two", "/three", "/four", "/five"]
    expect(lines.map(({ path }) => path).filter((path) => places.includes(path))).toEqual(places)
  })

  test.each([
    [undefined, false],
    ["rslave", false],
    ["shared", true],
  ])("rshared ones tell the host only where the root may: rootfsPropagation %p", async (rootfsPropagation, tells) => {
    const dir = temporaryDirectory("shared")
    Bun.spawnSync(["sh", "-c", `mount -t tmpfs shared ${dir} && mount --make-shared ${dir} && mkdir ${dir}/sub`])
    try {
      const change = (config: Config) => {
        if (rootfsPropagation) config.linux.rootfsPropagation = rootfsPropagation
        config.process.capabilities.bounding.push("CAP_SYS_ADMIN")
        config.process.capabilities.effective.push("CAP_SYS_ADMIN")
        config.process.capabilities.permitted.push("CAP_SYS_ADMIN")
        add(bind("/data", dir, "rshared"))(config)
      }
      const script = "mount -t tmpfs outward /data/sub; grep ' /data ' /proc/self/mountinfo"
      expect(await insideBundle(script, change)).toContain("shared:")
      expect(hostMounts().some(({ path }) => path === join(dir, "sub"))).toBe(tells)
    } finally {
      Bun.spawnSync(["umount", "-R", dir])
    }
  })

  test("two that are made beforehand lie on one another, in a user namespace, too", async () => {
    const [below, above] = [volume("below\n"), volume("above\n")]
    const copies = add(tmpfs("/etc", "tmpcopyup"), tmpfs("/etc", "tmpcopyup"), bind("/etc", above))
    const script = "cat /etc/file; grep -c ' /etc ' /proc/self/mountinfo"
    expect(await insideBundle(script, copies)).toBe("above\n3")
    const change = (config: Config) => {
      inUserNamespace(config)
      add(bind("/data", below), bind("/data", above))(config)
    }
    expect(await insideBundle("cat /data/file; grep -c ' /data ' /proc/self/mountinfo", change, mappedRoot())).toBe(
      "above\n2",
    )
  })

  test("bind,remount changes the attributes of what is there", async () => {
    const change = add(bind("/data", volume()), {
      destination: "/data",
      type: "bind",
      source: "none",
      options: ["bind", "remount", "ro"],
    })
    expect(await insideBundle("touch /data/x 2>/dev/null || echo no; grep -c ' /data ' /proc/mounts", change)).toBe(
      "no\n1",
    )
    expect(
      await refusal(add({ destination: "/home", type: "bind", source: "none", options: ["bind", "remount", "ro"] })),
    ).toContain("/home")
  })
})

describe.skipIf(!isRoot)("tmpcopyup", () => {
  test("copies what is mounted at its place by then", async () => {
    const outer = temporaryDirectory("outer")
    Bun.spawnSync(["sh", "-c", `mkdir ${outer}/d && echo bound > ${outer}/d/file`])
    const change = add(
      bind("/data", outer),
      tmpfs("/data/d", "tmpcopyup"),
      tmpfs("/fresh"),
      tmpfs("/fresh/d", "tmpcopyup"),
    )
    const script = "cat /data/d/file; echo changed > /data/d/file; ls /fresh/d | wc -l"
    expect(await insideBundle(script, change)).toBe("bound\n0")
    expect(readFileSync(join(outer, "d/file"), "utf8")).toBe("bound\n")
  })

  test("has the mode and the owner that were asked for, else those of what it copies", async () => {
    const root = makeRoot({ files: { "var/keep/file": "kept\n" } })
    Bun.spawnSync(["sh", "-c", `chmod 751 ${root}/var/keep && chown 5:6 ${root}/var/keep`])
    const change = add(
      tmpfs("/var/keep", "tmpcopyup", "mode=700", "uid=7"),
      tmpfs("/var/keep", "tmpcopyup"),
      tmpfs("/none", "tmpcopyup", "mode=700"),
    )
    const script = "stat -c '%a %u %g' /var/keep /none"
    expect(await insideBundle(script, change, root)).toBe("700 7 6\n700 0 0")
  })

  test("belongs to root of the user namespace", async () => {
    const change = (config: Config) => {
      inUserNamespace(config)
      add(tmpfs("/run", "tmpcopyup"), tmpfs("/new", "tmpcopyup", "uid=3"))(config)
    }
    const script = "stat -c '%u %g' /run /new; touch /run/x && echo yes"
    expect(await insideBundle(script, change, mappedRoot())).toBe("0 0\n3 0\nyes")
  })
})

describe.skipIf(!isRoot)("idmapped mounts", () => {
  test("by crun's form of the option", async () => {
    const dir = volume()
    const change = add(bind("/data", dir, "idmap=uids=0-1000-1#5-2000-10;gids=0-7-1"))
    expect(await insideBundle("stat -c '%u %g' /data/file", change)).toBe("1000 7")
    expect(await refusal(add(bind("/data", dir, "idmap=uids=@0-1000-1")))).toContain('"@0-1000-1" is not a range')
  })

  test("many, with maps of their own", async () => {
    const dir = volume()
    const mounts = Array.from({ length: 12 }, (_, i) => {
      const map = [{ containerID: 0, hostID: 1000 + i, size: 1 }]
      return { ...bind(`/data${i}`, dir), uidMappings: map, gidMappings: map }
    })
    const expected = mounts.map((_, i) => `${1000 + i}`).join("\n")
    expect(await insideBundle("for i in $(seq 0 11); do stat -c %u /data$i/file; done", add(...mounts))).toBe(expected)
  })

  test("are bind mounts", async () => {
    const map = [{ containerID: 0, hostID: 1000, size: 1 }]
    expect(await refusal(add({ ...tmpfs("/x"), uidMappings: map, gidMappings: map }))).toContain(
      "mounts[8].uidMappings: only the ids of a bind mount can be mapped",
    )
  })
})
