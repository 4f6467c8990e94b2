/** toybox commit and import: images made here, as others read them. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { call } from "../../ffi/call.ts"
import { runtimeLink } from "../engine/engine.ts"
import { listing } from "../helpers/listing.ts"
import { tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { dockerArchive } from "../helpers/saved.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, succeed, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

function run(...cmd: string[]): string {
  const { exitCode, stderr, stdout } = Bun.spawnSync(cmd, { timeout: 60_000 })
  if (exitCode !== 0) throw new Error(`${cmd.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.toString().trimEnd()
}

const inspect = async (what: string) => JSON.parse(await succeed(["inspect", what]))[0]

/** An image of the store, unpacked by umoci. */
async function unpacked(image: string): Promise<string> {
  const dir = temporaryDirectory("unpacked")
  await succeed(["save", "-q", "--format", "oci-archive", "-o", join(dir, "image.tar"), image])
  mkdirSync(join(dir, "layout"))
  run(
    "skopeo",
    "--insecure-policy",
    "copy",
    "-q",
    `oci-archive:${join(dir, "image.tar")}`,
    `oci:${join(dir, "layout")}:x`,
  )
  run("umoci", "unpack", "--image", `${join(dir, "layout")}:x`, join(dir, "bundle"))
  return join(dir, "bundle/rootfs")
}

/** The root of a container, unpacked by GNU tar. */
async function exported(container: string): Promise<string> {
  const dir = temporaryDirectory("exported")
  chmodSync(dir, 0o755)
  await succeed(["export", "-q", "-o", join(dir, "root.tar"), container])
  mkdirSync(join(dir, "root"))
  run(
    "tar",
    "-C",
    join(dir, "root"),
    "--xattrs",
    "--xattrs-include=*",
    "--numeric-owner",
    "-xpf",
    join(dir, "root.tar"),
  )
  return join(dir, "root")
}

/** Without what toybox has made to mount on, which is not the container's. */
const OURS = /^"(\.|dev|proc|sys|run|etc|etc\/(hosts|hostname|resolv\.conf))"/
const filesOf = (root: string) => listing(root, { times: true }).filter((line) => !OURS.test(line))

describe.skipIf(!isRoot)("toybox commit", () => {
  const config = { Entrypoint: ["/bin/sh", "-c"], Cmd: ["true"], Env: ["PATH=/bin", "A=1"], Labels: { of: "image" } }

  beforeAll(async () => {
    const base = makeRoot({
      files: { "srv/kept": "kept\n", "srv/changed": "old\n", "srv/deleted": "x", "old/a": "a", "old/b": "b" },
    })
    run(
      "sh",
      "-c",
      `cd ${base} && mkdir -p gone/inner && echo x > gone/inner/file && chmod 1770 old && chown 12:34 srv/kept`,
    )
    const more = makeRoot({ files: { "srv/second": "second\n" } })
    const file = join(temporaryDirectory("image"), "image.tar")
    const layers = [tarOf(base), tarOf(more)]
    writeFileSync(file, dockerArchive([{ layers, tags: ["based:1"], config }]))
    await succeed(["load", "-q", "-i", file])
  })

  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  afterAll(async () => {
    await toybox(["rmi", "--all", "--force"])
    expect(readdirSync(join(stateRoot(), "images/layers/sha256"))).toEqual([])
  })

  const SCRIPT = `
    echo new > /srv/new; echo more >> /srv/changed; rm /srv/deleted; rm -r /gone
    rm -r /old; mkdir /old; echo again > /old/c; chmod 751 /old
    ln /srv/new /srv/hard; ln -s new /srv/soft; mkfifo /srv/fifo; mknod /srv/device c 1 3
    cp /bin/busybox /srv/suid; chmod 4755 /srv/suid; chown 5:6 /srv/second
    mkdir -p /deep/$(printf 'd%.0s' $(seq 120)); echo é > /deep/utf-é; truncate -s 2M /srv/sparse
    touch -d '2001-02-03 04:05:06' /srv/changed`

  test("has the files of the container, for toybox and for umoci", async () => {
    await succeed(ownRun("--name", "changed", "based:1", SCRIPT))
    const { Id } = await inspect("changed")
    const upper = join(stateRoot(), "containers", Id, "upper")
    call("lsetxattr", join(upper, "srv/new"), "user.note", Buffer.from("kept"), 4, 0)
    call(
      "lsetxattr",
      join(upper, "srv/suid"),
      "security.capability",
      Buffer.from("0100000200200000000000000000000000000000", "hex"),
      20,
      0,
    )
    const id = await succeed(["commit", "-q", "-a", "Somebody", "-m", "what was done", "changed", "made:1"])
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/)
    const expected = filesOf(await exported("changed"))
    expect(expected.join("\n")).toContain("sparse")
    expect(filesOf(await unpacked("made:1"))).toEqual(expected)
    await succeed(ownRun("--name", "again", "made:1", "true"))
    expect(filesOf(await exported("again"))).toEqual(expected)
    // What toybox itself has put there is no part of the layer.
    const layer = (await inspect("made:1")).RootFS.Layers.length
    expect(layer).toBe(3)
    for (const attribute of ["user.note", "security.capability"]) expect(expected.join("\n")).toContain(attribute)
    expect(expected.join("\n")).not.toContain("trusted.overlay")
    expect(
      await succeed(ownRun("--rm", "made:1", "cat /srv/new /srv/changed /old/c; ls /old /srv/deleted 2>&1 | xargs")),
    ).toBe("new\nold\nmore\nagain\nls: /srv/deleted: No such file or directory /old: c")
  }, 60_000)

  test("has directories of which times or attributes alone have changed, as docker has them", async () => {
    const touched = "touch -d '2001-02-03 04:05:06' /old; touch /srv/x; rm /srv/x; chmod 700 /gone; chmod 755 /gone"
    await succeed(ownRun("--name", "touched", "-v", "/dev/null:/etc/of/mount", "based:1", touched))
    const { Id } = await inspect("touched")
    const upper = join(stateRoot(), "containers", Id, "upper")
    call("lsetxattr", join(upper, "gone"), "user.note", Buffer.from("kept"), 4, 0)
    await succeed(["commit", "-q", "touched", "made:touched"])
    const dir = temporaryDirectory("layer")
    await succeed(["save", "-q", "-o", join(dir, "image.tar"), "made:touched"])
    run("tar", "-C", dir, "-xf", join(dir, "image.tar"))
    const [{ Layers }] = JSON.parse(readFileSync(join(dir, "manifest.json"), "utf8"))
    const names = run("tar", "-tf", join(dir, Layers.at(-1))).split("\n")
    expect(names.sort()).toEqual(["./", "gone/", "old/", "srv/"])
    expect(await succeed(ownRun("--rm", "made:touched", "stat -c %Y /old"))).toBe("981173106")
    expect(await succeed(["diff", "touched"])).toBe("")
  }, 60_000)

  test("is run by podman, and skopeo has the same id of it", async () => {
    await succeed(ownRun("--name", "changed", "based:1", "echo new > /srv/new; rm /srv/deleted"))
    const id = await succeed(["commit", "-q", "changed", "example.org/made:2"])
    const dir = temporaryDirectory("podman")
    const file = join(dir, "image.tar")
    await succeed(["save", "-q", "-o", file, "example.org/made:2"])
    run("skopeo", "--insecure-policy", "copy", "-q", `docker-archive:${file}`, `dir:${join(dir, "copy")}`)
    expect(JSON.parse(readFileSync(join(dir, "copy/manifest.json"), "utf8")).config.digest).toBe(id)
    const podman = (...words: string[]) =>
      run(
        "podman",
        "--root",
        join(dir, "root"),
        "--runroot",
        join(dir, "run"),
        "--tmpdir",
        join(dir, "tmp"),
        "--storage-driver",
        "vfs",
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "file",
        "--runtime",
        runtimeLink(),
        ...words,
      )
    podman("load", "-q", "-i", file)
    const limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--network", "none"]
    expect(podman("run", "--rm", ...limits, "example.org/made:2", "cat /srv/new; ls /srv | xargs")).toBe(
      "new\nchanged kept new second",
    )
    podman("rmi", "--all", "--force")
  }, 60_000)

  test("has the config of the container, and what is changed of it", async () => {
    await succeed(
      ownRun("--name", "told", "-e", "A=2", "-e", "B=3", "-w", "/srv", "-u", "12", "--label", "x=y", "based:1", "pwd"),
    )
    await succeed([
      "commit",
      "-q",
      "-a",
      "Somebody",
      "-m",
      "a word",
      "--change",
      "EXPOSE 80",
      "-c",
      "ENV C=4",
      "told",
      "told:1",
    ])
    const { Config, Author, Architecture, Parent } = await inspect("told:1")
    const based = await inspect("based:1")
    expect([Parent, based.Parent]).toEqual([based.Id, ""])
    expect(Config).toMatchObject({
      Entrypoint: ["/bin/sh", "-c"],
      Cmd: ["pwd"],
      Env: ["PATH=/bin", "A=2", "B=3", "C=4"],
      WorkingDir: "/srv",
      User: "12",
      Labels: { of: "image", x: "y" },
      ExposedPorts: { "80/tcp": {} },
    })
    expect([Author, Architecture]).toEqual(["Somebody", process.arch === "x64" ? "amd64" : "arm64"])
    expect(await succeed(ownRun("--rm", "told:1"))).toBe("/srv")
    await succeed(["commit", "-q", "told", "further:1"])
    expect((await inspect("further:1")).Parent).toBe(based.Id)
    expect(await succeed(["history", "told:1"])).toContain("a word")
    const steps = (await succeed(["history", "--json", "told:1"])).split("\n").map((step) => JSON.parse(step))
    // Of the layers below nothing was told.
    expect(steps.map(({ author }) => author)).toEqual(["Somebody", undefined, undefined])
    await succeed(ownRun("--name", "other", "--entrypoint", "/bin/echo", "based:1", "a", "b"))
    await succeed(["commit", "-q", "other", "other:1"])
    expect((await inspect("other:1")).Config).toMatchObject({ Entrypoint: ["/bin/echo"], Cmd: ["a", "b"] })
    expect((await inspect("other")).Config).toMatchObject({ Entrypoint: ["/bin/echo"], Cmd: ["a", "b"] })
    for (const [words, message] of [
      [["commit"], "commit takes a container"],
      [["commit", "nothere"], "no such container"],
      [["commit", "--change", "RUN ls", "other"], "no instruction"],
      [["commit", "other", "UPPER"], "UPPER"],
    ] as const) {
      const { exitCode, stderr } = await toybox([...words])
      expect(exitCode).toBe(125)
      expect(stderr).toContain(message)
    }
  })

  test("has what was asked of ports, volumes and health, and of what the image says to those who build on it the shell alone, as docker has it", async () => {
    const file = join(temporaryDirectory("image"), "image.tar")
    const Healthcheck = { Test: ["CMD-SHELL", "true"], Interval: 5e9 }
    const told = { Cmd: ["sleep", "100"], ExposedPorts: { "1/tcp": {} }, Volumes: { "/own": {} }, Healthcheck }
    const builders = { OnBuild: ["RUN make"], Shell: ["/bin/bash", "-c"] }
    const layers = [tarOf(makeRoot({}))]
    writeFileSync(file, dockerArchive([{ layers, tags: ["rich:1"], config: { ...told, ...builders } }]))
    await succeed(["load", "-q", "-i", file])
    const asked = ["--expose", "80", "--expose", "5000-5001/udp", "-v", "/data", "-v", "named:/n"]
    await succeed(["create", "--name", "asked", ...asked, "--health-cmd", "test -e /x", "rich:1"])
    await succeed(["commit", "-q", "-c", "ONBUILD COPY a b", "asked", "rich:2"])
    expect((await inspect("rich:2")).Config).toMatchObject({
      ExposedPorts: Object.fromEntries(["1/tcp", "80/tcp", "5000/udp", "5001/udp"].map((port) => [port, {}])),
      Volumes: { "/own": {}, "/data": {} },
      Healthcheck: { Test: ["CMD", "/bin/sh", "-c", "test -e /x"], Interval: 5e9, Retries: 3 },
      OnBuild: ["COPY a b"],
      Shell: builders.Shell,
    })
    await succeed(ownRun("--net", "none", "-d", "--no-healthcheck", "--name", "unasked", "rich:1"))
    await succeed(["commit", "-q", "unasked", "rich:3"])
    expect((await inspect("rich:3")).Config).toMatchObject({ Healthcheck: { Test: ["NONE"] } })
    await succeed(ownRun("--net", "none", "--name", "foreground", "rich:1", "true"))
    await succeed(["commit", "-q", "foreground", "rich:4"])
    expect((await inspect("rich:4")).Config).toMatchObject({ Healthcheck })
    await toybox(["rm", "--all", "--force"])
    await succeed(["volume", "prune", "-a", "-f"])
  })

  test("has no file of the container for a whiteout", async () => {
    const make = "touch /srv/.wh.kept /srv/.wh..wh..opq; echo x > /srv/one; ln /srv/one /srv/.wh.one; ls /srv"
    await succeed(ownRun("--name", "marks", "based:1", make))
    const { stderr } = await toybox(["commit", "-q", "marks", "marks:1"])
    expect(stderr).toContain(`"srv/.wh.kept" is left out`)
    const left = "changed\ndeleted\nkept\none\nsecond"
    expect(await succeed(ownRun("--rm", "marks:1", "ls -A /srv"))).toBe(left)
    await succeed(ownRun("--name", "whole", "base", "sh", "-c", "touch /etc/.wh.passwd"))
    await succeed(["commit", "-q", "whole", "whole:1"])
    expect(await succeed(ownRun("--rm", "whole:1", "ls", "/etc/passwd"))).toBe("/etc/passwd")
    expect(await succeed(["export", "whole"])).toContain("etc/.wh.passwd")
  })

  test("is the same image each time, with SOURCE_DATE_EPOCH", async () => {
    await succeed(ownRun("--name", "same", "based:1", "echo x > /srv/x; echo y > /srv/y"))
    const env = { SOURCE_DATE_EPOCH: "1000000000" }
    const first = await succeed(["commit", "-q", "same"], { env })
    const second = await succeed(["commit", "-q", "same"], { env })
    expect(second).toBe(first)
    expect((await inspect(first)).Created).toBe("2001-09-09T01:46:40.000Z")
    const late = listing(await unpacked(first), { times: true }).filter((line) => /srv\/[xy]/.test(line))
    expect(late).toHaveLength(2)
    expect(await succeed(["commit", "-q", "same"])).not.toBe(first)
  })

  test("of one that runs, which stands still meanwhile and goes on", async () => {
    await succeed(ownRun("-d", "--name", "lives", "based:1", "while :; do echo x >> /srv/log; sleep 0.02; done"))
    await succeed(["commit", "-q", "lives", "lives:1"])
    const size = async () =>
      Number(await succeed(["exec", "lives", "wc", "-c", "/srv/log"]).then((text) => text.split(" ")[0]))
    const before = await size()
    for (const end = performance.now() + 10_000; (await size()) === before; await Bun.sleep(50))
      if (performance.now() > end) throw new Error("it does not go on")
    await succeed(["pause", "lives"])
    await succeed(["commit", "-q", "lives", "lives:2"])
    expect(await succeed(["ps", "--format", "{{.State}}"])).toBe("paused")
    await succeed(["unpause", "lives"])
    await succeed(["commit", "-q", "--pause=false", "lives", "lives:3"])
  })

  test("whose container goes on, or ends, by somebody else's will meanwhile is made all the same", async () => {
    const big = "head -c 200000000 /dev/urandom > /srv/big; echo ready; while :; do sleep 1; done"
    const state = async () => succeed(["ps", "--all", "--filter", "name=^stands$", "--format", "{{.State}}"])
    const committing = async () => {
      const commit = await startToybox(["commit", "-q", "stands", "stands:1"])
      for (const end = performance.now() + 10_000; (await state()) !== "paused"; await Bun.sleep(5))
        if (performance.now() > end) throw new Error("it is not paused")
      return commit
    }
    await succeed(ownRun("-d", "--name", "stands", "based:1", big))
    const written = async () => (await toybox(["logs", "stands"])).stdout
    for (const end = performance.now() + 20_000; (await written()) === ""; await Bun.sleep(20))
      if (performance.now() > end) throw new Error("it is not ready")
    // Killed: the next command lets it go on; but none that somebody has paused himself.
    const killed = await committing()
    killed.kill("SIGKILL")
    await killed.wait()
    expect(await state()).toBe("running")
    await succeed(["pause", "stands"])
    expect(await state()).toBe("paused")
    await succeed(["unpause", "stands"])
    for (const end of ["unpause", "kill"]) {
      const commit = await committing()
      await succeed([end, "stands"])
      expect(await commit.wait()).toMatchObject({ stderr: "", exitCode: 0 })
    }
    expect(readdirSync(join(stateRoot(), "run/running")).filter((name) => name.startsWith("."))).toEqual([])
  }, 60_000)

  test("of a directory is all of it, in one layer", async () => {
    await succeed(ownRun("--name", "plain", "base", "sh", "-c", "echo mine > /srv/mine"))
    await succeed(["commit", "-q", "plain", "plain:1"])
    expect((await inspect("plain:1")).RootFS.Layers).toHaveLength(1)
    expect(await succeed(ownRun("--rm", "plain:1", "cat", "/srv/mine"))).toBe("mine")
    // The image goes, the container stays: all that it needs is in its own layers.
    await succeed(ownRun("--name", "orphan", "plain:1", "sh", "-c", "echo two > /srv/two"))
    await succeed(["rmi", "--force", "plain:1"])
    await succeed(["commit", "-q", "orphan", "orphan:1"])
    expect(await succeed(ownRun("--rm", "orphan:1", "cat", "/srv/mine", "/srv/two"))).toBe("mine\ntwo")
  })

  test("of one that was never started: nothing is changed yet", async () => {
    await succeed(["create", "--name", "fresh", "based:1", "cat /srv/kept"])
    expect(filesOf(await exported("fresh"))).toEqual(filesOf(await unpacked("based:1")))
    await succeed(["commit", "-q", "fresh", "fresh:1"])
    const { RootFS, Config } = await inspect("fresh:1")
    expect(RootFS.Layers).toEqual([
      ...(await inspect("based:1")).RootFS.Layers,
      // An archive without entries.
      "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
    ])
    expect(Config.Cmd).toEqual(["cat /srv/kept"])
    expect(await succeed(ownRun("--rm", "fresh:1"))).toBe("kept")
    await succeed(["create", "--name", "plain", "base", "true"])
    await succeed(["commit", "-q", "plain", "plain:1"])
    expect(await succeed(ownRun("--rm", "plain:1", "echo", "whole"))).toBe("whole")
  })

  test("one that is killed leaves nothing that the next does not remove", async () => {
    await succeed(ownRun("--name", "big", "based:1", "head -c 60000000 /dev/urandom > /srv/big"))
    for (const wait of [30, 80, 150]) {
      const committing = await startToybox(["commit", "-q", "big", "big:1"])
      await Bun.sleep(wait)
      try {
        committing.kill("SIGKILL")
      } catch {
        // It was done already.
      }
      await committing.wait()
    }
    await succeed(["commit", "-q", "big", "big:1"])
    expect(readdirSync(join(stateRoot(), "images/layers/new"))).toEqual([])
    expect(await succeed(ownRun("--rm", "big:1", "wc -c < /srv/big"))).toBe("60000000")
  })

  test("of a container that is removed meanwhile there is none, unless all was read before", async () => {
    await succeed(ownRun("--name", "seed", "base", "true"))
    await succeed(["commit", "-q", "seed", "seed:1"])
    for (const rm of [[], ["--rm"]]) {
      const script =
        "mkdir /many; i=0; while [ $i -lt 2000 ]; do echo $i > /many/$i; i=$((i+1)); done; echo ready; sleep 1000"
      const running = await startToybox(ownRun(...rm, "--name", "goes", "seed:1", "sh", "-c", script))
      await running.waitFor("ready")
      const commit = await startToybox(["commit", "-q", "--pause=false", "goes", "partly:1"])
      const workspace = join(stateRoot(), "images/layers/new")
      for (let tries = 0; tries < 2000 && readdirSync(workspace).length === 0; tries++) await Bun.sleep(1)
      await succeed(["rm", "--force", "goes"])
      const { exitCode, stderr } = await commit.wait()
      if (exitCode === 0) expect(await succeed(ownRun("--rm", "partly:1", "sh", "-c", "ls /many | wc -l"))).toBe("2000")
      else expect(stderr).toContain("was removed while it was read")
      await running.wait()
    }
  }, 60_000)
})

describe.skipIf(!isRoot)("toybox import", () => {
  const tree = makeRoot({ files: { "srv/file": "imported\n" } })

  afterAll(async () => {
    await toybox(["rmi", "--all", "--force"])
  })

  test.each([
    ["plain", (bytes: Uint8Array) => bytes],
    ["gzip", (bytes: Uint8Array) => gzipSync(bytes)],
    ["zstd", (bytes: Uint8Array) => Bun.zstdCompressSync(bytes)],
  ])("a file, %s", async (name, compress) => {
    const file = join(temporaryDirectory("import"), `root-${name}.tar`)
    writeFileSync(file, compress(tarOf(tree)))
    const untarred = temporaryDirectory("untarred")
    writeFileSync(`${file}.plain`, tarOf(tree))
    run("tar", "-C", untarred, "--numeric-owner", "-xpf", `${file}.plain`)
    const id = await succeed([
      "import",
      "-q",
      "--change",
      'CMD ["cat", "/srv/file"]',
      "-m",
      "by hand",
      file,
      `in/${name}:1`,
    ])
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(await succeed(ownRun("--rm", `in/${name}:1`))).toBe("imported")
    expect(await succeed(["history", `in/${name}:1`])).toContain("by hand")
    expect(filesOf(await unpacked(`in/${name}:1`))).toEqual(filesOf(untarred))
  })

  test("standard input, an address; without a name; for another platform", async () => {
    const bytes = tarOf(tree)
    const id = await succeed(["import", "-q", "-"], { stdin: bytes })
    expect(await succeed(ownRun("--rm", id.slice(7, 19), "cat", "/srv/file"))).toBe("imported")
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(bytes) })
    try {
      await succeed([
        "import",
        "-q",
        "--platform",
        "linux/arm64",
        `http://127.0.0.1:${server.port}/root.tar`,
        "from/address",
      ])
    } finally {
      await server.stop(true)
    }
    expect(await inspect("from/address")).toMatchObject({ Architecture: "arm64", RepoTags: ["from/address:latest"] })
    const env = { SOURCE_DATE_EPOCH: "1000000000" }
    const same = await Promise.all([1, 2].map(() => succeed(["import", "-q", "-"], { stdin: bytes, env })))
    expect(same[0]).toBe(same[1] ?? "")
  })

  test("tells how to read what is compressed otherwise", async () => {
    const file = join(temporaryDirectory("import"), "root.tar.xz")
    writeFileSync(file, Buffer.from("fd377a585a000004", "hex"))
    const { stderr } = await toybox(["import", file])
    expect(stderr).toContain("root.tar.xz is compressed with xz; gzip, zstd and no compression are known")
    expect(stderr).toContain("hint: decompress it first: xz -dc")
  })

  test("refuses what is none, and leaves nothing", async () => {
    const file = join(temporaryDirectory("import"), "no.tar")
    writeFileSync(file, "this is no archive, however long one looks at it\n".repeat(100))
    const before = await succeed(["images", "-q"])
    for (const [words, message] of [
      [["import", file], "no.tar"],
      [["import", "/nothere.tar"], "cannot read /nothere.tar: there is no such file"],
      [["import", "--change", "RUN x", file], "no instruction"],
      [["import", "--platform", "linux/arm64/v8/x", file], "--platform"],
      [["import"], "import takes an archive"],
      [["import", file, "a", "b"], "import takes an archive"],
    ] as const) {
      const { exitCode, stderr } = await toybox([...words])
      expect({ words, exitCode }).toEqual({ words, exitCode: 125 })
      expect(stderr).toContain(message)
    }
    expect(await succeed(["images", "-q"])).toBe(before)
    expect(
      existsSync(join(stateRoot(), "images/layers/new")) && readdirSync(join(stateRoot(), "images/layers/new")),
    ).toEqual([])
  })
})
