/** toybox logs: what a detached container has written, byte for byte. */
import { afterEach, describe, expect, test } from "bun:test"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, toybox, toyboxBytes } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const run = (name: string, script: string) => toybox(ownRun("-d", "--name", name, "base", "sh", "-c", script))

describe.skipIf(!isRoot)("logs", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("-f shows all until the end, the streams told apart; then --tail, --timestamps, --since", async () => {
    await run("lines", "echo one; echo two >&2; sleep 0.5; echo three; printf end")
    const followed = await toybox(["logs", "-f", "lines"])
    expect(followed).toMatchObject({ stdout: "one\nthree\nend", stderr: "two\n", exitCode: 0 })
    expect(await toybox(["logs", "--tail", "2", "lines"])).toMatchObject({ stdout: "three\nend", stderr: "" })
    expect((await toybox(["logs", "-t", "lines"])).stdout).toMatch(/^\d{4}\S+Z one\n\d{4}\S+Z three\n\d{4}\S+Z end$/)
    expect((await toybox(["logs", "--since", "1h", "lines"])).stdout).toBe("one\nthree\nend")
    expect((await toybox(["logs", "--until", "1h", "lines"])).stdout).toBe("")
  })

  test("bytes that are no text, and lines beyond every buffer, stay as they are", async () => {
    const script =
      'head -c 300000 /dev/zero; echo; i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %03o $i)"; i=$((i+1)); done'
    await run("bytes", script)
    await toybox(["logs", "-f", "bytes"])
    const { stdout } = await toyboxBytes(["logs", "bytes"])
    const all = Uint8Array.from({ length: 256 }, (_, i) => i)
    expect(stdout.equals(Buffer.concat([Buffer.alloc(300_000), Buffer.from("\n"), all]))).toBe(true)
  })

  test("a full disk loses output, and neither the container nor its exit code", async () => {
    const state = temporaryDirectory()
    Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "tmpfs", state])
    try {
      const root = ["--root", state]
      const script = "yes 0123456789 | head -n 4000000; exit 3"
      await toybox(["run", ...root, "-d", "--name", "full", "base", "sh", "-c", script])
      expect((await toybox(["wait", ...root, "full"])).stdout).toBe("3\n")
      const lines = (await toybox(["logs", ...root, "full"])).stdout.trimEnd().split("\n")
      expect(lines.length).toBeGreaterThan(1000)
      // Where something is lost a line may be without its end, or its beginning.
      const cut = lines.filter((line) => line !== "0123456789")
      expect(cut.length).toBeLessThan(lines.length / 100)
      expect(cut.join("")).toMatch(/^\d*$/)
      await toybox(["rm", ...root, "full"])
    } finally {
      Bun.spawnSync(["umount", "-l", state])
    }
  })

  test("a follower sees a line while the container runs, and ends when its supervisor is killed", async () => {
    const { stdout } = await run("live", "sleep 0.3; echo now; sleep 1000")
    const follower = await startToybox(["logs", "-f", "live"])
    await follower.waitFor("now")
    expect((await toybox(["rm", "-f", stdout.trim()])).exitCode).toBe(0)
    expect((await follower.wait()).exitCode).toBe(0)
  })

  test("a container of the foreground has none, and a wrong time is told", async () => {
    await toybox(ownRun("--name", "front", "base", "true"))
    expect((await toybox(["logs", "front"])).stderr).toContain("has no log")
    expect((await toybox(["logs", "--since", "soon", "front"])).stderr).toContain('"soon" is no time')
  })
})
