import { describe, expect, test } from "bun:test"
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { fileIdentity } from "../../../../ffi/file-identity.ts"
import { close } from "../../../../ffi/fs.ts"
import { findLayer, listCache, pruneCache, removeCached } from "../../../../src/image/cache/inventory.ts"
import {
  abandonLayer,
  beginLayer,
  finishLayer,
  holdLayer,
  layerFacts,
  layerPath,
  layerRoot,
  listLayers,
  removeAbandonedLayers,
  removeLayer,
} from "../../../../src/image/cache/layers.ts"
import { findCached, findCachedFile } from "../../../../src/image/cache/lookup.ts"
import {
  listSources,
  readSource,
  removeSource,
  type SourceRecord,
  tryLockSource,
  writeSource,
} from "../../../../src/image/cache/sources.ts"
import type { Paths } from "../../../../src/paths.ts"
import { releaseLock } from "../../../../src/state-file.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"
import { makeState } from "../../container/temp-state.ts"

cleanUpAfterAll()

const FACTS = { bytes: 10, entries: 2, created: "2026-01-01T00:00:00.000Z" }
const digest = (letter: string) => `sha256:${letter.repeat(64)}`

/** A finished layer that nobody holds any more. */
function addLayer(paths: Paths, name: string): string {
  const layer = beginLayer(paths)
  writeFileSync(join(layer.path, "root/name"), name)
  const root = finishLayer(paths, layer, name, FACTS, "to be")
  close(layer.fd)
  return root
}

const record = (name: string, diffId: string, more: Partial<SourceRecord> = {}): SourceRecord => ({
  kind: "address",
  name,
  diffId,
  digests: [],
  size: 1,
  created: FACTS.created,
  ...more,
})

describe("a layer", () => {
  test("appears at once and whole", () => {
    const paths = makeState()
    const layer = beginLayer(paths)
    expect(holdLayer(paths, digest("a"))).toBeNull()
    expect(listLayers(paths)).toEqual([])
    const root = finishLayer(paths, layer, digest("a"), FACTS, "to be")
    expect(root).toBe(layerRoot(layerPath(paths, digest("a"))))
    expect(existsSync(root)).toBe(true)
    expect(layerFacts(paths, digest("a"))).toEqual(FACTS)
    expect(listLayers(paths)).toEqual([digest("a")])
    expect(readdirSync(join(paths.layers, "new"))).toEqual([])
  })

  test("that another was faster with stays, and the second is removed", () => {
    const paths = makeState()
    const [first, second] = [beginLayer(paths), beginLayer(paths)]
    writeFileSync(join(first.path, "root/first"), "")
    const root = finishLayer(paths, first, digest("b"), FACTS, "to be")
    expect(finishLayer(paths, second, digest("b"), FACTS, "to be")).toBe(root)
    expect(readdirSync(root)).toEqual(["first"])
    expect(readdirSync(join(paths.layers, "new"))).toEqual([])
  })

  test("that is not on the disk yet counts until the next boot, and for good once it is", () => {
    const paths = makeState()
    const make = (created: string) => {
      const layer = beginLayer(paths)
      finishLayer(paths, layer, digest("f"), { ...FACTS, created }, "until boot")
      close(layer.fd)
      return `${layerPath(paths, digest("f"))}/layer.json`
    }
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
    for (const text of [JSON.stringify({ ...FACTS, boot: "another" }), "", '{"bytes":1']) {
      writeFileSync(make(FACTS.created), text)
      expect(holdLayer(paths, digest("f"))).toBeNull()
      expect(listLayers(paths)).toEqual([])
    }
    const created = new Date().toISOString()
    const file = make(created)
    expect(holdLayer(paths, digest("f"))).not.toBeNull()
    expect(layerFacts(paths, digest("f"))).toEqual({ ...FACTS, created, boot })
    // Made when the clock was wrong, perhaps.
    for (const other of [FACTS.created, "2199-01-01T00:00:00.000Z"]) {
      writeFileSync(file, JSON.stringify({ ...FACTS, created: other, boot }))
      expect(holdLayer(paths, digest("f"))).not.toBeNull()
      expect(layerFacts(paths, digest("f"))).toEqual({ ...FACTS, created: other })
    }
  })

  test("that is removed as soon as it is there is told, and can be abandoned then", () => {
    const paths = makeState()
    const layer = beginLayer(paths)
    rmSync(join(layer.path, "root"), { recursive: true })
    expect(() => finishLayer(paths, layer, digest("9"), FACTS, "to be")).toThrow("as soon as it was there")
    // The number would be somebody else's.
    const next = openSync("/dev/null", "r")
    expect(next).not.toBe(layer.fd)
    abandonLayer(layer)
    closeSync(next)
  })

  test("that is kept by somebody can be held while others would remove it", () => {
    const paths = makeState()
    addLayer(paths, digest("c"))
    const held: unknown[] = []
    const isKept = () => {
      held.push(holdLayer(paths, digest("c")))
      return true
    }
    expect(removeLayer(paths, digest("c"), isKept)).toBe(false)
    expect(held).toEqual([layerRoot(layerPath(paths, digest("c")))])
  })

  test("that is held, or kept by somebody, is not removed", () => {
    const paths = makeState()
    addLayer(paths, digest("c"))
    expect(removeLayer(paths, digest("c"), () => true)).toBe(false)
    const root = holdLayer(paths, digest("c"))
    expect(root).not.toBeNull()
    expect(removeLayer(paths, digest("c"), () => false)).toBe(false)
    expect(existsSync(root ?? "")).toBe(true)
    addLayer(paths, digest("d"))
    expect(removeLayer(paths, digest("d"), () => false)).toBe(true)
    expect(holdLayer(paths, digest("d"))).toBeNull()
    expect(removeLayer(paths, digest("d"), () => false)).toBe(true)
    expect(readdirSync(join(paths.layers, "new"))).toEqual([])
  })

  test("that is just being removed is not there", () => {
    const paths = makeState()
    addLayer(paths, digest("e"))
    let during: string | null = ""
    let asked = 0
    removeLayer(paths, digest("e"), () => {
      if (++asked === 1) return false
      during = holdLayer(paths, digest("e"))
      return true
    })
    expect(during).toBeNull()
    // Moved away between open and lock: as after the rename of a removal.
    renameSync(layerRoot(layerPath(paths, digest("e"))), join(paths.layers, "gone"))
    expect(holdLayer(paths, digest("e"))).toBeNull()
  })

  test("unfinished is removed by its maker, or after it, and not while it is being made", () => {
    const paths = makeState()
    const mine = beginLayer(paths)
    mkdirSync(join(paths.layers, "new/1.0/root/deep"), { recursive: true })
    removeAbandonedLayers(paths)
    expect(existsSync(mine.path)).toBe(true)
    expect(readdirSync(join(paths.layers, "new"))).toHaveLength(1)
    abandonLayer(mine)
    expect(readdirSync(join(paths.layers, "new"))).toEqual([])
  })

  test("is never a path made of something else", () => {
    const paths = makeState()
    for (const text of ["", "../../etc", "sha256:../x", `sha256:${"A".repeat(64)}`, "a".repeat(64)])
      expect(() => layerPath(paths, text)).toThrow("is not a SHA-256 digest")
  })
})

describe("a source", () => {
  test("is found by kind and name", () => {
    const paths = makeState()
    writeSource(paths, record("http://h/x", digest("a")))
    expect(readSource(paths, "address", "http://h/x")?.diffId).toBe(digest("a"))
    expect(readSource(paths, "file", "http://h/x")).toBeNull()
    expect(readSource(paths, "address", "http://h/y")).toBeNull()
    writeSource(paths, record("http://h/x", digest("b")))
    expect(listSources(paths).map(({ diffId }) => diffId)).toEqual([digest("b")])
    removeSource(paths, "address", "http://h/x")
    expect(readdirSync(paths.sources)).toEqual([])
  })

  test("cut short by a power cut is none", () => {
    const paths = makeState()
    writeSource(paths, record("x", digest("a")))
    const [file] = readdirSync(paths.sources)
    for (const text of ["", '{"kind":"addr', "null"]) {
      writeFileSync(join(paths.sources, file ?? ""), text)
      expect(readSource(paths, "address", "x")).toBeNull()
      expect(listSources(paths)).toEqual([])
    }
  })

  test("counts only with its layer, the digest that is asked for, and the file as it was", async () => {
    const paths = makeState()
    const file = join(temporaryDirectory(), "archive.tar")
    writeFileSync(file, "one")
    const known = { kind: "file", digests: [digest("1")], identity: fileIdentity(file) ?? "" } as const
    writeSource(paths, record(file, digest("a"), known))
    expect(findCachedFile(paths, file, null)).toBeNull()
    const root = addLayer(paths, digest("a"))
    expect(findCachedFile(paths, file, null)).toBe(root)
    expect(findCachedFile(paths, file, digest("1"))).toBe(root)
    expect(findCachedFile(paths, file, digest("2"))).toBeNull()
    expect(findCached(paths, "file", file, digest("1"))?.root).toBe(root)
    await Bun.sleep(20)
    writeFileSync(file, "two")
    expect(findCachedFile(paths, file, null)).toBeNull()
    expect(findCachedFile(paths, `${file}.none`, null)).toBeNull()
  })

  test("has one that unpacks it at a time", () => {
    const paths = makeState()
    const lock = tryLockSource(paths, "file", "/x")
    expect(lock).not.toBeNull()
    expect(tryLockSource(paths, "file", "/x")).toBeNull()
    const other = tryLockSource(paths, "file", "/y")
    if (lock) releaseLock(lock)
    const again = tryLockSource(paths, "file", "/x")
    expect(again).not.toBeNull()
    for (const held of [other, again]) if (held) releaseLock(held)
    expect(readdirSync(paths.sources)).toEqual([])
  })
})

describe("the inventory", () => {
  test("lists, finds, removes and prunes", () => {
    const paths = makeState()
    const [a, b] = [addLayer(paths, digest("a")), addLayer(paths, digest("b"))]
    writeSource(paths, record("/x.tar", digest("a"), { kind: "file" }))
    writeSource(paths, record("http://h/x", digest("b")))
    writeSource(paths, record("http://h/lost", digest("c")))
    const users = new Map([[a, ["container"]]])
    const layers = listCache(paths, users)
    expect(layers.map(({ digest }) => digest).sort()).toEqual([digest("a"), digest("b")])
    expect(layers.find((layer) => layer.digest === digest("a"))).toMatchObject({ usedBy: ["container"], size: 10 })
    expect(findLayer(layers, "x.tar", "/x.tar")?.digest).toBe(digest("a"))
    expect(findLayer(layers, "http://h/x", "/none")?.digest).toBe(digest("b"))
    expect(findLayer(layers, "aaaa", "/none")?.digest).toBe(digest("a"))
    expect(findLayer(layers, "aaa", "/none")).toBeNull()
    expect(findLayer(layers, "cccc", "/none")).toBeNull()
    const [layer] = layers.filter(({ digest: own }) => own === digest("a"))
    if (!layer) throw new Error("no layer")
    expect(() => removeCached(paths, layer, () => users)).toThrow("is in use by container container")
    expect(pruneCache(paths, () => users).map(({ digest }) => digest)).toEqual([digest("b")])
    expect(existsSync(b)).toBe(false)
    expect(listSources(paths).map(({ name }) => name)).toEqual(["/x.tar"])
    removeCached(paths, layer, () => new Map())
    expect(listSources(paths)).toEqual([])
    expect(listLayers(paths)).toEqual([])
  })
})
