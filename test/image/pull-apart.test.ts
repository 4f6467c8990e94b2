/** Layers so large that each is unpacked in a process of its own: what goes wrong there, and with that process. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type TestDescriptor, TestLayout, tarOf } from "../helpers/oci-layout.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { type RunningToybox, startToybox, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const LARGE = 3_000_000
const FILES = 50

const layout = new TestLayout()
const images: Record<string, TestDescriptor> = {}

/** Of these blobs so many bytes are sent, and no more: then nothing comes ("stall"), or the connection ends ("cut", once). */
const faults = new Map<string, { after: number; how: "stall" | "cut" }>()

/** Blobs that were asked for from their middle on. */
const resumed: string[] = []

/** A registry of what is in the layout. */
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  idleTimeout: 60,
  development: false,
  error: () => new Response(null, { status: 500 }),
  fetch(request) {
    const [, , , , kind, reference = ""] = new URL(request.url).pathname.split("/")
    if (kind === undefined) return new Response("{}")
    const { digest, mediaType } = images[reference] ?? { digest: reference, mediaType: "application/octet-stream" }
    const bytes = layout.blobs.get(digest)
    if (bytes === undefined) return new Response(null, { status: 404 })
    const headers = { "content-type": mediaType, "docker-content-digest": digest, etag: `"${digest}"` }
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0)
    if (from > 0) resumed.push(digest)
    const fault = faults.get(digest)
    if (fault) return faulty(bytes, fault, digest, headers)
    if (from === 0) return new Response(Uint8Array.from(bytes), { headers })
    const range = { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` }
    return new Response(bytes.slice(from), { status: 206, headers: { ...headers, ...range } })
  },
})

function faulty(
  bytes: Uint8Array,
  fault: { after: number; how: "stall" | "cut" },
  digest: string,
  headers: Record<string, string>,
) {
  const body = new ReadableStream({
    type: "direct",
    async pull(controller: ReadableStreamDirectController) {
      controller.write(bytes.slice(0, fault.after))
      await controller.flush()
      if (fault.how === "stall") return Bun.sleep(30_000)
      faults.delete(digest)
      controller.close()
    },
  })
  return new Response(body, { headers: { ...headers, "content-length": String(bytes.length) } })
}

function largeTree(...names: string[]): Uint8Array {
  const dir = temporaryDirectory("layer")
  chmodSync(dir, 0o755)
  for (const name of names) writeFileSync(join(dir, name), randomBytes(LARGE))
  for (let i = 0; i < FILES; i++) writeFileSync(join(dir, `${names[0]}-${i}`), `${i}`)
  return tarOf(dir)
}

const lower = largeTree("one")
const upper = largeTree("two")

beforeAll(() => {
  images.whole = layout.image({ layers: [lower, upper] })
})
afterAll(() => server.stop(true))

const name = (tag: string) => `127.0.0.1:${server.port}/org/app:${tag}`
const layerOf = (tag: string, index: number): string =>
  JSON.parse(new TextDecoder().decode(layout.blobs.get(images[tag]?.digest ?? ""))).layers[index].digest

/** A state directory of its own. */
function ownState(): { root: string; env: { TOYBOX_ROOT: string; HOME: string }; unfinished: () => string[] } {
  const root = temporaryDirectory("state")
  chmodSync(root, 0o700)
  const dir = join(root, "images/layers/new")
  return {
    root,
    env: { TOYBOX_ROOT: root, HOME: "/nonexistent" },
    unfinished: () => (existsSync(dir) ? readdirSync(dir) : []),
  }
}

/** The processes that unpack for another. */
function unpackersOf(pid: number): number[] {
  const isOne = (entry: string) => {
    try {
      const [, parent] = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${entry}/status`, "utf8")) ?? []
      return (
        Number(parent) === pid && readFileSync(`/proc/${entry}/cmdline`, "utf8").startsWith("toybox\0unpack-layer\0")
      )
    } catch {
      return false
    }
  }
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && isOne(entry))
    .map(Number)
}

/** One that nobody has reaped yet is not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !condition(); await Bun.sleep(5))
    if (performance.now() > end) throw new Error(`still not: ${what}`)
}

/** A pull whose two layers stand still in their middle, each with its process. */
async function standingStill(env: Record<string, string>): Promise<{ pull: RunningToybox; unpackers: number[] }> {
  for (const index of [0, 1]) faults.set(layerOf("whole", index), { after: LARGE / 2, how: "stall" })
  const pull = await startToybox(["pull", name("whole")], { env })
  await until("two processes", () => unpackersOf(pull.pid).length === 2)
  return { pull, unpackers: unpackersOf(pull.pid) }
}

describe.skipIf(!isRoot)("layers unpacked in processes of their own", () => {
  test("are whole, also where the connection breaks in their middle", async () => {
    const { root, env } = ownState()
    faults.set(layerOf("whole", 0), { after: 1_500_000, how: "cut" })
    expect(await toybox(["pull", "-q", name("whole")], { env })).toMatchObject({ exitCode: 0 })
    expect(resumed).toEqual([layerOf("whole", 0)])
    const found = readdirSync(join(root, "images/layers/sha256")).flatMap((layer) => {
      const tree = join(root, "images/layers/sha256", layer, "root")
      return [tarOf(tree)]
    })
    expect(found.map((bytes) => Bun.hash(bytes)).sort()).toEqual([lower, upper].map((bytes) => Bun.hash(bytes)).sort())
  })

  test.each([0, 300])("one that is killed after %d ms is told, the others end, and nothing is left", async (delay) => {
    const { env, unfinished } = ownState()
    const { pull, unpackers } = await standingStill(env)
    await Bun.sleep(delay)
    process.kill(unpackers[0] ?? 0, "SIGKILL")
    faults.clear()
    const { exitCode, stderr } = await pull.wait()
    expect(exitCode).toBe(125)
    expect(stderr).toMatch(
      /^toybox: cannot unpack \S+: the layer [0-9a-f]{12}: the process for it was ended by SIGKILL\n/m,
    )
    expect(unpackers.filter(isAlive)).toEqual([])
    expect(unfinished()).toEqual([])
  })

  test.each(["SIGINT", "SIGTERM"] as const)("%s ends them, and nothing is left", async (signal) => {
    const { env, unfinished } = ownState()
    const { pull, unpackers } = await standingStill(env)
    pull.kill(signal)
    await pull.wait()
    faults.clear()
    expect(unpackers.filter(isAlive)).toEqual([])
    expect(unfinished()).toEqual([])
  })

  test("they end with a toybox that is killed, and the next one goes on", async () => {
    const { env, unfinished } = ownState()
    const { pull, unpackers } = await standingStill(env)
    pull.kill("SIGKILL")
    await pull.wait()
    faults.clear()
    await until("the processes are gone", () => !unpackers.some(isAlive))
    expect(unfinished()).toHaveLength(2)
    expect(await toybox(["pull", "-q", name("whole")], { env })).toMatchObject({ exitCode: 0 })
    expect(unfinished()).toEqual([])
  })

  test("a full disk is told as such, and nothing is left", async () => {
    const { root, env, unfinished } = ownState()
    Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", root])
    try {
      const { exitCode, stderr } = await toybox(["pull", "-q", name("whole")], { env })
      expect(exitCode).toBe(125)
      expect(stderr).toMatch(/^toybox: .*the disk is (nearly )?full/m)
      expect(stderr).toContain("hint: ")
      expect(unfinished()).toEqual([])
    } finally {
      Bun.spawnSync(["umount", root])
    }
  })

  test.each([
    [
      "is truncated",
      () => broken((bytes) => bytes.slice(0, LARGE)),
      "is truncated: its gzip stream goes on after byte",
    ],
    [
      "is corrupt",
      () => broken((bytes) => bytes.map((byte, i) => (i > LARGE && i < LARGE + 99 ? byte ^ 0xff : byte))),
      "is corrupt: its gzip stream, before byte",
    ],
    ["is another than the config says", () => broken((bytes) => bytes, upper), "but the image says sha256:"],
    ["leads out of the root", () => layout.image({ layers: [outward()] }), 'is refused: the entry "../out"'],
  ])("one that %s is told", async (what, make, told) => {
    const tag = what.replaceAll(" ", "-")
    images[tag] = make()
    const { env, unfinished } = ownState()
    const { exitCode, stderr } = await toybox(["pull", "-q", name(tag)], { env })
    expect(exitCode).toBe(125)
    expect(stderr).toContain(told)
    expect(stderr.split("\n").filter((line) => line !== "" && !line.startsWith("toybox: hint:"))).toHaveLength(1)
    expect(unfinished()).toEqual([])
  })
})

/** An image whose layer has been changed; its digest is that of what there is, its diff id that of what there was. */
function broken(change: (compressed: Uint8Array) => Uint8Array, said = lower): TestDescriptor {
  const { digest } = layout.image({ layers: [said] })
  const manifest = JSON.parse(new TextDecoder().decode(layout.blobs.get(digest)))
  const changed = change(new Uint8Array(Bun.gzipSync(Uint8Array.from(lower))))
  manifest.layers = [layout.blob(manifest.layers[0].mediaType, changed)]
  return layout.blob(manifest.mediaType, new TextEncoder().encode(JSON.stringify(manifest)))
}

/** An archive with a large file before one that is not to be made. */
function outward(): Uint8Array {
  const dir = temporaryDirectory("outward")
  mkdirSync(join(dir, "in"))
  writeFileSync(join(dir, "in/a"), randomBytes(LARGE))
  writeFileSync(join(dir, "out"), "x")
  const { stdout } = Bun.spawnSync(["tar", "-C", join(dir, "in"), "-P", "-c", "a", "../out"])
  return new Uint8Array(stdout)
}
