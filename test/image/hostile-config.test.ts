/** Images whose configs are made to be a nuisance. */
import { afterAll, describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { dockerArchive } from "../helpers/saved.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
// Red, a title for the window, and a line that hides what was before it.
const COMMANDS = "\x1b[31m\x1b]0;title\x07\rtext"

function load(config: Record<string, unknown>) {
  const file = join(temporaryDirectory("saved"), "image.tar")
  writeFileSync(file, dockerArchive([{ layers: [tarOf(makeRoot())], tags: ["hostile/app:1"], config }]))
  return toybox(["load", "-q", "-i", file])
}

describe.skipIf(!isRoot)("a hostile config", () => {
  afterAll(async () => {
    await toybox(["rmi", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test.each([
    ["stop signal", { StopSignal: COMMANDS }],
    ["user", { User: COMMANDS }],
    ["command", { Cmd: [COMMANDS] }],
    ["volume", { Volumes: { [`/proc/${COMMANDS}`]: {} } }],
  ])("does not speak to the terminal by its %s", async (_, config) => {
    expect((await load({ Cmd: ["true"], ...config })).exitCode).toBe(0)
    const { stderr, exitCode } = await toybox(ownRun("--rm", "hostile/app:1"))
    expect(exitCode).toBeGreaterThan(124)
    expect(stderr).toContain("?[31m?]0;title??text")
    expect(stderr.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u)
  })

  test("is not waited for where a layout has a FIFO in its place", async () => {
    const dir = temporaryDirectory("layout")
    writeFileSync(join(dir, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}')
    Bun.spawnSync(["mkfifo", join(dir, "index.json")])
    const { stderr, exitCode } = await toybox(["pull", `oci:${dir}`], { timeoutSeconds: 5 })
    expect({ exitCode, told: stderr.includes(`index.json of ${dir} is not JSON`) }).toEqual({
      exitCode: 125,
      told: true,
    })
  })

  test("does not ask for more volumes than anybody needs", async () => {
    const Volumes = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`/v${i}`, {}]))
    const { stderr, exitCode } = await load({ Cmd: ["true"], Volumes })
    expect({ exitCode, stderr }).toEqual({ exitCode: 125, stderr: expect.any(String) })
    expect(stderr).toContain("config.Volumes: has 1001 elements, 1000 are allowed")
  })
})
