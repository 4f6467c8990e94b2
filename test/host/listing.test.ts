/** Podman's ways to list: --sort, --noheading, --watch; and logs --details. */
import { afterEach, describe, expect, test } from "bun:test"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { startToybox, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

async function succeed(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await toybox(words)
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.trimEnd()
}
const lines = async (...words: string[]) => (await succeed(...words)).split("\n")

describe.skipIf(!isRoot)("lists", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("--format table is the table that there is without it", async () => {
    await succeed(...ownRun("-d", "--name", "shown", "base", "sleep", "1000"))
    await succeed("volume", "create", "data")
    for (const words of [["ps", "-a"], ["df"], ["volume", "ls"], ["network", "ls"], ["images"]])
      expect(await lines(...words, "--format", "table")).toEqual(await lines(...words))
    const stats = ["stats", "--no-stream", "--interval", "0.1"]
    const heads = await Promise.all([stats, [...stats, "--format", "table"]].map(async (words) => lines(...words)))
    expect(heads[0]?.[0]?.split(/ {2,}/)).toEqual(heads[1]?.[0]?.split(/ {2,}/))
    await succeed("volume", "rm", "data")
  })

  test("ps --sort and --noheading", async () => {
    await succeed(...ownRun("--name", "zwei", "base", "sh", "-c", "head -c 5000 /dev/zero > /x"))
    await succeed(...ownRun("--name", "eins", "base", "true"))
    await succeed(...ownRun("-d", "--name", "drei", "base", "sleep", "1000"))
    const names = (...words: string[]) => lines("ps", "-a", "--format", "{{.Names}}", ...words)
    expect(await names()).toEqual(["drei", "eins", "zwei"])
    expect(await names("--sort", "names")).toEqual(["drei", "eins", "zwei"])
    expect(await names("--sort", "command")).toEqual(["zwei", "drei", "eins"])
    expect((await names("--sort=size")).at(-1)).toBe("zwei")
    expect((await names("--sort", "status")).at(-1)).toBe("drei")
    expect(await lines("ps", "-a", "--noheading")).toHaveLength(3)
    expect(await lines("ps", "--noheading", "--format", "table {{.Names}}\t{{.State}}")).toEqual(["drei   running"])
    await succeed("rm", "-f", "drei")
    expect(await toybox(["ps", "--noheading"])).toMatchObject({ exitCode: 0, stdout: "" })
    const wrong = await toybox(["ps", "--sort", "colour"])
    expect(wrong).toMatchObject({ exitCode: 125, stderr: expect.stringContaining('--sort: "colour" is not known') })
  })

  test("ps --watch looks again and again", async () => {
    const watching = await startToybox(["ps", "--noheading", "--format", "{{.Names}} is {{.State}}", "--watch", "1"])
    await succeed(...ownRun("-d", "--name", "seen", "base", "sleep", "1000"))
    await watching.waitFor("seen is running")
    await succeed("pause", "seen")
    await watching.waitFor("seen is paused")
    watching.kill("SIGINT")
    expect((await watching.wait()).exitCode).not.toBe(125)
    expect(await toybox(["ps", "--watch", "0"])).toMatchObject({ exitCode: 125 })
  })

  test("images --sort and --noheading", async () => {
    await succeed(...ownRun("--name", "seed", "base", "true"))
    for (const name of ["b:2", "a:3", "c:1"]) await succeed("commit", "--change", `ENV N=${name}`, "seed", name)
    const names = (...words: string[]) => lines("images", "--format", "{{.Repository}}:{{.Tag}}", ...words)
    expect(await names("--sort", "repository")).toEqual(["a:3", "b:2", "c:1"])
    expect(await names("--sort", "tag")).toEqual(["c:1", "b:2", "a:3"])
    expect(await names("--sort", "created")).toEqual(["c:1", "a:3", "b:2"])
    expect(await lines("images", "-n")).toHaveLength(3)
    expect(await toybox(["images", "--sort", "colour"])).toMatchObject({ exitCode: 125 })
  })

  test("logs --details has nothing to add", async () => {
    await succeed(...ownRun("-d", "--name", "told", "base", "echo", "hello"))
    await succeed("wait", "told")
    expect(await succeed("logs", "--details", "-n", "1", "told")).toBe("hello")
  })
})
