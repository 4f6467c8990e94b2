/** Images made of layers in the store. */
import { describe, expect, test } from "bun:test"
import { chmodSync, rmSync, writeFileSync } from "node:fs"
import { layerPath } from "../../../../src/image/cache/layers.ts"
import { digestOf } from "../../../../src/image/digest.ts"
import { readManifest } from "../../../../src/image/manifest.ts"
import { addLayer } from "../../../../src/image/store/add-layer.ts"
import { readKept } from "../../../../src/image/store/blobs.ts"
import { holdImage, openImage } from "../../../../src/image/store/open.ts"
import { plainManifest, putImage, tagImage } from "../../../../src/image/store/put.ts"
import { blobPath, listImages, readBlobFile, removeBlobs, storePaths } from "../../../../src/image/store/records.ts"
import { removeImage } from "../../../../src/image/store/remove.ts"
import { ensurePaths, type Paths, pathsFor } from "../../../../src/paths.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"
import { chunked, tarArchive } from "../../../helpers/tar.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

function freshStore(): Paths {
  const root = temporaryDirectory("store")
  chmodSync(root, 0o700)
  const paths = pathsFor(root)
  ensurePaths(paths)
  return paths
}

const LOWER = tarArchive({ name: "a", content: "lower" })
const UPPER = tarArchive({ name: ".wh.a" }, { name: "b", content: "upper" })

async function makeImage(paths: Paths, name: string | null) {
  const lower = await addLayer(paths, { name: "lower", below: undefined, source: chunked(LOWER) })
  const upper = await addLayer(paths, { name: "upper", below: lower.chainId, source: chunked(UPPER) })
  const rootfs = { type: "layers", diff_ids: [lower.diffId, upper.diffId] }
  const config = new TextEncoder().encode(JSON.stringify({ os: "linux", architecture: "amd64", rootfs }))
  return { lower, upper, config, record: await putImage(paths, { name, config }) }
}

const users = { ofImages: () => new Map<string, string[]>(), ofRoots: () => new Map<string, string[]>() }

describe.skipIf(!isRoot)("an image made of layers", () => {
  test("is there under its name, with a manifest of plain layers", async () => {
    const paths = freshStore()
    const { config, lower, upper, record } = await makeImage(paths, "example.org/made:1")
    expect(lower.diffId).toBe(digestOf(LOWER))
    expect(record).toMatchObject({ made: true, id: digestOf(config), layers: [lower.chainId, upper.chainId] })
    expect(openImage(paths, "example.org/made:1")?.roots).toEqual([upper.root, lower.root])
    const bytes = readBlobFile(paths, record.manifest) ?? new Uint8Array()
    expect(readManifest(bytes, "it")).toMatchObject({
      layers: [
        { digest: lower.diffId, size: LOWER.length },
        { digest: upper.diffId, size: UPPER.length },
      ],
    })
    const sizes = [LOWER.length, UPPER.length]
    expect(plainManifest(config, [lower.diffId, upper.diffId], sizes).digest).toBe(record.manifest)
  })

  test("keeps the blobs of its layers, of whatever algorithm", async () => {
    const paths = freshStore()
    const { config } = await makeImage(paths, null)
    const digest = digestOf(LOWER, "sha512")
    const blob = `${paths.state}/blob`
    writeFileSync(blob, LOWER)
    await putImage(paths, { name: "example.org/kept:1", config, blobs: new Map([[digest, blob]]) })
    expect(await Array.fromAsync(readKept(blobPath(paths, digest), digest))).toEqual([Buffer.from(LOWER)])
  })

  test("is held while it is there; who has removed it, or a layer, is told", async () => {
    const paths = freshStore()
    const { record, upper } = await makeImage(paths, "example.org/made:1")
    holdImage(paths, record, "made:1")
    rmSync(layerPath(storePaths(paths), upper.chainId), { recursive: true })
    expect(() => holdImage(paths, record, "made:1")).toThrow("made:1 is not whole")
    await removeImage(paths, record, users, false)
    expect(() => holdImage(paths, record, "made:1")).toThrow("made:1 has just been removed")
    const kept = readKept(blobPath(paths, record.id), record.id)
    removeBlobs(paths, new Set())
    await expect(kept.next()).rejects.toThrow("that was kept has just been removed, with its image")
  })

  test("gets no further name when it has just been removed: that would lead to nothing", async () => {
    const paths = freshStore()
    const { record } = await makeImage(paths, "example.org/made:1")
    await removeImage(paths, record, users, false)
    expect(tagImage(paths, record, "example.org/other:1")).rejects.toThrow("was just removed")
    expect(listImages(paths)).toEqual([])
  })

  test("goes by its id where it has no name, until it gets one", async () => {
    const paths = freshStore()
    const { record } = await makeImage(paths, null)
    expect(listImages(paths).map(({ name }) => name)).toEqual([record.id])
    await tagImage(paths, record, "example.org/now:1")
    expect(listImages(paths).map(({ name }) => name)).toEqual(["example.org/now:1"])
    const again = await makeImage(paths, null)
    expect(again.record.name).toBe("example.org/now:1")
    expect(listImages(paths).map(({ name }) => name)).toEqual(["example.org/now:1"])
  })

  test("is refused where a layer is missing, or is not what it should be", async () => {
    const paths = freshStore()
    const rootfs = { type: "layers", diff_ids: [digestOf("nothing")] }
    const config = new TextEncoder().encode(JSON.stringify({ os: "linux", architecture: "amd64", rootfs }))
    await expect(putImage(paths, { name: "example.org/x:1", config })).rejects.toThrow("is not here")
    const wrong = { name: "x: the layer", below: undefined, source: chunked(LOWER), diffId: digestOf("other") }
    await expect(addLayer(paths, wrong)).rejects.toThrow("but the image says")
    expect(listImages(paths)).toEqual([])
  })
})
