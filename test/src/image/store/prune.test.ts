/** Images that are pruned while others use the store. */
import { describe, expect, test } from "bun:test"
import { chmodSync } from "node:fs"
import { pruneImages } from "../../../../src/image/store/prune.ts"
import { type ImageRecord, listImages, writeImage } from "../../../../src/image/store/records.ts"
import type { Users } from "../../../../src/image/store/remove.ts"
import { ensurePaths, type Paths, pathsFor } from "../../../../src/paths.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"

cleanUpAfterAll()

const id = (digit: string) => `sha256:${digit.repeat(64)}`
const record = (name: string, digit: string): ImageRecord => ({
  ...{ name, id: id(digit), manifest: id(digit), digest: id(digit), platform: "linux/amd64", layers: [], size: 0 },
  pulled: new Date().toISOString(),
})

/** A store with two images, and users that do something when they are asked for the first time. */
function store(meanwhile: (paths: Paths, used: Map<string, string[]>) => void) {
  const root = temporaryDirectory("store")
  chmodSync(root, 0o700)
  const paths = pathsFor(root)
  ensurePaths(paths)
  writeImage(paths, record("example.org/a:1", "a"))
  writeImage(paths, record("example.org/b:1", "b"))
  const used = new Map<string, string[]>()
  let asked = false
  const users: Users = {
    ofImages: () => {
      const now = new Map(used)
      if (!asked) meanwhile(paths, used)
      asked = true
      return now
    },
    ofRoots: () => new Map(),
  }
  return { paths, users }
}

const left = (paths: Paths) => listImages(paths).map(({ name, id }) => `${name} ${id.slice(7, 8)}`)

describe("what is pruned", () => {
  test("is not an image of which a container has just been made", async () => {
    const { paths, users } = store((_, used) => used.set(id("a"), ["container"]))
    expect((await pruneImages(paths, users, true, () => true)).names).toEqual(["example.org/b:1"])
    expect(left(paths)).toEqual(["example.org/a:1 a"])
  })

  test("is not a name that has just been given to another image", async () => {
    const { paths, users } = store(() => {})
    const give = (image: ImageRecord) => {
      if (image.name === "example.org/a:1") writeImage(paths, record(image.name, "c"))
      return true
    }
    expect((await pruneImages(paths, users, true, give)).names).toEqual(["example.org/b:1"])
    expect(left(paths)).toEqual(["example.org/a:1 c"])
  })
})
