/** The names of images: who has which, what they are found by, and what becomes of those that lose theirs. */
import { afterEach, describe, expect, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { succeed, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** An image of one layer, whose /srv/what says what it is. Returns its id. */
async function make(name: string | null, what: string, ...changes: string[]): Promise<string> {
  const root = makeRoot({ files: { "srv/what": what } })
  const words = ["import", "-q", ...changes.flatMap((change) => ["-c", change]), "-"]
  return succeed([...words, ...(name === null ? [] : [name])], { stdin: tarOf(root) })
}

afterEach(async () => {
  await toybox(["rm", "--all", "--force"])
  await toybox(["rmi", "--all", "--force"])
  expect(await ownLeftovers()).toEqual([])
})

describe.skipIf(!isRoot)("names of images", () => {
  test("are not what there is in the current directory", async () => {
    const cwd = temporaryDirectory("here")
    mkdirSync(join(cwd, "one"))
    writeFileSync(join(cwd, "two"), "")
    await make("one", "1", "CMD true")
    for (const words of [
      ["inspect", "one"],
      ["history", "one"],
      ["save", "-q", "-o", join(cwd, "x.tar"), "one"],
    ])
      expect(await toybox(words, { cwd })).toMatchObject({ exitCode: 0 })
    expect(await toybox(["tag", "one", "two"], { cwd })).toMatchObject({ exitCode: 0 })
    const pulled = await toybox(["pull", "--policy", "never", "two"], { cwd })
    expect(pulled).toMatchObject({ exitCode: 0 })
    expect((await toybox(["inspect", "./one"], { cwd })).stderr).toContain("no such container, image or volume: ./one")
    expect(await toybox(["rmi", "two"], { cwd })).toMatchObject({ exitCode: 0 })
  })

  test("are free where containers are of other images, of the same layers or of more", async () => {
    const id = await make("base-image", "1", "CMD true")
    const [container = ""] = (await succeed(["create", "base-image"])).split("\n")
    await succeed(["commit", "-q", "-c", "LABEL a=b", container, "more"])
    await succeed(["rm", container])
    await succeed(["create", "--name", "of-more", "more"])
    const [found] = JSON.parse(await succeed(["inspect", "of-more"]))
    const [more] = JSON.parse(await succeed(["inspect", "more"]))
    expect([found.Image, found.Config.Image]).toEqual([more.Id, "more:latest"])
    expect(await succeed(["df", "-v", "--json"]).then((line) => JSON.parse(line).images)).toMatchObject([
      { names: ["docker.io/library/more:latest"], containers: [found.Id] },
      { image: { id }, containers: [] },
    ])
    expect(await toybox(["rmi", "more"])).toMatchObject({ exitCode: 1 })
    await succeed(["rmi", "base-image"])
    // Its layer stays, for it is the other's, too.
    expect(await succeed(["start", "-a", "of-more"])).toBe("")
  })
})
