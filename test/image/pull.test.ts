/** toybox pull, images, rmi and run of images, against a real registry filled by skopeo. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { type TestDescriptor, TestLayout, tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { skopeoCopy, startRegistry, type TestRegistry } from "../helpers/registry.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const env = {
  HOME: "/nonexistent",
  XDG_RUNTIME_DIR: "/nonexistent",
  DOCKER_CONFIG: undefined,
  REGISTRY_AUTH_FILE: undefined,
}
const password = { user: "alice", password: "sesame" }

let registry: TestRegistry
let closed: TestRegistry
let image: TestDescriptor
const layout = new TestLayout()

/** A tree of files, as a tar. */
function tree(files: Record<string, string>, ...options: string[]): Uint8Array {
  const dir = temporaryDirectory("layer")
  // It is the root of the merged tree, too.
  chmodSync(dir, 0o755)
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(dir, path, ".."), { recursive: true })
    writeFileSync(join(dir, path), content)
  }
  return tarOf(dir, ...options)
}

beforeAll(async () => {
  ;[registry, closed] = await Promise.all([startRegistry(), startRegistry({ password, tls: true })])
  const root = makeRoot({ files: { "srv/gone": "x", "srv/kept": "lower", "opt/old/file": "x" } })
  chmodSync(join(root, "srv/kept"), 0o4751)
  const base = tarOf(root)
  const config = {
    Env: ["GREETING=from the image", "PATH=/bin"],
    Entrypoint: ["/bin/echo", "entry"],
    Cmd: ["command"],
    User: "alice",
    WorkingDir: "/made/here",
    Labels: { from: "image" },
  }
  const changes = tree({ "srv/.wh.gone": "", "srv/new": "upper", "opt/old/.wh..wh..opq": "", "opt/old/other": "y" })
  image = layout.image({ layers: [base, changes], config })
  const other = layout.image({ layers: [base], architecture: "s390x" })
  const many = layout.image({
    layers: [base, ...Array.from({ length: 126 }, (_, i) => tree({ [`many/${i}`]: `${i}`, "many/last": `${i}` }))],
    config: { Cmd: ["/bin/sh"] },
  })
  layout.tags({
    v1: image,
    both: layout.index([other, image]),
    foreign: layout.index([other]),
    many,
    zstd: layout.image({ layers: [base], compression: "zstd", config: { Cmd: ["cat", "/srv/kept"] } }),
    plain: layout.image({ layers: [base], compression: "none" }),
    mute: layout.image({ layers: [base] }),
  })
  for (const tag of ["v1", "both", "foreign", "many", "zstd", "plain", "mute"])
    skopeoCopy(`oci:${layout.dir}:${tag}`, `docker://${registry.host}/org/app:${tag}`, "--all")
  for (const tag of ["v1", "foreign", "zstd"])
    skopeoCopy(`oci:${layout.dir}:${tag}`, `docker://${registry.host}/org/few:${tag}`, "--all")
  skopeoCopy(
    `oci:${layout.dir}:v1`,
    `docker://${closed.host}/org/app:v1`,
    "--dest-creds",
    `${password.user}:${password.password}`,
  )
}, 60_000)
afterAll(() => Promise.all([registry.stop(), closed.stop()]))

const name = (tag: string) => `${registry.host}/org/app:${tag}`
const pull = (...words: string[]) => toybox(["pull", ...words], { env })
const run = (...words: string[]) => toybox(ownRun("--rm", ...words), { env })
const layers = () => readdirSync(join(stateRoot(), "images/layers/sha256"))
const unfinished = () => {
  const dir = join(stateRoot(), "images/layers/new")
  return existsSync(dir) ? readdirSync(dir) : []
}

describe.skipIf(!isRoot)("toybox pull", () => {
  test("brings an image; the second time one request for its manifest is all", async () => {
    const first = await pull(name("v1"))
    expect(first).toMatchObject({ exitCode: 0 })
    expect(first.stdout).toContain(`${name("v1")}: pulled\ndigest: ${image.digest}\n`)
    await Bun.sleep(50)
    const before = registry.requests().length
    const second = await pull(name("v1"))
    expect(second.stdout).toContain("is up to date")
    await Bun.sleep(50)
    expect(
      registry
        .requests()
        .slice(before)
        .filter((line) => !line.includes(" /v2/ ")),
    ).toEqual(["HEAD /v2/org/app/manifests/v1 200"])
  })

  test("by digest, and the manifest of this platform from an index", async () => {
    expect((await pull(`${registry.host}/org/app@${image.digest}`)).exitCode).toBe(0)
    const { stdout } = await pull("-q", name("both"))
    const { stdout: same } = await pull("-q", name("v1"))
    expect(stdout).toBe(same)
  })

  test("inspect and history tell of it what its config and its registry do", async () => {
    expect((await pull(name("v1"))).exitCode).toBe(0)
    const [found, ...others] = JSON.parse((await toybox(["inspect", name("v1")], { env })).stdout)
    expect(others).toEqual([])
    const config = JSON.parse(
      Bun.spawnSync(["skopeo", "inspect", "--config", "--raw", `oci:${layout.dir}:v1`]).stdout.toString(),
    )
    const manifest = JSON.parse(new TextDecoder().decode(layout.blobs.get(image.digest)))
    expect(found).toMatchObject({
      Id: manifest.config.digest,
      RepoTags: expect.arrayContaining([name("v1")]),
      RepoDigests: expect.arrayContaining([`${registry.host}/org/app@${image.digest}`]),
      Config: { ...config.config, ExposedPorts: {}, Volumes: {} },
      Architecture: "amd64",
      Os: "linux",
      RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    })
    expect(JSON.parse((await toybox(["inspect", "--type", "image", found.Id.slice(7, 19)], { env })).stdout)).toEqual([
      found,
    ])
    const history = (await toybox(["history", "--json", name("v1")], { env })).stdout.trim().split("\n")
    expect(history.map((line) => JSON.parse(line).created_by)).toEqual(["test", "test"])
    expect((await toybox(["history", name("v1")], { env })).stdout).toMatch(
      /^IMAGE +CREATED +CREATED BY +SIZE +COMMENT\n[0-9a-f]{12} +test +\d.*\n<missing> +test +\d/,
    )
  })

  test("what is not for this platform is told, with what there is", async () => {
    const { exitCode, stderr } = await pull(name("foreign"))
    expect(exitCode).toBe(125)
    expect(stderr).toContain("is not there for linux/amd64")
    expect(stderr).toContain("hint: it is for linux/s390x: see --platform")
    const alien = new TestLayout()
    const windows = { ...alien.image({ layers: [] }), platform: { os: "windows", architecture: "amd64" } }
    writeFileSync(join(alien.dir, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [windows, windows] }))
    expect((await pull(`oci:${alien.dir}`)).stderr).toContain(
      "hint: it is for windows/amd64, and only what is for Linux runs here",
    )
    expect((await pull("--platform", "linux/s390x", name("foreign"))).exitCode).toBe(0)
    expect((await pull("--platform", "linux/arm64", name("v1"))).stderr).toContain(
      "is for linux/amd64, not for linux/arm64",
    )
  })

  test("several, and all of a repository: one that cannot be had does not keep the others", async () => {
    const few = `${registry.host}/org/few`
    const both = await pull("-q", name("v1"), name("nothere"), name("plain"))
    expect(both).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`${name("nothere")}: there is no such`) })
    expect(both.stdout.trimEnd().split("\n").length).toBe(2)
    const all = await pull("--all-tags", few)
    expect(all).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`${few}:foreign is not there for`) })
    expect(all.stdout.match(/^.*: pulled$/gm)?.sort()).toEqual([`${few}:v1: pulled`, `${few}:zstd: pulled`])
    expect((await pull("-a", `${few}:v1`)).stderr).toContain("has a tag or a digest")
    await toybox(["rmi", name("v1"), name("plain"), `${few}:v1`, `${few}:zstd`], { env })
  })

  test("with a file of docker's that is damaged: it is told, and done without", async () => {
    const DOCKER_CONFIG = temporaryDirectory("docker")
    writeFileSync(join(DOCKER_CONFIG, "config.json"), '{"auths": ')
    const { exitCode, stderr } = await toybox(["pull", name("v1")], { env: { ...env, DOCKER_CONFIG } })
    expect(exitCode).toBe(0)
    expect(stderr).toContain(`${DOCKER_CONFIG}/config.json is not JSON; going on without it`)
  })

  test("with a login; without one it is told what to do", async () => {
    const words = ["--ca", closed.ca ?? "", `${closed.host}/org/app:v1`]
    const refused = await pull(...words)
    expect(refused.stderr).toContain(`hint: log in with toybox login ${closed.host}`)
    const login = ["login", "-u", password.user, "--password-stdin", "--ca", closed.ca ?? "", closed.host]
    expect((await toybox(login, { env, stdin: password.password })).exitCode).toBe(0)
    expect((await pull(...words)).exitCode).toBe(0)
  })

  test.each([
    ["nothing:there", "there is no such thing (manifest unknown)"],
    ["Upper/case", "must be in lower case"],
  ])("%s: told, and nothing is left", async (path, why) => {
    const { exitCode, stderr } = await pull(`${registry.host}/${path}`)
    expect(exitCode).toBe(125)
    expect(stderr).toContain(why)
    expect(unfinished()).toEqual([])
  })

  test("from a mirror, and from the registry where the mirror has it not", async () => {
    const root = temporaryDirectory("mirrored")
    chmodSync(root, 0o700)
    const registries = { "registry.invalid": { mirrors: [registry.host] }, [registry.host]: { mirrors: [closed.host] } }
    writeFileSync(join(root, "registries.json"), JSON.stringify({ registries }))
    const from = (word: string) => toybox(["pull", "--root", root, word], { env })
    expect((await from("registry.invalid/org/app:v1")).stdout).toContain(image.digest)
    const { exitCode, stderr } = await from(name("zstd"))
    expect(exitCode).toBe(0)
    expect(stderr).toContain(`the mirror ${closed.host} is passed over`)
  })

  test("two at once do the work once", async () => {
    const root = temporaryDirectory("twice")
    chmodSync(root, 0o700)
    await Bun.sleep(50)
    const before = registry.requests().length
    const ends = await Promise.all([1, 2, 3].map(() => toybox(["pull", "--root", root, name("both")], { env })))
    expect(ends.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0])
    await Bun.sleep(50)
    const blobs = registry
      .requests()
      .slice(before)
      .filter((line) => line.includes("/blobs/"))
    const config = JSON.parse(readFileSync(join(layout.dir, "blobs", image.digest.replace(":", "/")), "utf8")).config
      .digest
    expect(blobs.filter((line) => !line.includes(config)).length).toBe(2)
  })

  test("killed at any moment: the next one makes it whole", async () => {
    const root = temporaryDirectory("killed")
    chmodSync(root, 0o700)
    for (const delay of [10, 30, 50, 70, 90, 110, 130, 160]) {
      const running = await startToybox(["pull", "--root", root, name("v1")], { env })
      await Bun.sleep(delay)
      try {
        running.kill("SIGKILL")
      } catch {
        // It was done already.
      }
      await running.wait()
    }
    expect((await toybox(["pull", "--root", root, name("v1")], { env })).exitCode).toBe(0)
    const { stdout } = await toybox(ownRun("--root", root, "--rm", "--entrypoint", "cat", name("v1"), "/srv/new"), {
      env,
    })
    expect(stdout).toBe("upper")
    expect(readdirSync(join(root, "images/layers/new"))).toEqual([])
    expect(readdirSync(join(root, "images/layers/sha256")).length).toBe(2)
  })

  test("a full disk is told, and leaves nothing unfinished", async () => {
    const root = temporaryDirectory("small")
    Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", root])
    try {
      const { exitCode, stderr } = await toybox(["pull", "--root", root, name("v1")], { env })
      expect(exitCode).toBe(125)
      expect(stderr).toContain("hint: ")
      expect(readdirSync(join(root, "images/layers/new"))).toEqual([])
    } finally {
      Bun.spawnSync(["umount", root])
    }
  })
})

describe.skipIf(!isRoot)("toybox run of an image", () => {
  test("does what its config says", async () => {
    expect(await run(name("v1"))).toMatchObject({ stdout: "entry command\n", exitCode: 0 })
    expect((await run(name("v1"), "words", "instead")).stdout).toBe("entry words instead\n")
    const script = 'id -un; pwd; echo "$GREETING"; echo "$PATH"; cat /srv/new; ls /srv /opt/old; stat -c %a /srv/kept'
    const { stdout } = await run("--entrypoint", "/bin/sh", name("v1"), "-c", script)
    expect(stdout.split("\n")).toEqual([
      ...[
        "alice",
        "/made/here",
        "from the image",
        "/bin",
        "upper/opt/old:",
        "other",
        "",
        "/srv:",
        "kept",
        "new",
        "4751",
        "",
      ],
    ])
  })

  test("the command line has the last word", async () => {
    const script = 'id -u; pwd; echo "$GREETING"'
    const words = ["-u", "0", "-w", "/srv", "-e", "GREETING=mine", "--entrypoint", "sh", name("v1"), "-c", script]
    expect((await run(...words)).stdout).toBe("0\n/srv\nmine\n")
  })

  test("a variable without a value takes the image's away, where the caller has none", async () => {
    const words = ["--entrypoint", "sh", name("v1"), "-c", "set | grep ^GREETING= || echo none"]
    expect((await run("-e", "GREETING", ...words)).stdout).toBe("none\n")
    const own = { ...env, GREETING: "own" }
    expect((await toybox(ownRun("--rm", "-e", "GREETING", ...words), { env: own })).stdout).toBe("GREETING='own'\n")
    expect((await run(...words)).stdout).toBe("GREETING='from the image'\n")
  })

  test("pulls what is missing, and asks nobody for what is there", async () => {
    await toybox(["rmi", name("zstd")], { env })
    expect((await run("--pull", "never", name("zstd"))).stderr).toContain('is not here, and the policy "never" forbids')
    expect(await run(name("zstd"))).toMatchObject({ stdout: "lower", exitCode: 0 })
    await Bun.sleep(50)
    const before = registry.requests().length
    expect(await run(name("zstd"))).toMatchObject({ stdout: "lower", stderr: "" })
    await Bun.sleep(50)
    expect(registry.requests().length).toBe(before)
  })

  test("127 layers", async () => {
    const { stdout, stderr } = await run(
      "-q",
      name("many"),
      "sh",
      "-c",
      "ls /many | wc -l; cat /many/last /many/0 /many/125",
    )
    expect({ stdout, stderr }).toEqual({ stdout: "127\n1250125", stderr: "" })
    const { stdout: mounted } = await run(
      name("many"),
      "sh",
      "-c",
      "grep -c ' / overlay' /proc/mounts; touch /many/mine && ls /many | wc -l",
    )
    expect(mounted).toBe("1\n128\n")
    // All its containers have the same links, which lead there wherever the state directory is moved to.
    const stacks = layers().map((layer) => join(stateRoot(), "images/layers/sha256", layer, "layers"))
    const [links = "", ...others] = stacks.filter(
      (path) => existsSync(path) && readdirSync(path, "buffer").length === 127,
    )
    expect(others).toEqual([])
    const targets = readdirSync(links, "buffer").map((link) =>
      readlinkSync(Buffer.concat([Buffer.from(`${links}/`), link])),
    )
    expect(targets).toHaveLength(127)
    expect(targets.every((target) => /^\.\.\/\.\.\/[0-9a-f]{64}\/root$/.test(target))).toBe(true)
  })

  test("without a command there is nothing to run", async () => {
    const { exitCode, stderr } = await run(name("mute"))
    expect(exitCode).toBe(125)
    expect(stderr).toContain("does not say what to run")
  })

  test("--explain fetches nothing", async () => {
    const missing = await toybox(["run", "--explain", name("plain")], { env })
    expect(missing.stderr).toContain("is not here, and so its config is not known")
    const { stdout, exitCode } = await toybox(["run", "--explain", name("v1")], { env })
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/lowerdir=\S+\/images\/layers\/sha256\/[0-9a-f]{64}\/root:\S+\/root,/)
  })

  test("a layer whose bytes are wrong is told by its digest, and not by what unpacking makes of it", async () => {
    const broken = new TestLayout()
    const { digest } = broken.image({
      layers: [tree({ "srv/file": randomBytes(4_000_000).toString("base64") })],
      config: { Cmd: ["true"] },
    })
    const [layer] = JSON.parse(new TextDecoder().decode(broken.blobs.get(digest))).layers
    const bytes = broken.blobs.get(layer.digest) ?? new Uint8Array()
    broken.tags({
      v1: {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        digest,
        size: broken.blobs.get(digest)?.length ?? 0,
      },
    })
    writeFileSync(
      join(broken.dir, "blobs", layer.digest.replace(":", "/")),
      bytes.map((byte, i) => (i > 20 && i < 90 ? byte ^ 0xff : byte)),
    )
    const { exitCode, stderr } = await pull(`oci:${broken.dir}:v1`)
    expect(exitCode).toBe(125)
    expect(stderr).toContain(`the blob ${layer.digest} is not what its digest and size say`)
    expect(unfinished()).toEqual([])
  })

  test("from a layout on the disk", async () => {
    const { stdout } = await run(`oci:${layout.dir}:v1`)
    expect(stdout).toBe("entry command\n")
    expect((await run(`oci:${layout.dir}`)).stderr).toContain("has several images")
    expect((await run(`oci:${layout.dir}:none`)).stderr).toContain('has no image "none"')
    expect((await run("oci:/nowhere")).stderr).toContain("is no OCI image layout")
  })

  test("leaves nothing of its containers", async () => {
    expect(await ownLeftovers()).toEqual([])
  })
})

describe.skipIf(!isRoot)("toybox images and rmi", () => {
  test("list what is there", async () => {
    const { stdout } = await toybox(["images", "--json"], { env })
    const found = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
    expect(found.find((item) => item.name === name("v1"))).toMatchObject({
      digest: image.digest,
      platform: "linux/amd64",
    })
    expect((await toybox(["images"], { env })).stdout).toMatch(/^IMAGE +ID +CREATED +SIZE +PLATFORM\n/)
  })

  test("a name goes; layers stay as long as another name or a container has them", async () => {
    await pull(name("v1"))
    const kept = await toybox(ownRun("--name", "user-of-many", name("many"), "true"), { env })
    expect(kept.exitCode).toBe(0)
    const refused = await toybox(["rmi", name("many")], { env })
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toContain("is in use by container")
    await toybox(["rmi", "--force", name("many")], { env })
    const others = (await toybox(["images", "--json"], { env })).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).name)
    // It goes by its id now.
    const nameless = others.filter((other) => other.startsWith("sha256:"))
    expect(nameless).toHaveLength(1)
    expect((await toybox(["rmi", "--force", nameless[0]], { env })).exitCode).toBe(1)
    for (const other of others.filter((other) => !nameless.includes(other)))
      expect((await toybox(["rmi", other], { env })).exitCode).toBe(0)
    expect(layers().length).toBe(127)
    await toybox(["rm", "user-of-many"], { env })
    await pull(name("v1"))
    expect((await toybox(["rmi", "--all"], { env })).exitCode).toBe(0)
    expect(layers()).toEqual([])
    expect((await toybox(["images", "-q"], { env })).stdout).toBe("")
    const blobs = join(stateRoot(), "images/blobs/sha256")
    expect(readdirSync(blobs)).toEqual([])
  })

  test("by a registry's digest only that goes, and the names stay", async () => {
    const byDigest = `${registry.host}/org/app@${image.digest}`
    const names = async () =>
      (await toybox(["images", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}", "--no-trunc"], { env })).stdout
        .trim()
        .split("\n")
        .filter((line) => line.startsWith(`${registry.host}/org/app:v`))
        .sort()
    await pull(name("v1"))
    expect((await toybox(["tag", name("v1"), name("v2")], { env })).exitCode).toBe(0)
    expect(await names()).toEqual([`${name("v1")} ${image.digest}`, `${name("v2")} ${image.digest}`])
    expect(await toybox(["rmi", byDigest], { env })).toMatchObject({ exitCode: 0, stdout: `${byDigest}\n` })
    expect(await names()).toEqual([`${name("v1")} <none>`, `${name("v2")} <none>`])
    expect(await toybox(["rmi", byDigest], { env })).toMatchObject({ exitCode: 1, stdout: "" })
    await toybox(["rmi", name("v1"), name("v2")], { env })
    // Of a name that is the digest, with a tag or without, and of an image without a name, there is nothing left.
    for (const own of [byDigest, `${name("v1")}@${image.digest}`]) {
      await pull(own)
      expect((await toybox(["images", "--json"], { env })).stdout).toContain(`"name":"${byDigest}"`)
      expect((await toybox(["rmi", byDigest], { env })).exitCode).toBe(0)
      expect((await toybox(["images", "-q"], { env })).stdout).toBe("")
    }
  })

  test("a damaged store is mended by the next pull", async () => {
    await pull(name("v1"))
    const [first] = layers()
    rmSync(join(stateRoot(), "images/layers/sha256", first ?? ""), { recursive: true })
    for (const blob of readdirSync(join(stateRoot(), "images/blobs/sha256")))
      writeFileSync(join(stateRoot(), "images/blobs/sha256", blob), "")
    expect((await run(name("v1"))).stdout).toBe("entry command\n")
  })
})
