/** Containers on as many layers as can be mounted: what they wrote comes on top. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { dockerArchive, layerOf } from "../helpers/saved.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { succeed, toybox, toyboxBytes } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)("a container on 127 layers", () => {
  beforeAll(async () => {
    const more = Array.from({ length: 126 }, (_, i) => layerOf({ name: `many-${i}`, content: `${i}` }))
    const file = join(temporaryDirectory("saved"), "image.tar")
    writeFileSync(file, dockerArchive([{ layers: [tarOf(makeRoot()), ...more], tags: ["most/app:1"] }]))
    await succeed(["load", "-q", "-i", file])
    await succeed(ownRun("--name", "written", "most/app:1", "sh", "-c", "echo mine > /mine; rm /many-3"))
  }, 60_000)

  afterAll(async () => {
    await toybox(["rm", "--all", "--force"])
    await toybox(["rmi", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("is exported with all of them", async () => {
    const { stdout, stderr, exitCode } = await toyboxBytes(["export", "-q", "written"])
    expect({ stderr: String(stderr), exitCode }).toEqual({ stderr: "", exitCode: 0 })
    const names = Bun.spawnSync(["tar", "-t"], { stdin: stdout }).stdout.toString().split("\n")
    expect(names).toContain("mine")
    expect(names.filter((name) => name.startsWith("many-"))).toHaveLength(125)
  })

  test("is not committed: nobody could run that", async () => {
    const { stderr, exitCode } = await toybox(["commit", "-q", "written", "most/app:2"])
    expect({ exitCode, stderr }).toEqual({
      exitCode: 125,
      stderr:
        "toybox: the image of written has 127 layers already, and at most 127 can be mounted\n" +
        "toybox: hint: toybox export written | toybox import - NAME makes an image of one layer\n",
    })
    expect(await succeed(["images", "--format", "{{.Tag}}"])).toBe("1")
  })
})
