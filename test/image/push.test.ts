/** toybox push, to a real registry; what it has then is what skopeo says it is. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type TestDescriptor, TestLayout, tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { skopeoCopy, startRegistry, type TestRegistry } from "../helpers/registry.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, toybox, toyboxBytes } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const password = { user: "alice", password: "sesame" }

let source: TestRegistry
let target: TestRegistry
let closed: TestRegistry
let image: TestDescriptor
const layout = new TestLayout()

function run(...cmd: string[]): string {
  const { exitCode, stderr, stdout } = Bun.spawnSync(cmd, { timeout: 60_000 })
  if (exitCode !== 0) throw new Error(`${cmd.join(" ")}: ${stderr}`)
  return stdout.toString().trimEnd()
}

/** What skopeo says that a registry has; it is fetched whole, and compared with its digests. */
function inRegistry(name: string): { digest: string; layers: { digest: string; mediaType: string }[]; config: string } {
  const copy = temporaryDirectory("copy")
  skopeoCopy(`docker://${name}`, `dir:${copy}`)
  const bytes = readFileSync(join(copy, "manifest.json"))
  const { layers, config } = JSON.parse(bytes.toString())
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`
  expect(run("skopeo", "inspect", "--tls-verify=false", `docker://${name}`, "--format", "{{.Digest}}")).toBe(digest)
  return { digest, layers, config: config.digest }
}

beforeAll(async () => {
  ;[source, target, closed] = await Promise.all([
    startRegistry(),
    startRegistry(),
    startRegistry({ password, tls: true }),
  ])
  const root = makeRoot({ files: { "srv/kept": "of the image" } })
  const upper = makeRoot({ files: { "srv/upper": "x".repeat(100_000) } })
  image = layout.image({ layers: [tarOf(root), tarOf(upper)], config: { Cmd: ["cat", "/srv/kept"] } })
  layout.tags({ v1: image, plain: layout.image({ layers: [tarOf(root)], compression: "none" }) })
  for (const tag of ["v1", "plain"]) skopeoCopy(`oci:${layout.dir}:${tag}`, `docker://${source.host}/org/app:${tag}`)
  skopeoCopy(`oci:${layout.dir}:v1`, `docker://${source.host}/org/docker:v1`, "--format", "v2s2")
}, 60_000)
afterAll(() => Promise.all([source.stop(), target.stop(), closed.stop()]))

describe.skipIf(!isRoot)("toybox push", () => {
  const state = () => {
    const root = temporaryDirectory("state")
    chmodSync(root, 0o700)
    return { TOYBOX_ROOT: root, HOME: "/nonexistent", XDG_RUNTIME_DIR: "/nonexistent" }
  }
  type Env = ReturnType<typeof state>
  const ok = async (words: string[], env: Env) => {
    const result = await toybox(words, { env })
    expect(result).toMatchObject({ exitCode: 0 })
    return result
  }
  const how = (stdout: string) => (JSON.parse(stdout) as { layers: { how: string }[] }).layers.map((layer) => layer.how)
  const unfinished = (env: Env) => readdirSync(join(env.TOYBOX_ROOT, "images/layers/new"))
  const blobs = (env: Env) => readdirSync(join(env.TOYBOX_ROOT, "images/blobs/sha256")).length

  test("asks a registry that does not answer any more once, and not for each layer", async () => {
    let asked = 0
    let isDown = false
    const front = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        const { pathname } = new URL(request.url)
        if (!isDown)
          return fetch(`http://${source.host}${pathname}`, { method: request.method, headers: request.headers })
        if (pathname.includes("/blobs/")) asked++
        return new Response(null, { status: 503, headers: { "retry-after": "1000" } })
      },
    })
    const layers = Array.from({ length: 9 }, (_, i) => tarOf(makeRoot({ files: { "srv/number": `${i}` } })))
    const many = new TestLayout()
    many.tags({ many: many.image({ layers }) })
    skopeoCopy(`oci:${many.dir}:many`, `docker://${source.host}/org/many:1`)
    const env = state()
    await ok(["pull", "-q", `127.0.0.1:${front.port}/org/many:1`], env)
    isDown = true
    const { stderr } = await ok(["push", `127.0.0.1:${front.port}/org/many:1`, `${target.host}/many:1`], env)
    await front.stop(true)
    expect(stderr).toContain("compressed anew")
    expect(asked).toBeLessThanOrEqual(3)
  }, 30_000)

  test("to the same registry mounts what it has, and gives the digest that was pulled", async () => {
    const env = state()
    await ok(["pull", "-q", `${source.host}/org/app:v1`], env)
    await ok(["tag", `${source.host}/org/app:v1`, `${source.host}/other/name:v2`], env)
    const { stdout } = await ok(["push", "--json", `${source.host}/other/name:v2`], env)
    expect(JSON.parse(stdout)).toMatchObject({ name: `${source.host}/other/name:v2`, digest: image.digest })
    expect(how(stdout)).toEqual(["mounted", "mounted"])
    expect(inRegistry(`${source.host}/other/name:v2`).digest).toBe(image.digest)
    expect(how((await ok(["push", "--json", `${source.host}/other/name:v2`], env)).stdout)).toEqual([
      "existed",
      "existed",
    ])
  })

  test.each(["org/app:v1", "org/app:plain", "org/docker:v1"])(
    "%s to another registry: fetched again, the same digest",
    async (name) => {
      const env = state()
      await ok(["pull", "-q", `${source.host}/${name}`], env)
      const to = `${target.host}/fetched/${name}`
      const { stdout } = await ok(["push", "-q", `${source.host}/${name}`, to], env)
      const digest = inRegistry(`${source.host}/${name}`).digest
      expect(stdout).toBe(`${digest}\n`)
      expect(inRegistry(to).digest).toBe(digest)
      expect(unfinished(env)).toEqual([])
    },
  )

  test("with --keep-blobs nobody else is asked", async () => {
    const env = state()
    await ok(["pull", "-q", "--keep-blobs", `oci:${layout.dir}:v1`], env)
    const before = source.requests().length
    const { stdout } = await ok(["push", "--json", `oci:${layout.dir}:v1`, `${target.host}/kept:1`], env)
    expect(how(stdout)).toEqual(["uploaded", "uploaded"])
    expect(inRegistry(`${target.host}/kept:1`).digest).toBe(image.digest)
    expect(source.requests().length).toBe(before)
  })

  test("what cannot be had as it was is compressed anew, and that is said", async () => {
    const env = state()
    await ok(["pull", "-q", `oci:${layout.dir}:v1`], env)
    const to = `${target.host}/anew:1`
    const { stdout, stderr } = await ok(["push", `oci:${layout.dir}:v1`, to], env)
    const digest = /digest: (sha256:\w+)/.exec(stdout)?.[1] ?? ""
    expect(stderr).toContain(
      `2 of 2 layers could not be had as they were pulled, and are compressed anew: the digest is ${digest}`,
    )
    const there = inRegistry(to)
    expect(there.digest).toBe(digest)
    // The image, its id and what is in its layers are the same.
    const pulled = state()
    const { stdout: id } = await ok(["pull", "-q", to], pulled)
    expect(id.trim()).toBe(there.config)
    expect(id).toBe((await ok(["images", "-q", "--no-trunc"], env)).stdout)
    expect((await toybox(ownRun("--rm", to), { env: pulled })).stdout).toBe("of the image")
    // What it has become is remembered.
    expect(how((await ok(["push", "--json", `oci:${layout.dir}:v1`, `${target.host}/anew:2`], env)).stdout)).toEqual([
      "existed",
      "existed",
    ])
    expect(blobs(env)).toBe(2)
  })

  test("an image made here is compressed, also when what it stands on was pulled", async () => {
    const env = state()
    await ok(["pull", "-q", `${source.host}/org/app:v1`], env)
    // The same layers, as docker saves them.
    const { stdout: archive } = await toyboxBytes(["save", `${source.host}/org/app:v1`], { env })
    const other = state()
    expect((await toybox(["load", "-q"], { env: other, stdin: archive })).exitCode).toBe(0)
    const { stdout } = await ok(["push", "--json", `${source.host}/org/app:v1`, `${target.host}/made:1`], other)
    expect(how(stdout)).toEqual(["uploaded", "uploaded"])
    expect(inRegistry(`${target.host}/made:1`).layers.map(({ mediaType }) => mediaType)).toEqual(
      Array.from({ length: 2 }, () => "application/vnd.oci.image.layer.v1.tar+gzip"),
    )
    await ok(["pull", "-q", `${target.host}/made:1`], state())
    // Where the layers are known by what a registry calls them, they are not compressed again.
    expect((await toybox(["load", "-q"], { env, stdin: archive })).exitCode).toBe(0)
    expect(
      how((await ok(["push", "--json", `${source.host}/org/app:v1`, `${source.host}/made:1`], env)).stdout),
    ).toEqual(["mounted", "mounted"])
  })

  test("with a login; without one it says so", async () => {
    const env = state()
    await ok(["pull", "-q", "--keep-blobs", `oci:${layout.dir}:v1`], env)
    const words = ["push", "--ca", closed.ca ?? "", `oci:${layout.dir}:v1`, `${closed.host}/org/app:v1`]
    const refused = await toybox(words, { env })
    expect(refused.exitCode).toBe(125)
    expect(refused.stderr).toContain(`hint: log in with toybox login ${closed.host}`)
    const login = ["login", "-u", password.user, "--password-stdin", "--ca", closed.ca ?? "", closed.host]
    expect((await toybox(login, { env, stdin: password.password })).exitCode).toBe(0)
    expect((await ok(words, env)).stdout).toContain(`digest: ${image.digest}`)
    const untrusted = await toybox(["push", `oci:${layout.dir}:v1`, `${closed.host}/org/app:v2`], { env })
    expect(untrusted.stderr).toContain("certificate is not trusted")
    expect(unfinished(env)).toEqual([])
  })

  test.each([
    [["push"], "push needs an image"],
    [["push", "nothing"], "no such image: nothing"],
    [["push", "LAYOUT"], "has no name to be pushed under"],
    [["push", "LAYOUT", "oci:/x"], "push goes to registries"],
    [["push", "LAYOUT", `x@sha256:${"0".repeat(64)}`], "needs a tag"],
    [["push", "LAYOUT", "Bad Name"], "Bad Name"],
    [["push", "LAYOUT", "127.0.0.1:1/x:1"], "127.0.0.1:1"],
  ])(
    "%j: %s",
    async (words, why) => {
      const env = state()
      await ok(["pull", "-q", `oci:${layout.dir}:v1`], env)
      const { exitCode, stderr } = await toybox(
        words.map((word) => (word === "LAYOUT" ? `oci:${layout.dir}:v1` : word)),
        { env, timeoutSeconds: 60 },
      )
      expect(exitCode).toBe(125)
      expect(stderr).toContain(why)
    },
    70_000,
  )

  test("killed at any moment: the next one makes it whole, and nothing is left", async () => {
    const env = state()
    await ok(["pull", "-q", `oci:${layout.dir}:v1`], env)
    const words = ["push", `oci:${layout.dir}:v1`, `${target.host}/killed:1`]
    for (let delay = 10; delay < 400; delay += 45) {
      const pushing = await startToybox(words, { env })
      await Bun.sleep(delay)
      try {
        pushing.kill("SIGKILL")
      } catch {
        // It was done already.
      }
      await pushing.wait()
    }
    await ok(words, env)
    expect(inRegistry(`${target.host}/killed:1`).layers.length).toBe(2)
    expect(unfinished(env)).toEqual([])
  })

  test("a full disk is told", async () => {
    const root = temporaryDirectory("small")
    run("mount", "-t", "tmpfs", "-o", "size=200m,mode=0700", "none", root)
    try {
      const env = { ...state(), TOYBOX_ROOT: root }
      await ok(["pull", "-q", `oci:${layout.dir}:v1`], env)
      const { size } = statSync(join(root, "images"))
      expect(size).toBeGreaterThan(0)
      const free = Number(run("df", "--output=avail", "-B1", root).split("\n")[1])
      run("fallocate", "-l", String(free - 8192), join(root, "filler"))
      const { exitCode, stderr } = await toybox(["push", `oci:${layout.dir}:v1`, `${target.host}/full:1`], { env })
      expect(exitCode).toBe(125)
      expect(stderr).toContain("ENOSPC")
      expect(readdirSync(join(root, "images/layers/new"))).toEqual([])
    } finally {
      run("umount", root)
    }
  })

  test("a damaged kept blob is not pushed", async () => {
    const env = state()
    await ok(["pull", "-q", "--keep-blobs", `oci:${layout.dir}:v1`], env)
    const dir = join(env.TOYBOX_ROOT, "images/blobs/sha256")
    const largest = readdirSync(dir).sort((a, b) => statSync(join(dir, b)).size - statSync(join(dir, a)).size)[0] ?? ""
    const bytes = readFileSync(join(dir, largest))
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    writeFileSync(join(dir, largest), bytes)
    const fresh = await startRegistry()
    try {
      const { exitCode } = await toybox(["push", "-q", `oci:${layout.dir}:v1`, `${fresh.host}/damaged:1`], { env })
      expect(exitCode).toBe(125)
    } finally {
      await fresh.stop()
    }
    const saved = await toyboxBytes(["save", "--format", "oci-archive", `oci:${layout.dir}:v1`], { env })
    expect(saved.exitCode).toBe(125)
    expect(saved.stderr.toString()).toContain("that was kept is damaged")
  })

  test("leaves nothing of its containers", async () => {
    expect(await ownLeftovers()).toEqual([])
  })
})
