/** What is told while an archive comes: a bar on a terminal, lines elsewhere. */
import { describe, expect, test } from "bun:test"
import { randomBytes, randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { TestLayout } from "../helpers/oci-layout.ts"
import { ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { tarEntry } from "../helpers/tar.ts"
import { toybox } from "../helpers/toybox.ts"
import { type Terminal, terminal, terminalUnavailable } from "../helpers/tty.ts"
import { nastyServer } from "../src/image/fetch/server.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** An archive, unlike any other, that takes about three seconds to come. */
function slowArchive(): URL {
  const path = join(temporaryDirectory("archive"), "root.tar")
  Bun.spawnSync(["tar", "-C", makeRoot({ files: { "/own": randomUUID() } }), "-cf", path, "."])
  const body = readFileSync(path)
  const { url } = nastyServer(() => ({ body, slowly: [60, Math.ceil(body.length / 50)] }))
  return new URL("/a-root-with-a-long-name.tar", url)
}

/** A registry with an image of three layers that take about three seconds to come; its reference. */
function slowImage(): string {
  const layout = new TestLayout()
  const layers = [1, 2, 3].map((n) => tarEntry({ name: `file${n}`, content: randomBytes(1_000_000 * n) }))
  const manifest = layout.image({ layers: layers.map((tar) => Buffer.concat([tar, Buffer.alloc(1024)])) })
  const { port } = nastyServer(({ path }) => {
    const name = path.slice(path.lastIndexOf("/") + 1)
    const body = layout.blobs.get(name === "latest" ? manifest.digest : name)
    if (path === "/v2/") return {}
    if (body === undefined) return { status: 404 }
    const headers = path.includes("/manifests/") ? { "content-type": manifest.mediaType } : {}
    return { body, headers, ...(body.length > 100_000 ? { slowly: [60, Math.ceil(body.length / 50)] } : {}) }
  })
  return `127.0.0.1:${port}/slow`
}

describe.skipIf(!isRoot || terminalUnavailable() !== undefined)("on a terminal", () => {
  const [image, archive] = [slowImage(), slowArchive().href]

  test.concurrent("an image has a bar for each layer under way and one for the whole, and a line for each that is done", async () => {
    let open: Terminal | undefined
    try {
      // Who stays keeps the screen as it is.
      const cmd = ["sh", "-c", `${toyboxBinary()} pull ${image}; exec sleep 60`]
      open = await terminal({ cmd, cols: 110, rows: 12 })
      const row = String.raw` {2}\[#+ *\] {2} ?\d+ % {2}[\d.]+ [kM]B of \d\.\d MB {2}[\d.]+ [kM]B\/s, [\d.]+ s left`
      await open.waitFor(new RegExp(`^(?:[0-9a-f]{12}${row}\n){3}127.0.0.1:\\d+/slow\\S*${row}$`, "m"))
      const done = await open.waitFor(/^id: sha256:/m)
      expect(done.match(/^toybox: [0-9a-f]{12}: \d\.\d MB unpacked in [\d.]+ s$/gm)?.length).toBe(3)
      expect(done).not.toMatch(/[#[]| left/)
    } finally {
      await open?.close()
    }
  }, 30_000)

  test.concurrent("a bar shows bytes, rate and time left, follows the width, and goes away", async () => {
    let open: Terminal | undefined
    try {
      const cmd = [toyboxBinary(), ...ownRun("--rm", archive, "echo", "it", "runs")]
      open = await terminal({ cmd, cols: 110, rows: 10 })
      const bar =
        /^a-root-with-a-long-name\.tar {2}\[#+ *\] {2} ?\d+ % {2}[\d.]+ [kM]B of \d\.\d MB {2}[\d.]+ [kM]B\/s, \d\.\d s left$/m
      await open.waitFor(bar)
      open.resize(60, 10)
      const narrow = await open.waitFor(/^[^\n]*%[^\n]* left$/m)
      for (const line of narrow.split("\n")) expect(line.length).toBeLessThanOrEqual(60)
      expect(await open.exited()).toBe(0)
      expect(open.screen()).toContain("it runs")
      expect(open.screen()).not.toContain(" left")
    } finally {
      await open?.close()
    }
  }, 30_000)
})

describe.skipIf(!isRoot)("elsewhere", () => {
  const images = [slowImage(), slowImage()] as const
  const archives = [slowArchive().href, slowArchive().href] as const

  test.concurrent("an image has a plain line for each layer, and nothing with --quiet", async () => {
    const [{ stderr }, quiet] = await Promise.all([toybox(["pull", images[0]]), toybox(["pull", "--quiet", images[1]])])
    expect(stderr).toMatch(
      /^(toybox: [0-9a-f]{12}: \d\.\d MB unpacked in [\d.]+ s\n){3}toybox: .*: 3 of 3 layers unpacked in .*\n/,
    )
    expect(stderr).not.toContain("\x1b")
    expect(quiet.stderr).toBe("")
  }, 30_000)

  test.concurrent("plain lines, and nothing with --quiet", async () => {
    const [plain, quiet] = await Promise.all([
      toybox(ownRun("--rm", archives[0], "true")),
      toybox(ownRun("--rm", "--quiet", archives[1], "true")),
    ])
    expect(plain.stderr).toMatch(
      /^toybox: .* without --checksum: .*\ntoybox: http:.*: 2\.\d MB fetched and unpacked in \d\.\d s\n$/,
    )
    expect(quiet).toMatchObject({ stdout: "", stderr: "", exitCode: 0 })
  }, 30_000)
})
