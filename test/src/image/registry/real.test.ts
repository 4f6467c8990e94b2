/** Against Debian's docker-registry, filled by skopeo. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { digestOf } from "../../../../src/image/digest.ts"
import { type Descriptor, readManifest } from "../../../../src/image/manifest.ts"
import { DOCKER_SHORT_NAMES } from "../../../../src/image/reference.ts"
import { getBlob, hasBlob, readBlob } from "../../../../src/image/registry/blobs.ts"
import { type ClientOptions, openRepository, type Repository } from "../../../../src/image/registry/client.ts"
import type { Credentials } from "../../../../src/image/registry/credential-helper.ts"
import { endpointsFor, type Wishes } from "../../../../src/image/registry/endpoint.ts"
import { getManifest, headManifest, putManifest } from "../../../../src/image/registry/manifests.ts"
import { uploadBlob } from "../../../../src/image/registry/uploads.ts"
import { type TestDescriptor, TestLayout, tarOf } from "../../../helpers/oci-layout.ts"
import { skopeoCopy, startRegistry, type TestRegistry } from "../../../helpers/registry.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"

cleanUpAfterAll()

const NO_SETTINGS = { shortNames: DOCKER_SHORT_NAMES, registries: {} }
const FAST = { answer: 5000, idle: 5000, attempts: 2, pause: 10, longestPause: 1000 }

function open(
  registry: TestRegistry,
  path: string,
  credentials: Credentials | null = null,
  wishes: Wishes = {},
): Promise<Repository> {
  const [endpoint] = endpointsFor(registry.host, NO_SETTINGS, wishes)
  const options: ClientOptions = { patience: FAST, credentials: async () => credentials }
  if (!endpoint) throw new Error("no endpoint")
  return openRepository(endpoint, path, options)
}

const upload = (bytes: Uint8Array) => ({
  digest: digestOf(bytes),
  size: bytes.length,
  slice: (start: number, end: number) => bytes.subarray(start, end),
})

const layout = new TestLayout()
let image: TestDescriptor

beforeAll(() => {
  const dir = temporaryDirectory("tree")
  Bun.spawnSync(["sh", "-c", "echo hello > greeting; head -c 300000 /dev/urandom > noise"], { cwd: dir })
  image = layout.image({ layers: [tarOf(dir)], config: { Cmd: ["/bin/sh"] } })
  layout.tags({ v1: image, many: layout.index([image, layout.image({ layers: [tarOf(dir)], architecture: "arm64" })]) })
})

describe("an open registry over plain http", () => {
  let registry: TestRegistry
  let repository: Repository

  beforeAll(async () => {
    registry = await startRegistry()
    skopeoCopy(`oci:${layout.dir}:v1`, `docker://${registry.host}/org/app:v1`)
    skopeoCopy(`oci:${layout.dir}:many`, `docker://${registry.host}/org/app:many`, "--all")
    repository = await open(registry, "org/app")
  })
  afterAll(() => registry.stop())

  test("a manifest, its config and its layer are what was put there", async () => {
    const raw = await getManifest(repository, "v1")
    expect(raw.digest).toBe(image.digest)
    const manifest = readManifest(raw.bytes, "the manifest", raw.mediaType)
    if (manifest.kind !== "manifest") throw new Error("an index")
    const config = await getBlob(repository, manifest.config)
    expect(JSON.parse(Buffer.from(config).toString())).toMatchObject({ config: { Cmd: ["/bin/sh"] } })
    const [layer] = manifest.layers as [Descriptor]
    expect(Buffer.from(await getBlob(repository, layer)).equals(layout.blobs.get(layer.digest) as Uint8Array)).toBe(
      true,
    )
  })

  test("HEAD tells the digest, and costs one request", async () => {
    const manifests = () => registry.requests().filter((line) => line.includes("/manifests/v1 "))
    await Bun.sleep(50)
    const before = manifests().length
    expect(await headManifest(repository, "v1")).toBe(image.digest)
    await Bun.sleep(50)
    expect(manifests().slice(before)).toEqual(["HEAD /v2/org/app/manifests/v1 200"])
  })

  test("an index, and by digest", async () => {
    const raw = await getManifest(repository, "many")
    const index = readManifest(raw.bytes, "the index", raw.mediaType)
    expect(index.kind === "index" && index.manifests.map(({ platform }) => platform?.architecture)).toEqual([
      "amd64",
      "arm64",
    ])
    expect((await getManifest(repository, raw.digest)).bytes).toEqual(raw.bytes)
  })

  test("what is not there is told by its name", async () => {
    await expect(getManifest(repository, "none")).rejects.toThrow(
      `${registry.host}/org/app:none: there is no such thing (manifest unknown)`,
    )
    // Others answer so what they give to GET.
    expect(await headManifest(await open(registry, "nobody/none"), "v1")).toBeNull()
    await expect(getManifest(await open(registry, "nobody/none"), "v1")).rejects.toThrow("there is no such thing")
    const missing = { ...image, mediaType: "x", digest: digestOf("missing"), size: 7 }
    await expect(getBlob(repository, missing)).rejects.toThrow(`@${missing.digest}: there is no such thing`)
  })

  test("a size that is not the blob's is found out before anything comes", async () => {
    const raw = await getManifest(repository, "v1")
    const manifest = readManifest(raw.bytes, "the manifest", raw.mediaType)
    const [layer] = (manifest.kind === "manifest" ? manifest.layers : []) as [Descriptor]
    const parts: Uint8Array[] = []
    const read = async (blob: Descriptor) => {
      for await (const part of readBlob(repository, blob)) parts.push(part)
    }
    await expect(read({ ...layer, size: layer.size + 1 })).rejects.toThrow("were promised")
    await expect(read({ ...layer, size: 5 })).rejects.toThrow("were promised")
    expect(parts).toEqual([])
  })

  test("a blob in one request, in chunks, and mounted; a manifest; skopeo reads it all", async () => {
    const target = await open(registry, "pushed/app")
    const manifest = readManifest(layout.blobs.get(image.digest) as Uint8Array, "the manifest")
    if (manifest.kind !== "manifest") throw new Error("an index")
    const [layer] = manifest.layers as [Descriptor]
    const bytes = layout.blobs.get(layer.digest) as Uint8Array
    let told = 0
    const progress = (count: number) => {
      told += count
    }
    expect(await hasBlob(target, layer.digest)).toBe(false)
    expect(await uploadBlob(target, upload(bytes), { chunk: 100_000, progress })).toBe("uploaded")
    expect(told).toBe(bytes.length)
    expect(await uploadBlob(target, upload(bytes))).toBe("existed")
    const config = layout.blobs.get(manifest.config.digest) as Uint8Array
    expect(await uploadBlob(target, upload(config), { mountFrom: "org/app" })).toBe("mounted")
    expect(await uploadBlob(target, upload(new Uint8Array(0)))).toBe("uploaded")
    const raw = { bytes: layout.blobs.get(image.digest) as Uint8Array, mediaType: manifest.mediaType }
    expect(await putManifest(target, "v1", raw)).toBe(image.digest)
    const copy = temporaryDirectory("copy")
    skopeoCopy(`docker://${registry.host}/pushed/app:v1`, `oci:${copy}:v1`)
    const found = readFileSync(`${copy}/blobs/sha256/${layer.digest.slice(7)}`)
    expect(found.equals(bytes)).toBe(true)
  })

  test("a manifest whose blobs are missing is refused by the registry, in its words", async () => {
    const target = await open(registry, "half/app")
    const raw = {
      bytes: layout.blobs.get(image.digest) as Uint8Array,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
    }
    await expect(putManifest(target, "v1", raw)).rejects.toThrow(/blob unknown/)
  })
})

describe("a registry with passwords and TLS", () => {
  const password = { user: "alice", password: "p:ä ss" }
  const alice: Credentials = { kind: "password", username: password.user, password: password.password }
  let registry: TestRegistry

  beforeAll(async () => {
    registry = await startRegistry({ password, tls: true })
    const credentials = ["--dest-creds", `${password.user}:${password.password}`]
    skopeoCopy(`oci:${layout.dir}:v1`, `docker://${registry.host}/org/app:v1`, ...credentials)
  })
  afterAll(() => registry.stop())

  test("with the password and the authority", async () => {
    const repository = await open(registry, "org/app", alice, { ca: [registry.ca ?? ""] })
    expect(repository.base.protocol).toBe("https:")
    expect((await getManifest(repository, "v1")).digest).toBe(image.digest)
  })

  test("many requests at once, all of which are refused first", async () => {
    const repository = await open(registry, "org/app", alice, { ca: [registry.ca ?? ""] })
    const all = await Promise.all(Array.from({ length: 8 }, () => getManifest(repository, "v1")))
    expect(all.map(({ digest }) => digest)).toEqual(all.map(() => image.digest))
  })

  test("without the authority it is not believed, unless asked for", async () => {
    await expect(open(registry, "org/app", alice)).rejects.toThrow("its certificate is not trusted")
    const repository = await open(registry, "org/app", alice, { insecure: true })
    expect((await getManifest(repository, "v1")).digest).toBe(image.digest)
  })

  test("without, or with a wrong, password: once refused, once told", async () => {
    for (const credentials of [null, { ...alice, password: "wrong" }]) {
      const repository = await open(registry, "org/app", credentials, { ca: [registry.ca ?? ""] })
      const before = registry.requests().length
      await expect(getManifest(repository, "v1")).rejects.toThrow(/the registry wants a login/)
      await Bun.sleep(100)
      expect(registry.requests().length - before).toBeLessThanOrEqual(2)
    }
  })
})
