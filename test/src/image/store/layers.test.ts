/** Layers that cannot be had: which failure is told. */
import { describe, expect, test } from "bun:test"
import { chmodSync } from "node:fs"
import { ToyboxError } from "../../../../src/errors.ts"
import { BadBytes, digestOf } from "../../../../src/image/digest.ts"
import { startProgress } from "../../../../src/image/progress.ts"
import { ensureLayers, type WantedLayer } from "../../../../src/image/store/layers.ts"
import { ensurePaths, pathsFor } from "../../../../src/paths.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"
import { tarArchive } from "../../../helpers/tar.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const XZ = Buffer.from("fd377a585a000004", "hex")
const NETWORK = new ToyboxError("the registry answers 503")
const WRONG = new BadBytes("the bytes are not what the digest says")

/** Takes a layer from a source that gives `start`, then `more` parts, and then fails; how it ended, and how many parts were asked for. */
async function failed(start: Uint8Array, more: number, end: Error) {
  const root = temporaryDirectory("store")
  chmodSync(root, 0o700)
  const paths = pathsFor(root)
  ensurePaths(paths)
  let given = 0
  async function* stream() {
    yield start
    for (; given < more; given++) yield new Uint8Array(2 ** 20)
    throw end
  }
  const nothing = () => Promise.reject(new Error("not asked for"))
  const origin = { digest: nothing, manifest: nothing, blob: nothing, stream }
  const progress = startProgress("test", true)
  const job = { paths, origin, name: "x", progress, signal: new AbortController().signal, quiet: true, keep: null }
  const digest = digestOf(start)
  const descriptor = { mediaType: "application/vnd.oci.image.layer.v1.tar", digest, size: start.length }
  const layer: WantedLayer = { descriptor, diffId: digest, chainId: digest, below: undefined }
  const error = await ensureLayers(job, [layer]).then(
    () => null,
    (error: unknown) => error,
  )
  return { message: error instanceof Error ? error.message : "", given }
}

describe.skipIf(!isRoot)("a layer that cannot be unpacked", () => {
  test("for what it is, is told as that, and nothing more of it is fetched", async () => {
    const { message, given } = await failed(XZ, 20, NETWORK)
    expect(message).toContain("is compressed with xz")
    expect(given).toBeLessThan(3)
  })

  test("and whose rest does not come, is told as what it is", async () => {
    const refused = tarArchive({ name: "a/../../b", content: "" })
    expect((await failed(refused, 1, NETWORK)).message).toContain("is refused: the entry")
  })

  test("because it came wrong, is told by its digest", async () => {
    const refused = tarArchive({ name: "a/../../b", content: "" })
    expect((await failed(refused, 1, WRONG)).message).toBe(WRONG.message)
  })

  test("because the network fails is told as that", async () => {
    expect((await failed(tarArchive({ name: "a", content: "" }).subarray(0, 512), 0, NETWORK)).message).toBe(
      NETWORK.message,
    )
  })
})
