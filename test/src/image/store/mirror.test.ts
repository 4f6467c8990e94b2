/** Mirrors that do something wrong: the registry has the last word. */
import { describe, expect, test } from "bun:test"
import { chmodSync, existsSync } from "node:fs"
import { digestOf } from "../../../../src/image/digest.ts"
import { startProgress } from "../../../../src/image/progress.ts"
import { DOCKER_SHORT_NAMES, parseReference } from "../../../../src/image/reference.ts"
import { ensureLayers } from "../../../../src/image/store/layers.ts"
import { remoteImage } from "../../../../src/image/store/remote.ts"
import { openWorkspace } from "../../../../src/image/store/workspace.ts"
import { ensurePaths, pathsFor } from "../../../../src/paths.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"
import { tarArchive } from "../../../helpers/tar.ts"
import { nastyServer, type Reply, type Script } from "../fetch/server.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const tar = tarArchive({ name: "a", content: "x".repeat(400_000) })
const gzipped = Buffer.from(Bun.gzipSync(Uint8Array.from(tar), { level: 0 }))
const digest = digestOf(gzipped)
const diffId = digestOf(tar)
const MANIFEST = JSON.stringify({ schemaVersion: 2, config: {}, layers: [] })
const DOCKER = "application/vnd.docker.distribution.manifest.v2+json"

/** A registry that has everything, and its mirror, which answers as `script` says. */
function open(script: Script) {
  const root = temporaryDirectory("mirror")
  chmodSync(root, 0o700)
  const paths = pathsFor(root)
  ensurePaths(paths)
  const registry = nastyServer(({ path }): Reply => {
    if (path === "/v2/") return { body: "{}" }
    if (path.includes("/manifests/")) return { body: MANIFEST, headers: { "content-type": DOCKER } }
    return { body: gzipped }
  })
  const mirror = nastyServer(script)
  const host = `127.0.0.1:${registry.port}`
  const notices: string[] = []
  const origin = remoteImage(parseReference(`${host}/org/app:1`), {
    settings: {
      shortNames: DOCKER_SHORT_NAMES,
      registries: { [host]: { mirrors: [`http://127.0.0.1:${mirror.port}`] } },
    },
    state: root,
    patience: { answer: 500, idle: 300, attempts: 2, pause: 5, longestPause: 1500 },
    notice: (text) => notices.push(text),
  })
  return { paths, origin, mirror, registry, notices: () => notices.join("\n") }
}

describe("a mirror", () => {
  test("that has the same page for every address is passed over", async () => {
    const page = { headers: { "content-type": "text/html" }, body: "<html>This domain is for sale</html>" }
    const { origin, notices } = open(() => page)
    expect(new TextDecoder().decode((await origin.manifest()).bytes)).toBe(MANIFEST)
    expect(notices()).toMatch(/the mirror 127\.0\.0\.1:\d+ is passed over: .* is not JSON/)
  })

  describe.skipIf(!isRoot).each([false, true])("with the blobs kept: %p,", (keepBlobs) => {
    test.each<[string, Reply]>([
      ["whose bytes are wrong", { body: gzipped.map((byte, i) => (i === 300_000 ? byte ^ 1 : byte)) }],
      ["whose bytes cannot be unpacked", { body: Buffer.alloc(gzipped.length, 7) }],
      ["that breaks off and does not go on", { body: gzipped, sent: 100_000, ending: "cut" }],
    ])("%s in the middle of a layer is passed over", async (_, reply) => {
      const { paths, origin, notices } = open((_, count) => (count > 1 ? { status: 404 } : reply))
      const keep = keepBlobs ? { workspace: openWorkspace(paths), blobs: new Map<string, string>() } : null
      const progress = startProgress("test", true)
      const job = { paths, origin, name: "x", progress, signal: new AbortController().signal, quiet: true, keep }
      const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip"
      const descriptor = { mediaType, digest, size: gzipped.length }
      await ensureLayers(job, [{ descriptor, diffId, chainId: diffId, below: undefined }])
      expect(notices()).toMatch(/the mirror 127\.0\.0\.1:\d+ is passed over/)
      const kept = keep?.blobs.get(digest)
      expect(kept !== undefined && existsSync(kept)).toBe(keepBlobs)
      if (kept !== undefined) expect(digestOf(await Bun.file(kept).bytes())).toBe(digest)
      keep?.workspace.remove()
    })
  })
})
