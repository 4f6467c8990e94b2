import { afterAll, describe, expect, test } from "bun:test"
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseMounts } from "../helpers/container.ts"
import { type Config, config, insideBundle, refusal, runConfig, sharedRoot } from "../helpers/oci-bundle.ts"
import { ownLeftovers } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

afterAll(async () => expect(await ownLeftovers()).toEqual([]))
cleanUpAfterAll()

const mount =
  (destination: string, type: string, source: string, ...options: string[]) =>
  (config: Config) => {
    config.mounts.push({ destination, type, source, options })
  }
const bind = (destination: string, source: string, ...options: string[]) =>
  mount(destination, "bind", source, ...options)

async function mountLine(path: string, change: (config: Config) => void) {
  const lines = parseMounts(await insideBundle("cat /proc/self/mountinfo", change))
  const line = lines.find((each) => each.path === path)
  if (!line) throw new Error(`nothing is mounted on ${path}`)
  return line
}

const volume = () => {
  const dir = temporaryDirectory("volume")
  writeFileSync(join(dir, "file"), "content\n")
  return dir
}

describe("options", () => {
  test.each([
    ["ro", "relatime,ro"],
    ["nosuid", "nosuid,relatime"],
    ["nodev", "nodev,relatime"],
    ["noexec", "noexec,relatime"],
    ["noatime", "noatime"],
    ["nodiratime", "nodiratime,relatime"],
    ["strictatime", ""],
    ["norelatime", ""],
    ["nosymfollow", "nosymfollow,relatime"],
    ["rro", "relatime,ro"],
    ["rnosuid", "nosuid,relatime"],
    ["rnoatime", "noatime"],
    ["", "relatime"],
  ])("%s, on a bind mount and on a new file system", async (option, options) => {
    const change = (config: Config) => {
      bind("/volume", volume(), "rbind", option)(config)
      mount("/fresh", "tmpfs", "tmpfs", option)(config)
    }
    const lines = parseMounts(await insideBundle("cat /proc/self/mountinfo", change))
    for (const path of ["/volume", "/fresh"]) {
      expect([path, lines.find((line) => line.path === path)?.options]).toEqual([path, options])
    }
  })

  test("a later option takes back an earlier one", async () => {
    const line = await mountLine("/fresh", mount("/fresh", "tmpfs", "tmpfs", "ro", "nosuid", "noexec", "rw", "suid"))
    expect(line.options).toBe("noexec,relatime")
  })

  test("those of the file system, and sync, dirsync and lazytime", async () => {
    const line = await mountLine(
      "/fresh",
      mount("/fresh", "tmpfs", "x", "size=64k", "mode=700", "sync", "dirsync", "lazytime"),
    )
    expect(line.data.split(",")).toEqual(
      expect.arrayContaining(["rw", "sync", "dirsync", "lazytime", "size=64k", "mode=700"]),
    )
  })

  test("rro reaches what is mounted below, ro does not", async () => {
    const script =
      "for d in all one; do touch /$d/x || echo $d; touch /$d/dev/shm/x && rm /$d/dev/shm/x || echo $d below; done"
    const change = (config: Config) => {
      bind("/all", "/", "rbind", "rro")(config)
      bind("/one", "/", "rbind", "ro")(config)
      config.process.args = ["/bin/sh", "-c", `(${script}) 2>/dev/null`]
    }
    expect((await insideBundle(script, change)).split("\n")).toEqual(["all", "all below", "one"])
  })

  test("propagation", async () => {
    for (const [word, seen] of [
      ["rprivate", ""],
      ["rshared", "shared"],
      ["rslave", /^(master|)/],
      ["unbindable", "unbindable"],
    ] as const) {
      const { propagation } = await mountLine("/volume", bind("/volume", volume(), "bind", word))
      if (typeof seen === "string") expect([word, propagation.replace(/:.*/, "")]).toEqual([word, seen])
      else expect(propagation).toMatch(seen)
    }
  })

  test("a bind mount with options of a file system keeps those of its source, and says so", async () => {
    const value = config("cat /volume/file; grep ' /volume ' /proc/self/mountinfo")
    bind("/volume", volume(), "bind", "nosuid", "size=5m", "mode=700")(value)
    const { stdout, stderr, exitCode } = await runConfig(value)
    expect(stderr).toContain("mounts[8].options: size is of a file system")
    expect(stdout).toMatch(/^content\n.* \/volume .*nosuid/)
    expect(exitCode).toBe(0)
  })

  test("an option that the file system does not have is an error that names the mount", async () => {
    expect(await refusal(mount("/fresh", "tmpfs", "tmpfs", "nonsense=1"))).toContain("mount tmpfs on /fresh")
  })
})

describe("sources and destinations", () => {
  test("relative ones, missing types and sources, and a path through links that leave the root", async () => {
    const root = makeRoot({ files: { out: { symlink: "../../../../etc" }, "deep/link": { symlink: "/srv" } } })
    const change = (config: Config) => {
      config.mounts.push({ destination: "relative/../data", source: volume(), options: ["bind"] })
      config.mounts.push({ destination: "/deep/link/sub", type: "tmpfs" })
      config.mounts.push({ destination: "/out/sub", type: "tmpfs" })
    }
    const script = "cat /data/file; awk '{print $5}' /proc/self/mountinfo | grep sub"
    expect(await insideBundle(script, change, root)).toBe("content\n/srv/sub\n/etc/sub")
  })

  test("a source that is not there", async () => {
    expect(await refusal(bind("/x", "/nowhere", "bind"))).toContain(
      "config.json: mounts[8].source: /nowhere does not exist",
    )
  })

  test("what does not go together is refused", async () => {
    expect(await refusal(mount("/x", "tmpfs", "tmpfs", "idmap"))).toContain(
      "mounts[8].options: idmap is for bind mounts",
    )
    expect(await refusal(mount("/x", "proc", "proc", "tmpcopyup"))).toContain("mounts[8].options: tmpcopyup is for")
    expect(await refusal(bind("/x", "/etc", "bind", "tmpcopyup"))).toContain("mounts[8].options: tmpcopyup is for")
  })

  test("dest-nofollow covers a link instead of following it", async () => {
    const root = makeRoot({ files: { link: { symlink: "etc/passwd" } } })
    const change = bind("/link", join(volume(), "file"), "bind", "dest-nofollow")
    expect(await insideBundle("cat /link; grep -c root: /etc/passwd", change, root)).toBe("content\n1")
  })

  test("copy-symlink copies a link", async () => {
    const dir = volume()
    symlinkSync("file", join(dir, "link"))
    const change = (config: Config) => {
      bind("/copied", join(dir, "link"), "bind", "copy-symlink")(config)
      bind("/plain", join(dir, "file"), "bind", "copy-symlink")(config)
    }
    expect(await insideBundle("readlink /copied; cat /plain", change, makeRoot())).toBe("file\ncontent")
  })

  test("tmpcopyup begins with what the root has there", async () => {
    const root = makeRoot({ files: { "var/keep/sub/file": { content: "kept\n", mode: 0o640 } } })
    const change = mount("/var/keep", "tmpfs", "tmpfs", "tmpcopyup", "nosuid", "size=1m")
    const script =
      "cat /var/keep/sub/file; stat -c %a /var/keep/sub/file; echo new > /var/keep/sub/file; stat -f -c %T /var/keep"
    expect(await insideBundle(script, change, root)).toBe("kept\n640\ntmpfs")
    expect(readFileSync(join(root, "var/keep/sub/file"), "utf8")).toBe("kept\n")
  })

  test("a tmpfs that is told no mode has that of the directory it covers", async () => {
    const root = makeRoot({ directories: ["srv/closed", "srv/given"] })
    for (const name of ["closed", "given"]) chmodSync(join(root, "srv", name), 0o750)
    const dir = volume()
    mkdirSync(join(dir, "in"))
    chmodSync(join(dir, "in"), 0o2701)
    const change = (config: Config) => {
      mount("/srv/closed", "tmpfs", "tmpfs", "size=1m")(config)
      mount("/srv/closed/deeper", "tmpfs", "tmpfs")(config)
      mount("/srv/given", "tmpfs", "tmpfs", "mode=711")(config)
      mount("/srv/fresh", "tmpfs", "tmpfs")(config)
      bind("/volume", dir)(config)
      mount("/volume/in", "tmpfs", "tmpfs")(config)
    }
    const script = "stat -c %a /srv/closed /srv/closed/deeper /srv/given /srv/fresh /volume/in"
    expect((await insideBundle(script, change, root)).split("\n")).toEqual(["750", "1777", "711", "1777", "2701"])
  })

  test("a read-only tmpfs is so when what lies in it is made", async () => {
    const root = makeRoot({ files: { "srv/link": { symlink: "../var" }, "var/up/copied": "" } })
    const change = (config: Config) => {
      // As podman has it with --read-only-tmpfs=false.
      config.mounts.find(({ destination }: { destination: string }) => destination === "/dev").options.push("ro")
      mount("/srv/link/deep", "tmpfs", "tmpfs", "ro")(config)
      bind("/srv/link/deep/file", join(volume(), "file"))(config)
      mount("/srv/link/deep/under/it", "tmpfs", "tmpfs")(config)
      mount("/var/up", "tmpfs", "tmpfs", "ro", "tmpcopyup")(config)
      bind("/var/up/file", join(volume(), "file"))(config)
      mount("/covered", "tmpfs", "tmpfs", "ro")(config)
      mount("/covered", "tmpfs", "tmpfs")(config)
    }
    const script = [
      "cat /var/deep/file /var/up/file; ls /var/up; touch /var/deep/under/it/x /covered/x && echo written",
      "for path in /dev /var/deep /var/up; do touch $path/x 2>&1; done; echo x > /dev/null && test -e /dev/pts/ptmx && echo made",
    ]
    const readonly = (path: string) => `touch: ${path}/x: Read-only file system`
    expect((await insideBundle(script.join("\n"), change, root)).split("\n")).toEqual([
      ...["content", "content", "copied", "file", "written"],
      ...["/dev", "/var/deep", "/var/up"].map(readonly),
      "made",
    ])
  })

  test("nothing is made in the source of a read-only bind mount", async () => {
    const dir = volume()
    const change = (config: Config) => {
      bind("/volume", dir, "ro")(config)
      mount("/volume/missing", "tmpfs", "tmpfs")(config)
    }
    expect(await refusal(change)).toContain(
      "hint: the destination does not exist and cannot be made on a read-only mount",
    )
    expect(readdirSync(dir)).toEqual(["file"])
  })

  test("remount changes what is mounted there", async () => {
    const change = (config: Config) => {
      mount("/fresh", "tmpfs", "tmpfs", "size=64k")(config)
      config.mounts.push({ destination: "/fresh", options: ["remount", "ro", "noexec", "size=128k"] })
    }
    expect(await mountLine("/fresh", change)).toMatchObject({
      options: "noexec,relatime,ro",
      data: expect.stringContaining("size=128k"),
    })
  })

  test("an overlay whose options are longer than fsconfig(2) takes", async () => {
    const dir = temporaryDirectory("overlay")
    const lowers = Array.from({ length: 12 }, (_, i) => {
      const lower = join(dir, `a-rather-long-name-of-a-layer-${i}`)
      mkdirSync(lower)
      writeFileSync(join(lower, `file${i}`), "")
      return lower
    })
    const change = mount("/layers", "overlay", "overlay", `lowerdir=${lowers.join(":")}`, "nosuid")
    expect(await insideBundle("ls /layers | wc -l; grep -c ' /layers .*nosuid' /proc/mounts", change)).toBe("12\n1")
  })
})

test("idmapped mounts, with maps of their own and with the container's", async () => {
  const dir = volume()
  const map = [{ containerID: 0, hostID: 5000, size: 10 }]
  const change = (config: Config) => {
    config.mounts.push({
      destination: "/mapped",
      type: "bind",
      source: dir,
      options: ["bind", "idmap"],
      uidMappings: map,
      gidMappings: map,
    })
  }
  expect(await insideBundle("stat -c %u:%g /mapped/file", change)).toBe("5000:5000")
  const without = (config: Config) => bind("/mapped", dir, "bind", "ridmap")(config)
  expect(await refusal(without)).toContain("mounts[8].uidMappings: is missing")
})

describe("the root", () => {
  test("read-only", async () => {
    expect(
      await insideBundle("touch /x 2>/dev/null || echo no", (config) => {
        config.root.readonly = true
      }),
    ).toBe("no")
  })

  test.each([
    ["private", ""],
    ["shared", "shared"],
    ["rshared", "shared"],
    ["unbindable", "unbindable"],
    ["runbindable", "unbindable"],
  ])("rootfsPropagation %s", async (word, seen) => {
    const line = await mountLine("/", (config) => {
      config.linux.rootfsPropagation = word
    })
    expect(line.propagation.replace(/:.*/, "")).toBe(seen)
  })

  test("masked and read-only paths of any kind and place, and those that are not there", async () => {
    writeFileSync(join(sharedRoot(), "srv/secret"), "secret")
    const change = (config: Config) => {
      config.linux.maskedPaths.push("/srv/secret", "/home/alice", "/not/there", "/srv/secret/below")
      config.linux.readonlyPaths.push("/root", "/not/there")
    }
    const script =
      "wc -c < /srv/secret; ls /home/alice | wc -l; touch /home/alice/x /srv/secret /root/x 2>/dev/null || echo no; touch /tmp/x && echo yes"
    expect(await insideBundle(script, change)).toBe("0\n0\nno\nyes")
  })
})
