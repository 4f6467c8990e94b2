/** Archives of images, honest and hostile ones. */
import { describe, expect, test } from "bun:test"
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { errorChain, ToyboxError } from "../../../../src/errors.ts"
import { digestOf } from "../../../../src/image/digest.ts"
import { archivedImages } from "../../../../src/image/saved/content.ts"
import { loadImage } from "../../../../src/image/saved/load.ts"
import { openImageArchive } from "../../../../src/image/saved/open.ts"
import { openImage } from "../../../../src/image/store/open.ts"
import { listImages } from "../../../../src/image/store/records.ts"
import { ensurePaths, type Paths, pathsFor } from "../../../../src/paths.ts"
import { TestLayout } from "../../../helpers/oci-layout.ts"
import { configOf, dockerArchive, layerOf } from "../../../helpers/saved.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"
import { END, gnuLong, type HandMade, tarArchive, tarEntry } from "../../../helpers/tar.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const signal = new AbortController().signal

function freshStore(): Paths {
  const root = temporaryDirectory("store")
  chmodSync(root, 0o700)
  const paths = pathsFor(root)
  ensurePaths(paths)
  return paths
}

async function load(bytes: Uint8Array, paths = freshStore()): Promise<Paths> {
  const path = `${temporaryDirectory("archive")}/archive`
  writeFileSync(path, bytes)
  const { files, close } = await openImageArchive(path, { paths, signal })
  try {
    const options = { paths, signal, quiet: true, platform: null, notice: () => {} }
    for (const image of archivedImages(files)) await loadImage(image, options)
  } finally {
    close()
  }
  return paths
}

const names = (paths: Paths) =>
  listImages(paths)
    .map(({ name }) => name)
    .sort()
const layersOf = (paths: Paths) => readdirSync(`${paths.state}/images/layers/sha256`).sort()
const unfinished = (paths: Paths) => {
  const dir = `${paths.state}/images/layers/new`
  return existsSync(dir) ? readdirSync(dir) : []
}

const A = layerOf({ name: "a", content: "in a" })
const B = layerOf({ name: "b", content: "in b" })

/** A layout as an archive; `order` may put its files in another one. */
function layoutArchive(layout: TestLayout, ...more: HandMade[]): Buffer {
  const blobs = [...layout.blobs].map(
    ([digest, bytes]): HandMade => ({ name: `blobs/${digest.replace(":", "/")}`, content: bytes }),
  )
  const rest = ["oci-layout", "index.json"].map((name) => ({ name, content: readFileSync(`${layout.dir}/${name}`) }))
  return tarArchive(...blobs, ...rest, ...more)
}

describe.skipIf(!isRoot)("an archive of images", () => {
  test("of docker's, with several images that share a layer, under all their names", async () => {
    const bytes = dockerArchive([
      { layers: [A, B], tags: ["example.org/both:1", "both:latest"] },
      { layers: [A], tags: ["example.org/one:1"] },
      { layers: [B], tags: null },
    ])
    for (const archive of [bytes, gzipSync(bytes), zstdCompressSync(bytes)]) {
      const paths = await load(archive)
      const nameless = digestOf(configOf({ layers: [B] }))
      expect(names(paths)).toEqual([
        "docker.io/library/both:latest",
        "example.org/both:1",
        "example.org/one:1",
        nameless,
      ])
      const image = openImage(paths, "example.org/both:1")
      expect(image?.roots.map((root) => readdirSync(root))).toEqual([["b"], ["a"]])
      expect(image?.record).toMatchObject({ id: digestOf(configOf({ layers: [A, B] })), made: true })
      expect(layersOf(paths).length).toBe(3)
      expect(unfinished(paths)).toEqual([])
    }
  })

  test("of the OCI's form, by tag, by name and by containerd's annotation; digests are as they were", async () => {
    const layout = new TestLayout()
    const one = layout.image({ layers: [A, B] })
    layout.tags({ "example.org/named:3": one, only: layout.image({ layers: [A], compression: "zstd" }) })
    const paths = await load(layoutArchive(layout))
    expect(names(paths).filter((name) => !name.startsWith("sha256:"))).toEqual(["example.org/named:3"])
    expect(listImages(paths).find(({ name }) => name === "example.org/named:3")).toMatchObject({ digest: one.digest })
    expect(listImages(paths).some(({ made }) => made)).toBe(false)
    layout.tags({})
    const annotations = { "io.containerd.image.name": "docker.io/library/from:containerd" }
    writeFileSync(
      `${layout.dir}/index.json`,
      JSON.stringify({ schemaVersion: 2, manifests: [{ ...one, annotations }] }),
    )
    expect(names(await load(layoutArchive(layout)))).toEqual(["docker.io/library/from:containerd"])
  })

  test("of both forms at once has docker's names, and digests where they are of what was pulled", async () => {
    const layout = new TestLayout()
    const image = layout.image({ layers: [A] })
    layout.tags({ latest: image })
    const manifest = JSON.parse(new TextDecoder().decode(layout.blobs.get(image.digest)))
    const list = [
      {
        Config: `blobs/sha256/${manifest.config.digest.slice(7)}`,
        RepoTags: ["new:form"],
        Layers: manifest.layers.map(({ digest }: { digest: string }) => `blobs/sha256/${digest.slice(7)}`),
      },
    ]
    const paths = await load(layoutArchive(layout, { name: "manifest.json", content: JSON.stringify(list) }))
    expect(listImages(paths)).toMatchObject([{ name: "docker.io/library/new:form", digest: image.digest }])
    expect(listImages(paths)[0]?.made).toBeUndefined()
  })

  test("with links between its members, odd spellings of names, and compressed layers", async () => {
    const config = configOf({ layers: [A, B] })
    const list = [{ Config: "./c.json", RepoTags: ["x:1"], Layers: ["1/layer.tar", "/2//layer.tar"] }]
    const bytes = tarArchive(
      { name: "./manifest.json", content: JSON.stringify(list) },
      { name: "1/layer.tar", type: "2", link: "../real/a.tar.gz" },
      { name: "real/a.tar.gz", content: gzipSync(A) },
      { name: "2/layer.tar", type: "1", link: "b.tar" },
      gnuLong("L", "./b.tar"),
      { name: "short", content: B },
      { name: "c.json", content: config },
    )
    const paths = await load(bytes)
    expect(openImage(paths, "docker.io/library/x:1")?.roots.map((root) => readdirSync(root))).toEqual([["b"], ["a"]])
  })

  test("loaded twice is there once", async () => {
    const paths = freshStore()
    const bytes = dockerArchive([{ layers: [A, B] }])
    await load(bytes, paths)
    const before = layersOf(paths)
    await load(bytes, paths)
    expect(names(paths)).toEqual(["example.org/app:1"])
    expect(layersOf(paths)).toEqual(before)
  })
})

const good = dockerArchive([{ layers: [A, B] }])
const json = (value: unknown, ...members: HandMade[]) =>
  tarArchive(...members, { name: "manifest.json", content: typeof value === "string" ? value : JSON.stringify(value) })
const one = (fields: Record<string, unknown>, ...members: HandMade[]) =>
  json(
    [{ Config: "c", RepoTags: ["x:1"], Layers: ["l"], ...fields }],
    { name: "c", content: configOf({ layers: [A] }) },
    { name: "l", content: A },
    ...members,
  )
const evil = layerOf({ name: "../../outside", content: "x" })

const HOSTILE: readonly (readonly [what: string, bytes: Uint8Array, why: string])[] = [
  ["nothing", new Uint8Array(0), "is empty"],
  ["no tar", Buffer.from("hello ".repeat(1000)), "is no tar archive"],
  [
    "a root file system",
    tarArchive({ name: "etc/", type: "5" }, { name: "bin/sh", content: "x" }),
    "is no archive of images",
  ],
  ["a truncated one", good.subarray(0, good.length - 3000), "is truncated"],
  ["one cut in a layer", good.subarray(0, 700), "is truncated"],
  ["a truncated gzip", gzipSync(good).subarray(0, -40), "is truncated"],
  ["a wrong checksum", Buffer.concat([tarEntry({ name: "a", wrongBy: 1 }), END]), "is no tar archive"],
  ["a manifest that is no JSON", json("{"), "is not JSON"],
  ["a manifest that is no list", json({}), "must be an array"],
  ["a manifest with a number for a config", json([{ Config: 1 }]), "must be a string"],
  ["a huge manifest", json("x".repeat(5_000_000)), "are allowed"],
  ["a config that leads out", one({ Config: "../../../etc/passwd" }), "has no ../../../etc/passwd"],
  ["a config of the host", one({ Config: "/etc/passwd" }), "has no /etc/passwd"],
  ["a layer of the host", one({ Layers: ["/etc/passwd"] }), "has no /etc/passwd"],
  [
    "a layer that is a link to the host",
    one({ Layers: ["w"] }, { name: "w", type: "2", link: "/etc/passwd" }),
    "has no w",
  ],
  [
    "a layer that is a link out",
    one({ Layers: ["w"] }, { name: "w", type: "2", link: "../../../../etc/passwd" }),
    "has no w",
  ],
  [
    "links in a ring",
    one({ Layers: ["v"] }, { name: "v", type: "2", link: "w" }, { name: "w", type: "2", link: "v" }),
    "has no v",
  ],
  ["a layer that is a directory", one({ Layers: ["w"] }, { name: "w", type: "5" }), "has no w"],
  ["a layer that is a device", one({ Layers: ["w"] }, { name: "w", type: "3" }), "has no w"],
  ["a layer that is another one", one({ Layers: ["w"] }, { name: "w", content: B }), "but the image says"],
  ["a layer that is no tar", one({ Layers: ["c"] }), "is no tar archive"],
  [
    "a config that is another one",
    json([{ Config: `${"0".repeat(64)}.json` }], { name: `${"0".repeat(64)}.json`, content: "{}" }),
    "is not what its name says",
  ],
  ["fewer layers than the config", one({ Layers: [] }), "knows 1"],
  ["a malformed name", one({ RepoTags: ["Not A Name"] }), "Not A Name"],
  ["a digest for a name", one({ RepoTags: ["x@sha256:00"] }), "x@sha256:00"],
  ["a layer with names that lead out", dockerArchive([{ layers: [evil] }]), 'leads out with ".."'],
  [
    "a sparse member",
    tarArchive({
      name: "manifest.json",
      type: "S",
      magic: "ustar  \0",
      content: "[]",
      over: [
        [386, "00000000000\x0000000000002\x00"],
        [483, "00000000002\x00"],
      ],
    }),
    "sparse file",
  ],
  ["a name without end", tarArchive(gnuLong("L", "x".repeat(2_000_000)), { name: "x" }), "more than 1024 bytes"],
  ["a size beyond all measure", tarArchive({ name: "x", size: 8 ** 11 - 1 }), "is truncated"],
]

describe.skipIf(!isRoot)("a hostile archive of images is refused, and nothing is left:", () => {
  test.each([...HOSTILE])("%s", async (_, bytes, why) => {
    const paths = freshStore()
    const error = await load(bytes, paths).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(ToyboxError)
    expect(errorChain(error)).toContain(why)
    expect(names(paths)).toEqual([])
    expect(unfinished(paths)).toEqual([])
  })

  test("a layout whose blobs are not what they are called", async () => {
    const layout = new TestLayout()
    const image = layout.image({ layers: [A] })
    layout.tags({ "x:1": image })
    for (const digest of layout.blobs.keys()) {
      const blobs = new Map(layout.blobs)
      const damaged = Uint8Array.from(layout.blobs.get(digest) ?? [])
      damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] ?? 0) ^ 1
      layout.blobs.set(digest, damaged)
      const paths = freshStore()
      const error = await load(layoutArchive(layout), paths).catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(ToyboxError)
      expect(names(paths)).toEqual([])
      expect(unfinished(paths)).toEqual([])
      for (const [name, bytes] of blobs) layout.blobs.set(name, bytes)
    }
  })

  test("whatever byte of it is changed: loaded as it was, or told", async () => {
    const id = digestOf(configOf({ layers: [A, B] }))
    for (let at = 0; at < good.length; at += 97) {
      const bytes = Buffer.from(good)
      bytes[at] = (bytes[at] ?? 0) ^ 0x41
      const paths = freshStore()
      try {
        await load(bytes, paths)
        expect(listImages(paths).every((image) => image.id === id)).toBe(true)
      } catch (error) {
        expect(error).toBeInstanceOf(ToyboxError)
      }
      expect(unfinished(paths)).toEqual([])
    }
  })
})
