/** OCI image layouts. */
import { expect, test } from "bun:test"
import { rmSync } from "node:fs"
import { readConfig } from "../../../../src/image/config.ts"
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
