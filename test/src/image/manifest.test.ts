import { describe, expect, test } from "bun:test"
import { chainIds, readConfig } from "../../../src/image/config.ts"
import { digestOf } from "../../../src/image/digest.ts"
import { isRunnable, MAX_MANIFEST, readManifest } from "../../../src/image/manifest.ts"
import * as types from "../../../src/image/media-types.ts"
import { hostPlatform } from "../../../src/image/platform.ts"
import { random } from "../cgroup/random.ts"

const bytes = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value))
const described = (mediaType: string, text = "x") => ({ mediaType, digest: digestOf(text), size: text.length })

const config = described(types.OCI_CONFIG)
const layer = described(`${types.OCI_LAYER}+gzip`)
const manifest = { schemaVersion: 2, mediaType: types.OCI_MANIFEST, config, layers: [layer] }
const index = { schemaVersion: 2, mediaType: types.OCI_INDEX, manifests: [described(types.OCI_MANIFEST)] }
const read = (value: unknown, mediaType?: string) => readManifest(bytes(value), "the manifest of x", mediaType)

describe("readManifest", () => {
  test("an OCI manifest, with Go's nulls", () => {
    expect(read({ ...manifest, annotations: null, layers: [{ ...layer, annotations: null, urls: null }] })).toEqual({
      kind: "manifest",
      mediaType: types.OCI_MANIFEST,
      config,
      layers: [layer],
      annotations: {},
    })
  })

  test("lists without elements, which Go writes as null", () => {
    expect(read({ ...manifest, layers: null })).toMatchObject({ kind: "manifest", layers: [] })
    expect(read({ ...index, manifests: null })).toMatchObject({ kind: "index", manifests: [] })
  })

  test("Docker's schema 2 and manifest list", () => {
    const docker = {
      schemaVersion: 2,
      mediaType: types.DOCKER_MANIFEST,
      config: described(types.DOCKER_CONFIG),
      layers: [described(`${types.DOCKER_LAYER}.gzip`), described(`${types.DOCKER_LAYER}.zstd`)],
    }
    expect(read(docker)).toMatchObject({ kind: "manifest", mediaType: types.DOCKER_MANIFEST })
    // What old registries have made of the config's type; it says nothing of OCI's.
    for (const old of ["application/octet-stream", ""]) {
      expect(read({ ...docker, config: described(old) })).toMatchObject({ kind: "manifest" })
      expect(() => read({ ...manifest, config: described(old) })).toThrow("an artifact")
    }
    const platform = { os: "linux", architecture: "arm", variant: "v7", "os.version": "1" }
    const list = {
      schemaVersion: 2,
      mediaType: types.DOCKER_LIST,
      manifests: [{ ...described(types.DOCKER_MANIFEST), platform }],
    }
    expect(read(list)).toMatchObject({
      kind: "index",
      manifests: [{ platform: { os: "linux", architecture: "arm", variant: "v7" } }],
    })
  })

  test("without a media type of its own: what the registry says, or what is in it", () => {
    const { mediaType: _, ...bare } = manifest
    expect(read(bare)).toMatchObject({ kind: "manifest" })
    expect(read(bare, `${types.OCI_MANIFEST}; charset=utf-8`)).toMatchObject({ kind: "manifest" })
    expect(read(bare, "application/json")).toMatchObject({ kind: "manifest" })
    const { mediaType: __, ...bareIndex } = index
    expect(read(bareIndex)).toMatchObject({ kind: "index", mediaType: types.OCI_INDEX })
  })

  test("content within the descriptor, compared with its digest", () => {
    const inline = { ...described(types.OCI_CONFIG, "{}"), data: btoa("{}") }
    const found = read({ ...manifest, config: inline })
    expect(found.kind === "manifest" && Buffer.from(found.config.data ?? []).toString()).toBe("{}")
    expect(() => read({ ...manifest, config: { ...inline, data: btoa("{ }") } })).toThrow("config.data: is not what")
    expect(() => read({ ...manifest, config: { ...inline, size: 3 } })).toThrow("config.data: is not what")
  })

  test.each([
    ["no JSON", "{", undefined, "the manifest of x is not JSON"],
    ["no text", new Uint8Array([0xff]), undefined, "the manifest of x is not JSON"],
    ["deep nesting", "[".repeat(200_000), undefined, "the manifest of x is not JSON"],
    ["an array", [], undefined, "must be an object"],
    ["null", null, undefined, "must be an object, but is null"],
    ["schema 1", { schemaVersion: 1 }, undefined, "schema 1"],
    ["schema 1, by the registry", manifest, "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"],
    ["no version", { ...manifest, schemaVersion: undefined }, undefined, "schemaVersion: must be 2"],
    ["both kinds: CVE-2021-41190", { ...manifest, manifests: [] }, undefined, "both manifests and layers"],
    ["another kind than told", index, types.OCI_MANIFEST, "mediaType: is"],
    [
      "a kind that its fields deny",
      { ...manifest, mediaType: types.OCI_INDEX },
      undefined,
      "not what its media type says",
    ],
    ["an unknown kind", { ...manifest, mediaType: "text/html" }, undefined, "neither a manifest nor an index"],
    ["an artifact", { ...manifest, artifactType: "a/b" }, undefined, 'config: this is an artifact of type "a/b"'],
    [
      "a Helm chart",
      { ...manifest, config: described("application/vnd.cncf.helm.config.v1+json") },
      undefined,
      "artifact",
    ],
    [
      "an encrypted layer",
      { ...manifest, layers: [layer, described(`${types.OCI_LAYER}+gzip+encrypted`)] },
      undefined,
      "layers[1]: a layer of the media type",
    ],
    [
      "a traversal: CVE-2024-3727",
      { ...manifest, layers: [{ ...layer, digest: "sha256:../../../../etc/passwd" }] },
      undefined,
      "layers[0].digest",
    ],
    [
      "an unknown algorithm",
      { ...manifest, config: { ...config, digest: "md5:00" } },
      undefined,
      'config.digest: "md5:00" is not a digest',
    ],
    [
      "a negative size",
      { ...manifest, config: { ...config, size: -1 } },
      undefined,
      "config.size: must be a whole number",
    ],
    ["a size too large to count", { ...manifest, layers: [{ ...layer, size: 2 ** 60 }] }, undefined, "layers[0].size"],
    ["a huge config", { ...manifest, config: { ...config, size: 2 ** 30 } }, undefined, "config: 1073741824 bytes"],
    ["no layers", { ...manifest, layers: undefined }, undefined, "layers: an array is missing"],
    [
      "too many layers",
      { ...manifest, layers: Array(501).fill(layer) },
      undefined,
      "layers: has 501 elements, 500 are allowed",
    ],
    [
      "a digest that is a number",
      { ...manifest, layers: [{ ...layer, digest: 5 }] },
      undefined,
      "layers[0].digest: must be a string, but is 5",
    ],
    [
      "urls that are a string",
      { ...manifest, layers: [{ ...layer, urls: "x" }] },
      undefined,
      "layers[0].urls: must be an array",
    ],
    [
      "a platform without an architecture",
      { ...index, manifests: [{ ...index.manifests[0], platform: { os: "linux" } }] },
      undefined,
      "manifests[0].platform.architecture: a string is missing",
    ],
    ["too many bytes: CVE-2023-25153", " ".repeat(MAX_MANIFEST + 1), undefined, "4194304 are allowed"],
  ])("refuses %s", (_, value, mediaType, why) => {
    const raw = value instanceof Uint8Array ? value : bytes(value)
    expect(() => readManifest(raw, "the manifest of x", mediaType)).toThrow(why)
  })

  test("attestations and artifacts are not run", () => {
    const attestation = {
      ...described(types.OCI_MANIFEST),
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    }
    expect(isRunnable(attestation)).toBe(false)
    expect(isRunnable(described("application/spdx+json"))).toBe(false)
    const typed = (artifactType: string) => {
      const manifests = [{ ...described(types.OCI_MANIFEST), artifactType }]
      const index = readManifest(bytes({ schemaVersion: 2, mediaType: types.OCI_INDEX, manifests }), "x")
      return index.kind === "index" && index.manifests.every(isRunnable)
    }
    expect(typed("application/vnd.example.sbom")).toBe(false)
    expect(typed(types.OCI_CONFIG)).toBe(true)
    expect(isRunnable(described(types.DOCKER_MANIFEST))).toBe(true)
  })

  test("mangled documents end in an error with words, never in another (seed 1)", () => {
    const { int, pick } = random(1)
    const text = JSON.stringify({ ...manifest, annotations: { a: "b" } })
    const whole = [...'{}[],:"0-9e\\null']
    for (let i = 0; i < 5000; i++) {
      const at = int(0, text.length - 1)
      const mangled = text.slice(0, at) + pick(whole) + text.slice(at + int(0, 3))
      try {
        read(mangled)
      } catch (error) {
        expect(error).toHaveProperty("name", "ToyboxError")
      }
    }
  })
})

describe("layerType", () => {
  test.each([
    [types.OCI_LAYER, "none", false],
    [`${types.OCI_LAYER}+gzip`, "gzip", false],
    [`${types.OCI_LAYER}+zstd`, "zstd", false],
    ["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "gzip", true],
    [types.DOCKER_LAYER, "none", false],
    [`${types.DOCKER_LAYER}.gzip`, "gzip", false],
    ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "gzip", true],
  ] as const)("%s", (mediaType, compression, foreign) => {
    expect(types.layerType(mediaType)).toEqual({ compression, foreign })
  })

  test.each([types.OCI_EMPTY, "text/plain", `${types.OCI_LAYER}+bzip2`, `${types.OCI_LAYER}+gzip+encrypted`])(
    "not %s",
    (mediaType) => {
      expect(types.layerType(mediaType)).toBeNull()
    },
  )
})

describe("readConfig", () => {
  const diff = digestOf("layer")
  const image = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [diff] } }
  const readImage = (value: unknown) => readConfig(bytes(value), "the config of x")

  test("all that a container needs, in the specification's words", () => {
    const Healthcheck = { Test: ["CMD", "true"], Interval: 5e9, Retries: 3 }
    const found = readImage({
      ...image,
      variant: "v2",
      config: {
        User: "1:2",
        Env: ["A=b"],
        Entrypoint: ["/e"],
        Cmd: null,
        WorkingDir: "/w",
        Volumes: { "/data": {} },
        ExposedPorts: { "80/tcp": {} },
        Labels: { a: "b" },
        StopSignal: "SIGINT",
        Healthcheck,
        OnBuild: null,
      },
      history: [{ created_by: "RUN x", empty_layer: true }, {}],
    })
    expect(found).toEqual({
      platform: { os: "linux", architecture: "amd64", variant: "v2" },
      config: {
        User: "1:2",
        Env: ["A=b"],
        Entrypoint: ["/e"],
        Cmd: [],
        WorkingDir: "/w",
        Volumes: ["/data"],
        ExposedPorts: ["80/tcp"],
        Labels: { a: "b" },
        StopSignal: "SIGINT",
        Healthcheck,
      },
      diffIds: [diff],
      history: [{ created_by: "RUN x", empty_layer: true }, { empty_layer: false }],
    })
  })

  test("a command that is no list is one word, as docker has it", () => {
    const found = readImage({ ...image, config: { Entrypoint: "/bin/a b", Cmd: "c", OnBuild: ["RUN x"] } })
    expect(found.config).toMatchObject({ Entrypoint: ["/bin/a b"], Cmd: ["c"], OnBuild: ["RUN x"] })
    expect(() => readImage({ ...image, config: { Env: "A=b" } })).toThrow("config.Env: must be an array")
  })

  test("what does not say what it is for is for this machine, as docker has it", () => {
    const silent = { rootfs: image.rootfs }
    expect(readImage(silent).platform).toEqual(hostPlatform())
    expect(readImage({ ...silent, os: "", architecture: "" }).platform).toEqual(hostPlatform())
  })

  test("an image from nothing", () => {
    const found = readImage({ ...image, config: null, rootfs: { type: "layers", diff_ids: null } })
    expect(found).toMatchObject({ diffIds: [], config: { Env: [], Cmd: [], User: "" }, history: [] })
  })

  test.each([
    [{ ...image, rootfs: undefined }, "rootfs: an object is missing"],
    [{ ...image, rootfs: { type: "chain" } }, 'rootfs.type: must be "layers"'],
    [{ ...image, rootfs: { type: "layers", diff_ids: ["sha256:../x"] } }, "rootfs.diff_ids[0]"],
    [{ ...image, os: 1 }, "os: must be a string, but is 1"],
    [{ ...image, config: { Env: ["A=\0"] } }, "config.Env[0]: has a NUL"],
    [{ ...image, config: { Cmd: 3 } }, "config.Cmd: must be an array, but is 3"],
    [{ ...image, config: { Labels: { a: 1 } } }, 'config.Labels["a"]: must be a string'],
    [{ ...image, config: { Volumes: [] } }, "config.Volumes: must be an object, but is an array"],
  ])("refuses %j", (value, why) => {
    expect(() => readImage(value)).toThrow(why)
  })
})

describe("chainIds", () => {
  test("as the specification computes them", () => {
    const [a, b, c] = ["a", "b", "c"].map((text) => digestOf(text)) as [string, string, string]
    const ab = digestOf(`${a} ${b}`)
    expect(chainIds([a, b, c])).toEqual([a, ab, digestOf(`${ab} ${c}`)])
    expect(chainIds([])).toEqual([])
  })
})
