/** OCI image layouts. */
import { expect, test } from "bun:test"
import { rmSync, writeFileSync } from "node:fs"
import { readConfig } from "../../../../src/image/config.ts"
import { digestOf } from "../../../../src/image/digest.ts"
import { readManifest } from "../../../../src/image/manifest.ts"
import { directoryFiles, taggedImage } from "../../../../src/image/store/layout.ts"
import { TestLayout } from "../../../helpers/oci-layout.ts"
import { cleanUpAfterAll } from "../../../helpers/scratch.ts"
import { tarArchive } from "../../../helpers/tar.ts"

cleanUpAfterAll()

test("what a descriptor has within it needs to be nowhere else", async () => {
  const layout = new TestLayout()
  const tar = tarArchive({ name: "a", content: "a" })
  const blob = (mediaType: string, bytes: Uint8Array) => ({
    ...layout.blob(mediaType, bytes),
    data: Buffer.from(bytes).toString("base64"),
  })
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
  const layer = blob("application/vnd.oci.image.layer.v1.tar", tar)
  const rootfs = { type: "layers", diff_ids: [layer.digest] }
  const config = blob("application/vnd.oci.image.config.v1+json", json({ os: "linux", architecture: "amd64", rootfs }))
  const mediaType = "application/vnd.oci.image.manifest.v1+json"
  layout.tags({ one: blob(mediaType, json({ schemaVersion: 2, mediaType, config, layers: [layer] })) })
  rmSync(`${layout.dir}/blobs`, { recursive: true })

  const origin = taggedImage(directoryFiles(layout.dir), "one")
  const raw = await origin.manifest()
  const manifest = readManifest(raw.bytes, "it", raw.mediaType)
  if (manifest.kind !== "manifest") throw new Error(manifest.kind)
  expect(readConfig(await origin.blob(manifest.config), "it").diffIds).toEqual([layer.digest])
  const parts: Uint8Array[] = []
  for (const descriptor of manifest.layers) for await (const part of origin.stream(descriptor)) parts.push(part)
  expect(Buffer.concat(parts)).toEqual(Buffer.from(tar))
})

test("without a tag it is the one that has one; where none has, the images of several platforms are one", async () => {
  const layout = new TestLayout()
  const layers = [tarArchive({ name: "a", content: "a" })]
  const [arm, amd] = ["arm64", "amd64"].map((architecture) => layout.image({ layers, architecture }))
  const write = (manifests: unknown[]) =>
    writeFileSync(`${layout.dir}/index.json`, JSON.stringify({ schemaVersion: 2, manifests }))
  const read = async () => {
    const { bytes, digest, mediaType } = await taggedImage(directoryFiles(layout.dir), undefined).manifest()
    expect(digest).toBe(digestOf(bytes))
    return readManifest(bytes, "it", mediaType)
  }
  write([arm, amd])
  expect(await read()).toMatchObject({ kind: "index", manifests: [arm, amd] })
  write([amd])
  expect((await read()).kind).toBe("manifest")
  const annotations = { "org.opencontainers.image.ref.name": "now" }
  write([arm, { ...amd, annotations }])
  expect((await taggedImage(directoryFiles(layout.dir), undefined).manifest()).digest).toBe(amd?.digest ?? "")
  const { platform: _, ...unknown } = amd ?? { platform: undefined }
  write([arm, unknown])
  await expect(read()).rejects.toThrow("has several images")
})
