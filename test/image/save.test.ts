/** toybox save, load and tag: what was pulled comes out as it was, for skopeo and for toybox itself. */
import { beforeAll, describe, expect, test } from "bun:test"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { call } from "../../ffi/call.ts"
import { toyboxBinary } from "../helpers/binary.ts"
import { type TestDescriptor, TestLayout, tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { type RunningToybox, startToybox, toybox, toyboxBytes } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

function run(...cmd: string[]): string {
  const { exitCode, stderr, stdout } = Bun.spawnSync(cmd, { timeout: 60_000 })
  if (exitCode !== 0) throw new Error(`${cmd.join(" ")}: ${stderr}`)
  return stdout.toString().trimEnd()
}

/** A tree with what programs write differently. */
function oddTree(): string {
  const dir = temporaryDirectory("odd")
  chmodSync(dir, 0o755)
  mkdirSync(join(dir, `opt/${"d".repeat(120)}`), { recursive: true })
  for (const name of ["plain", "x".repeat(150), "utf-é", `opt/${"d".repeat(120)}/deep`])
    writeFileSync(join(dir, name), name.repeat(40))
  symlinkSync("t".repeat(120), join(dir, "opt/link"))
  call("lsetxattr", join(dir, "plain"), "user.note", Buffer.from("kept"), 4, 0)
  run("truncate", "-s", "3M", join(dir, "opt/sparse"))
  run("ln", join(dir, "plain"), join(dir, "opt/hard"))
  run("touch", "-d", "2001-02-03 04:05:06.789", join(dir, "plain"))
  return dir
}

/** The same tree as layers of several programs. */
function oddLayers(): Uint8Array[] {
  const dir = oddTree()
  const bsd = Bun.spawnSync(["bsdtar", "-C", dir, "--format", "pax", "-cf", "-", "."])
  return [
    tarOf(dir, "--format=pax", "--xattrs", "--sparse"),
    tarOf(dir, "--format=gnu", "--sparse", "--blocking-factor=40"),
    tarOf(dir, "--format=ustar", "--exclude=*ddd*", "--exclude=*xxx*", "--exclude=*link"),
    new Uint8Array(bsd.stdout),
  ]
}

function killed(running: RunningToybox): void {
  try {
    running.kill("SIGKILL")
  } catch {
    // It was done already.
  }
}

const layout = new TestLayout()
let gzip: TestDescriptor
let zstd: TestDescriptor
let goMade: string

describe.skipIf(!isRoot)("toybox save", () => {
  const state = () => {
    const root = temporaryDirectory("state")
    chmodSync(root, 0o700)
    return { TOYBOX_ROOT: root, HOME: "/nonexistent" }
  }
  const ok = async (words: string[], env: Record<string, string>) => {
    const result = await toybox(words, { env })
    expect(result).toMatchObject({ exitCode: 0 })
    return result
  }
  const inspect = (image: string) => JSON.parse(run("skopeo", "inspect", image)) as { Digest: string; Layers: string[] }
  /** Copied whole by skopeo, which compares all digests; the image's id, and the digests of its layers. */
  function accepted(image: string): { id: string; layers: string[] } {
    const copy = temporaryDirectory("copy")
    run("skopeo", "--insecure-policy", "copy", "-q", image, `dir:${copy}`)
    const { config } = JSON.parse(readFileSync(join(copy, "manifest.json"), "utf8"))
    const { rootfs } = JSON.parse(readFileSync(join(copy, config.digest.slice(7)), "utf8"))
    return { id: config.digest, layers: rootfs.diff_ids }
  }

  beforeAll(() => {
    const root = tarOf(makeRoot({ files: { "srv/kept": "of the image" } }))
    const settings = { config: { Cmd: ["cat", "/srv/kept"] } }
    gzip = layout.image({ layers: [root, ...oddLayers()], ...settings })
    zstd = layout.image({ layers: [root], compression: "zstd", ...settings })
    layout.tags({ gzip, zstd, plain: layout.image({ layers: [root], compression: "none" }) })
    // Go's tar and gzip.
    goMade = temporaryDirectory("go")
    run("cp", "-rT", layout.dir, goMade)
    run("umoci", "insert", "--image", `${goMade}:zstd`, "--tag", "go", oddTree(), "/inserted")
  })

  test.each(["gzip", "zstd", "plain"])("%s: skopeo has the same image of it", async (tag) => {
    const env = state()
    await ok(["pull", "-q", `oci:${layout.dir}:${tag}`], env)
    await ok(["tag", `oci:${layout.dir}:${tag}`, "example.org/saved:1"], env)
    for (const format of ["docker-archive", "oci-archive"]) {
      const file = join(temporaryDirectory("archive"), "a.tar")
      await ok(["save", "--format", format, "-o", file, "example.org/saved:1"], env)
      expect(accepted(`${format}:${file}`)).toEqual(accepted(`oci:${layout.dir}:${tag}`))
      expect(statSync(file).mode & 0o777).toBe(0o600)
    }
  })

  test("layers of GNU tar, bsdtar and Go come out as they were", async () => {
    const env = state()
    const words = `oci:${goMade}:go`
    await ok(["pull", "-q", words], env)
    const { stdout } = await toyboxBytes(["save", words], { env })
    const file = join(temporaryDirectory("archive"), "a.tar")
    writeFileSync(file, stdout)
    expect(accepted(`docker-archive:${file}`)).toEqual(accepted(words))
    // And that is the same at any time.
    expect((await toyboxBytes(["save", words], { env })).stdout.equals(stdout)).toBe(true)
  })

  test("with --keep-blobs the digests are those that were pulled, else it says what they are", async () => {
    const env = state()
    const name = `oci:${layout.dir}:gzip`
    const save = async () => {
      const file = join(temporaryDirectory("archive"), "a.tar")
      const { stderr } = await ok(["save", "--format", "oci-archive", "-o", file, name], env)
      return { stderr, digest: inspect(`oci-archive:${file}`).Digest }
    }
    await ok(["pull", name], env)
    const plain = await save()
    expect(plain.digest).not.toBe(gzip.digest)
    expect(plain.stderr).toContain(`the digest is ${plain.digest} instead of ${gzip.digest}`)
    expect(plain.stderr).toContain("hint: toybox pull --keep-blobs")
    // What is unpacked already is fetched again for it.
    await ok(["pull", "--keep-blobs", name], env)
    expect(await save()).toMatchObject({ digest: gzip.digest })
    const blobs = join(env.TOYBOX_ROOT, "images/blobs/sha256")
    expect(readdirSync(blobs).length).toBe(2 + 5)
    await ok(["rmi", name], env)
    expect(readdirSync(blobs)).toEqual([])
  })

  test.each(["docker-archive", "oci-archive"])(
    "%s: loaded by another toybox it is the same, and runs",
    async (format) => {
      const [from, to] = [state(), state()]
      await ok(["pull", "-q", "--keep-blobs", `oci:${layout.dir}:gzip`], from)
      await ok(["pull", "-q", "--keep-blobs", `oci:${layout.dir}:zstd`], from)
      await ok(["tag", `oci:${layout.dir}:gzip`, "one"], from)
      await ok(["tag", "one", "example.org/two:2"], from)
      await ok(["tag", `oci:${layout.dir}:zstd`, "three"], from)
      const { stdout } = await toyboxBytes(["save", "--format", format, "one", "three", "example.org/two:2"], {
        env: from,
      })
      const loaded = await toybox(["load"], { env: to, stdin: stdout })
      expect(loaded.stdout.split("\n").sort()).toEqual([
        "",
        ...["example.org/two:2", "one:latest", "three:latest"].map((name) => `Loaded image: ${name}`),
      ])
      const list = async (env: Record<string, string>) =>
        (await toybox(["images", "--json"], { env })).stdout
          .split("\n")
          .filter((line) => line !== "" && !line.includes("oci:"))
          .map((line) => JSON.parse(line))
          .map(({ name, id, digest }) => ({ name, id, ...(format === "oci-archive" ? { digest } : {}) }))
          .sort((a, b) => (a.name < b.name ? -1 : 1))
      expect(await list(to)).toEqual(await list(from))
      const first = await toybox(ownRun("--rm", "example.org/two:2"), { env: to })
      expect(first).toMatchObject({ stdout: "of the image", exitCode: 0 })
    },
  )

  test("names, ids, and what is neither", async () => {
    const env = state()
    const { stdout } = await ok(["pull", "-q", `oci:${layout.dir}:zstd`], env)
    const id = stdout.trim().slice(7)
    const archive = await toyboxBytes(["save", id.slice(0, 12)], { env })
    expect(archive.stdout.includes('"RepoTags":[]')).toBe(true)
    const other = state()
    const loaded = await toybox(["load", "-q"], { env: other, stdin: archive.stdout })
    expect(loaded.stdout).toBe(`Loaded image ID: sha256:${id}\n`)
    expect((await toybox(["images"], { env: other })).stdout).toContain("<none>")
    expect((await toybox(ownRun("--rm", id.slice(0, 12)), { env: other })).stdout).toBe("of the image")
    await ok(["tag", id, "now:named"], other)
    expect((await toybox(["images"], { env: other })).stdout).not.toContain("<none>")
    expect((await toybox(["tag", "now:named", `x@sha256:${id}`], { env: other })).stderr).toContain(
      "a digest is what an image has",
    )
    expect((await toybox(["save", "nothing"], { env: other })).stderr).toContain("no such image: nothing")
    expect((await toybox(["save", "--format", "zip", "now:named"], { env: other })).stderr).toContain(
      "use docker-archive, oci-archive",
    )
    expect((await toybox(["tag", "nothing", "x"], { env: other })).exitCode).toBe(125)
  })

  test("an image of another system, and one that does not say what it is for", async () => {
    const odd = new TestLayout()
    const layers = [tarOf(makeRoot({}))]
    odd.tags({
      wasm: odd.image({ layers, os: "wasip1", architecture: "wasm" }),
      silent: odd.image({ layers, os: "", architecture: "" }),
    })
    const env = state()
    for (const name of [`oci:${odd.dir}:wasm`, `oci:${odd.dir}:silent`]) {
      await ok(["pull", "-q", name], env)
      const archive = await toyboxBytes(["save", "-q", name], { env })
      expect((await toybox(["load", "-q"], { env: state(), stdin: archive.stdout })).exitCode).toBe(0)
    }
    expect((await toybox(["images"], { env })).stdout).toContain(`linux/${process.arch === "x64" ? "amd64" : "arm64"}`)
  })

  test("a name without a tag means all its tags, as with docker; in podman's format the one", async () => {
    const env = state()
    await ok(["pull", "-q", `oci:${layout.dir}:gzip`], env)
    for (const tag of ["all:1", "all:2", "all:latest"]) await ok(["tag", `oci:${layout.dir}:gzip`, tag], env)
    const loaded = async (...words: string[]) => {
      const file = join(temporaryDirectory("saved"), "image.tar")
      await ok(["save", "-q", "-o", file, ...words], env)
      const { stdout } = await ok(["load", "-q", "-i", file], state())
      return stdout.match(/all:\w+/g)
    }
    expect(await loaded("all")).toEqual(["all:1", "all:2", "all:latest"])
    expect(await loaded("all:latest")).toEqual(["all:latest"])
    expect(await loaded("--format", "oci-archive", "all")).toEqual(["all:latest"])
    await ok(["rmi", "all:latest"], env)
    expect(await loaded("all")).toEqual(["all:1", "all:2"])
  })

  test("run and pull take an archive as it is now", async () => {
    const env = state()
    const file = join(temporaryDirectory("archive"), "a.tar")
    run("skopeo", "--insecure-policy", "copy", "-q", `oci:${layout.dir}:zstd`, `oci-archive:${file}:v1`)
    const out = async (...words: string[]) => (await toybox(ownRun("--rm", ...words), { env })).stdout
    expect(await out(`oci-archive:${file}`)).toBe("of the image")
    expect(await out(`oci-archive:${file}:v1`, "echo", "again")).toBe("again\n")
    expect((await toybox(["pull", `oci-archive:${file}:v2`], { env })).stderr).toContain("hint: it has v1")
    const next = new TestLayout()
    next.tags({
      v1: next.image({
        layers: [tarOf(makeRoot({ files: { "srv/new": "of the next" } }))],
        config: { Cmd: ["cat", "/srv/new"] },
      }),
    })
    run("rm", file)
    run("skopeo", "--insecure-policy", "copy", "-q", `oci:${next.dir}:v1`, `oci-archive:${file}:v1`)
    expect(await out(`oci-archive:${file}`)).toBe("of the next")
    const saved = join(temporaryDirectory("archive"), "d.tar")
    run("skopeo", "--insecure-policy", "copy", "-q", `oci:${next.dir}:v1`, `docker-archive:${saved}:example.org/in:1`)
    run("gzip", saved)
    expect(await out(`docker-archive:${saved}.gz`)).toBe("of the next")
    expect(await out(`docker-archive:${saved}.gz:example.org/in:1`)).toBe("of the next")
    expect((await toybox(["pull", `docker-archive:${saved}.gz:other`], { env })).stderr).toContain("has no image")
  })

  test("a full disk is told; the file that was there stays as it was, and nothing is beside it", async () => {
    const env = state()
    await ok(["pull", "-q", `oci:${layout.dir}:gzip`], env)
    const dir = temporaryDirectory("small")
    run("mount", "-t", "tmpfs", "-o", "size=1m", "none", dir)
    try {
      writeFileSync(join(dir, "a.tar"), "before")
      const { exitCode, stderr } = await toybox(["save", "-o", join(dir, "a.tar"), `oci:${layout.dir}:gzip`], { env })
      expect(exitCode).toBe(125)
      expect(stderr).toContain(`cannot write ${join(dir, "a.tar")}: write(`)
      expect(stderr).toContain("ENOSPC")
      expect(readdirSync(dir)).toEqual(["a.tar"])
      expect(readFileSync(join(dir, "a.tar"), "utf8")).toBe("before")
    } finally {
      run("umount", dir)
    }
  })

  test("what is saved and loaded by the same toybox is as it was", async () => {
    const env = state()
    const name = `oci:${layout.dir}:gzip`
    await ok(["pull", "-q", name], env)
    await ok(["tag", name, "here:1"], env)
    const { stdout } = await toyboxBytes(["save", "here:1"], { env })
    expect((await toybox(["load", "-q"], { env, stdin: stdout })).stdout).toBe("Loaded image: here:1\n")
    expect(
      (await ok(["images", "--json"], env)).stdout.match(new RegExp(`"digest":"${gzip.digest}"`, "g"))?.length,
    ).toBe(2)
  })

  test("a full disk is told by load, from a pipe and from a file, and by pull, and leaves nothing unfinished", async () => {
    const env = state()
    const name = `oci:${layout.dir}:gzip`
    await ok(["pull", "-q", name], env)
    const { stdout } = await toyboxBytes(["save", name], { env })
    const file = join(temporaryDirectory("archive"), "a.tar")
    writeFileSync(file, stdout)
    const root = temporaryDirectory("small")
    run("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "none", root)
    try {
      const small = { ...env, TOYBOX_ROOT: root }
      for (const words of [["load"], ["load", "-i", file], ["pull", "--keep-blobs", name]]) {
        const { exitCode, stderr } = await toybox(words, { env: small, stdin: stdout })
        expect(exitCode).toBe(125)
        expect(stderr).toContain("disk is")
        expect(readdirSync(join(root, "images/layers/new"))).toEqual([])
      }
      expect((await toybox(["images", "-q"], { env: small })).stdout).toBe("")
    } finally {
      run("umount", root)
    }
  })

  test("killed at any moment, save leaves the file as it was, and load a store that the next one mends", async () => {
    const env = state()
    const name = `oci:${layout.dir}:gzip`
    await ok(["pull", "-q", name], env)
    const dir = temporaryDirectory("killed")
    const file = join(dir, "a.tar")
    const whole = (await toyboxBytes(["save", name], { env })).stdout
    writeFileSync(file, "before")
    for (let delay = 5; delay < 150; delay += 25) {
      const saving = await startToybox(["save", "-o", file, name], { env })
      await Bun.sleep(delay)
      killed(saving)
      await saving.wait()
      const found = readFileSync(file)
      expect(found.equals(whole) || found.toString() === "before").toBe(true)
    }
    const other = state()
    writeFileSync(file, whole)
    for (let delay = 5; delay < 250; delay += 35) {
      const loading = await startToybox(["load", "-i", file], { env: other })
      await Bun.sleep(delay)
      killed(loading)
      await loading.wait()
    }
    await ok(["load", "-i", file], other)
    expect(readdirSync(join(other.TOYBOX_ROOT, "images/layers/new"))).toEqual([])
    const { stdout: id } = await ok(["images", "-q"], other)
    const again = await toyboxBytes(["save", id.trim()], { env: other })
    expect(again.exitCode).toBe(0)
  })

  test("a reader that goes away ends it, and a store that was tampered with is found out", async () => {
    const env = state()
    const name = `oci:${layout.dir}:gzip`
    await ok(["pull", "-q", name], env)
    const script = `{ "$0" save "$1"; echo "exit $?" >&2; } | head -c 1000 >/dev/null`
    const gone = Bun.spawnSync(["sh", "-c", script, toyboxBinary(), name], {
      env: { ...process.env, ...env },
      timeout: 30_000,
    })
    expect(gone.stderr.toString()).toMatch(/nobody reads the archive any more\n(.*\n)*exit 125/)
    const layers = join(env.TOYBOX_ROOT, "images/layers/sha256")
    for (const layer of readdirSync(layers)) {
      const path = join(layers, layer, "root/srv/kept")
      if (existsSync(path)) writeFileSync(path, "tampered wit")
    }
    const { exitCode, stderr } = await toyboxBytes(["save", name], { env })
    expect(exitCode).toBe(125)
    expect(stderr.toString()).toContain("cannot be made again as it was")
  })

  test("leaves nothing of its containers", async () => {
    expect(await ownLeftovers()).toEqual([])
  })
})
