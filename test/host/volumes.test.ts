/** What the user mounts: -v, --mount, --tmpfs; how mounts travel; that the image is never written. */
import { describe, expect, test } from "bun:test"
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { hostMounts, inside, parseMounts, sh } from "../helpers/container.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** A directory of the host with a file, and a directory below with another. */
function source(): string {
  const dir = temporaryDirectory("source")
  writeFileSync(join(dir, "file"), "content\n")
  mkdirSync(join(dir, "below"))
  writeFileSync(join(dir, "below/deep"), "deep\n")
  return dir
}

const mountOn = async (path: string, run: readonly string[], options: { cwd?: string } = {}) =>
  parseMounts(await inside("cat /proc/self/mountinfo", { run, ...options })).filter((mount) => mount.path === path)

describe.skipIf(!isRoot)("-v", () => {
  test("a directory: what is written there stays", async () => {
    const dir = source()
    expect(await inside("cat /data/file; echo new > /data/new", { run: ["-v", `${dir}:/data`] })).toBe("content")
    expect(readFileSync(join(dir, "new"), "utf8")).toBe("new\n")
    expect((await mountOn("/data", ["-v", `${dir}:/data`]))[0]).toMatchObject({ options: "relatime", propagation: "" })
  })

  test("a file, also over one of the image", async () => {
    const dir = source()
    const run = ["-v", `${dir}/file:/etc/passwd`, "-v", `${dir}/file:/new/place/file`]
    expect(await inside("cat /etc/passwd /new/place/file; echo more >> /new/place/file", { run })).toBe(
      "content\ncontent",
    )
    expect(readFileSync(join(dir, "file"), "utf8")).toBe("content\nmore\n")
  })

  test(":ro covers what is mounted below, too", async () => {
    const dir = source()
    Bun.spawnSync(["mount", "-t", "tmpfs", "submount", join(dir, "below")])
    writeFileSync(join(dir, "below/inner"), "inner\n")
    const run = ["-v", `${dir}:/data:ro`]
    const { stdout, stderr } = await sh("cat /data/below/inner; touch /data/x; touch /data/below/x", { run })
    expect(stdout).toBe("inner\n")
    expect(stderr.match(/Read-only file system/g)).toHaveLength(2)
    expect(await inside("touch /data/x /data/below/x", { run: ["-v", `${dir}:/data`] })).toBe("")
    // A bind that is not recursive shows the directory below the mount.
    const alone = ["--mount", `type=bind,source=${dir},target=/data,bind-recursive=disabled`]
    expect(await inside("ls /data/below", { run: alone })).toBe("deep")
  })

  test("attributes", async () => {
    const dir = source()
    const [mount] = await mountOn("/data", ["-v", `${dir}:/data:nosuid,nodev,noexec,noatime,ro`])
    expect(mount?.options).toBe("noatime,nodev,noexec,nosuid,ro")
    const copy = join(dir, "busybox")
    Bun.spawnSync(["cp", "/bin/busybox", copy])
    expect((await sh("/data/busybox true", { run: ["-v", `${dir}:/data:noexec`] })).exitCode).toBe(126)
  })

  test("a relative source is of the directory that toybox is started in", async () => {
    const dir = source()
    expect(await inside("cat /a/deep", { run: ["-v", "./below:/a"], cwd: dir })).toBe("deep")
    expect(await inside("cat /a/file", { run: ["-v", "../:/a"], cwd: join(dir, "below") })).toBe("content")
    expect(await inside("cat /a/file", { run: ["-v", ".:/a/"], cwd: dir })).toBe("content")
    symlinkSync("below", join(dir, "link"))
    expect(await inside("cat /a/deep", { run: ["-v", "./link:/a"], cwd: dir })).toBe("deep")
  })

  test("nested ones, in either order; a missing mount point is made in a writable one only", async () => {
    const [outer, inner] = [source(), source()]
    writeFileSync(join(inner, "below/deep"), "inner\n")
    const run = ["-v", `${inner}/below:/data/below`, "-v", `${outer}:/data:ro`]
    expect(await inside("cat /data/file /data/below/deep; touch /data/below/x", { run })).toBe("content\ninner")
    const missing = ["-v", `${outer}:/data:ro`, "-v", `${inner}:/data/missing`]
    const { exitCode, stderr } = await sh("true", { run: missing })
    expect(exitCode).toBe(125)
    expect(stderr).toMatch(/cannot mount \S+ on \/data\/missing: .*EROFS\ntoybox: hint: /)
    expect(readdirSync(outer).sort()).toEqual(["below", "file"])
  })

  test("a mount takes the place of toybox's own ones there, and nothing is made in it", async () => {
    const dir = temporaryDirectory("run")
    expect(await inside("ls -A /run", { run: ["-v", `${dir}:/run`] })).toBe("")
    expect(readdirSync(dir)).toEqual([])
    expect(await inside("echo > /dev/null; ls /dev/null", { run: ["-v", "/dev:/dev"] })).toBe("/dev/null")
    expect(await inside("cat /etc/hosts", { run: ["-v", "/etc/hostname:/etc/hosts"] })).toBe(
      readFileSync("/etc/hostname", "utf8").trimEnd(),
    )
  })

  test.each([
    [["-v", "/none-such:/x"], "/none-such does not exist"],
    [["-v", "a/b:/x"], '"a/b" is neither a path of the host nor a name for a volume'],
    [["-v", "/tmp:x"], 'must be absolute, not "x"'],
    [["-v", "/tmp:/a/../"], "nothing can be mounted on the container's root"],
    [["-v", "/"], "nothing can be mounted on the container's root"],
    [["-v", "/tmp:/x:rw:z"], "is no volume"],
    [["-v", "/tmp:/x:bogus"], 'unknown option "bogus"'],
    [["-v", "/tmp:/proc"], "nothing can be mounted on /proc"],
    [["-v", "/tmp:/x", "--tmpfs", "/x/"], "two mounts have the same destination /x"],
    [["--mount", "type=bind,target=/x"], "has no source"],
    [["--mount", "type=npipe,target=/x"], 'unknown type "npipe"'],
    [["--mount", "type=tmpfs,target=/x,source=/tmp"], 'unknown field "source"'],
    [["--tmpfs", "/x:size=big"], '"big" is not a size'],
    [["--tmpfs", "/x:bogus"], 'unknown tmpfs option "bogus"'],
  ])("refused: %p", async (run, message) => {
    const { stderr, exitCode } = await sh("true", { run })
    expect(stderr).toContain(message)
    expect(exitCode).toBe(125)
  })

  test("a directory on a file, and a file on a directory, are refused by name", async () => {
    const dir = source()
    const root = makeRoot({ files: { "/a-file": "" }, directories: ["a-directory"] })
    const onFile = await sh("true", { image: root, run: ["-v", `${dir}:/a-file`] })
    expect(onFile.stderr).toContain(`cannot mount ${dir} on /a-file: `)
    expect(onFile.stderr).toContain("hint: a directory cannot be mounted on a file, nor below it")
    const onDirectory = await sh("true", { image: root, run: ["-v", `${dir}/file:/a-directory`] })
    expect(onDirectory.stderr).toContain(`cannot mount ${dir}/file on /a-directory: `)
    expect([onFile.exitCode, onDirectory.exitCode]).toEqual([125, 125])
  })
})

describe.skipIf(!isRoot)("--mount and --tmpfs", () => {
  test("type=bind, with docker's names", async () => {
    const dir = source()
    const [mount] = await mountOn("/x", ["--mount", `type=bind,src=${dir},dst=/x,readonly,bind-propagation=rslave`])
    expect(mount?.options).toBe("relatime,ro")
    expect(await inside("cat /x:y", { run: ["--mount", `source=${dir}/file,target=/x:y`] })).toBe("content")
  })

  test("type=tmpfs and --tmpfs, with options", async () => {
    const first = await mountOn("/x", ["--mount", "type=tmpfs,target=/x,tmpfs-size=1m,tmpfs-mode=700"])
    expect(first).toMatchObject([
      { type: "tmpfs", options: "nodev,noexec,nosuid,relatime", data: "rw,size=1024k,mode=700" },
    ])
    const second = await mountOn("/y/z", ["--tmpfs", "/y/z:size=2m,mode=1770,uid=5,gid=6,exec,ro"])
    expect(second).toMatchObject([{ options: "nodev,nosuid,relatime,ro", data: "rw,size=2048k,mode=1770,uid=5,gid=6" }])
    expect(await inside("stat -c %a /x; touch /x/y", { run: ["--tmpfs", "/x"] })).toBe("1777")
  })

  test("a tmpfs goes with the container, and takes the place of a directory of the image", async () => {
    const root = makeRoot({ files: { "/srv/data": "data" } })
    const run = ["--read-only", "--tmpfs", "/srv"]
    expect(await inside("ls /srv; echo x > /srv/x; cat /srv/x", { image: root, run })).toBe("x")
    expect(readdirSync(join(root, "srv"))).toEqual(["data"])
  })
})

describe.skipIf(!isRoot)("propagation", () => {
  /** Runs a container that waits with a volume; `act` mounts on the host in between. */
  async function whileMounted(word: string, act: (dir: string) => void, script: string) {
    const dir = temporaryDirectory(`shared`)
    Bun.spawnSync(["mount", "--bind", dir, dir])
    Bun.spawnSync(["mount", "--make-shared", dir])
    mkdirSync(join(dir, "sub"))
    const args = [
      "-i",
      "-v",
      `${dir}:/data:${word}`,
      "--cap-add",
      "SYS_ADMIN",
      "base",
      "sh",
      "-c",
      `echo up; read x; ${script}`,
    ]
    const running = await startToybox(["run", "--rm", ...args])
    await running.waitFor("up")
    act(dir)
    running.stdin.write("\n")
    const { stdout } = await running.wait()
    return { dir, stdout: stdout.replace("up\n", "") }
  }
  const mountThere = (dir: string) => {
    Bun.spawnSync(["mount", "-t", "tmpfs", "later", join(dir, "sub")])
    writeFileSync(join(dir, "sub/inner"), "")
  }

  test("of a private volume: none in either direction", async () => {
    const { dir, stdout } = await whileMounted(
      "rprivate",
      mountThere,
      "ls /data/sub; mount -t tmpfs mine /data; echo done",
    )
    expect(stdout).toBe("done\n")
    expect(
      hostMounts()
        .filter(({ path }) => path.startsWith(dir))
        .map(({ source }) => source),
    ).not.toContain("mine")
  })

  test("rslave: the host's later mounts come in", async () => {
    const { stdout } = await whileMounted("rslave", mountThere, "ls /data/sub")
    expect(stdout).toBe("inner\n")
  })

  test("rshared: the container's mounts get out", async () => {
    const script = "mount -t tmpfs outward /data/sub && grep -c outward /proc/mounts"
    const { dir, stdout } = await whileMounted("rshared", () => undefined, script)
    expect(stdout).toBe("1\n")
    expect(
      hostMounts()
        .filter(({ path }) => path === join(dir, "sub"))
        .map(({ source }) => source),
    ).toEqual(["outward"])
  })
})

describe.skipIf(!isRoot)("a root that is not writable or not the usual", () => {
  test("a root given by a relative path and by a symlink", async () => {
    const root = makeRoot({ files: { "/marker": "here" } })
    const { stdout } = await toybox(["run", "--rm", `./${root.split("/").at(-1)}`, "cat", "/marker"], {
      cwd: join(root, ".."),
    })
    expect(stdout).toBe("here")
    symlinkSync(root, join(temporaryDirectory("links"), "link"))
  })

  test("paths with a colon, a comma, a blank, a backslash and a newline", async () => {
    const root = makeRoot({ dir: temporaryDirectory("a:b,c d\ne\\"), files: { "/marker": "here" } })
    expect(await inside("cat /marker", { image: root, run: ["-v", "./etc:/d e,"], cwd: root })).toBe("here")
  })

  test("mode and owner of the root are the image's", async () => {
    const root = makeRoot()
    Bun.spawnSync(["chown", "12:34", root])
    Bun.spawnSync(["chmod", "0751", root])
    expect(await inside("stat -c '%a %u:%g' /", { image: root })).toBe("751 12:34")
    expect(statSync(root).mode & 0o7777).toBe(0o751)
  })
})

describe.skipIf(!isRoot)("what the root's own links lead to", () => {
  test("/proc is not mounted over: CVE-2019-16884", async () => {
    const links = { data: "/proc", deep: "proc/sys/kernel", back: "etc/../proc/1", "srv/run": "/proc/sys" }
    const files = Object.fromEntries(Object.entries(links).map(([name, symlink]) => [`/${name}`, { symlink }]))
    const image = makeRoot({ files: { ...files, "/away": { symlink: "/var" } } })
    const dir = source()
    for (const [name, options] of [
      ["data", ["-v", `${dir}:/data`]],
      ["data", ["-v", "named:/data"]],
      ["data", ["--tmpfs", "/data"]],
      ["deep", ["-v", `${dir}:/deep`]],
      ["back/ns", ["-v", `${dir}:/back/ns`]],
      ["srv/run", ["--mount", `type=tmpfs,destination=/srv/run`]],
      ["data/cpuinfo", ["-v", `${dir}/file:/data/cpuinfo`]],
    ] as const) {
      const told = await sh("echo it ran", { image, run: [...options] })
      expect(told).toMatchObject({ exitCode: 125, stdout: "" })
      expect(told.stderr).toMatch(new RegExp(`on /${name}: links of the root lead from there to its /proc\\n`))
    }
    await toybox(["volume", "rm", "named"])
    // Elsewhere they lead where they lead, also below what is mounted; a procfs that is not the container's own is nothing special.
    const run = ["-v", `${dir}:/away/new`, "--tmpfs", "/var/new/below", "-v", `${dir}/file:/away/new/below/file`]
    expect(await inside("cat /var/new/file /var/new/below/file", { image, run })).toBe("content\ncontent")
    const given = ["-v", "/proc:/host", "-v", `${dir}/file:/host/uptime`, "-v", `${dir}/file:/proc/uptime`]
    expect(await inside("cat /host/uptime /proc/uptime", { image, run: given })).toBe("content\ncontent")
  }, 20_000)
})
