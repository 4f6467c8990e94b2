/** toybox logs: what a detached container has written, byte for byte. */
import { afterEach, describe, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox, toyboxBytes } from "../helpers/toybox.ts"

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
    // To the nanosecond, both ends included: who goes on from the last line he has gets no other once more.
    const [time = ""] = (await toybox(["logs", "-t", "lines"])).stdout.split(" ")
    const next = time.replace(/\d{9}/, (nanoseconds) => String(Number(nanoseconds) + 1).padStart(9, "0"))
    expect((await toybox(["logs", "--until", time, "lines"])).stdout).toBe("one\n")
    expect((await toybox(["logs", "--since", time, "lines"])).stdout).toBe("one\nthree\nend")
    expect((await toybox(["logs", "--since", next, "lines"])).stdout).toBe("three\nend")
    expect((await toybox(["logs", "--tail=-5", "lines"])).stdout).toBe("one\nthree\nend")
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

  test("--log-opt limits what is kept, --log-driver none keeps nothing, and both are told", async () => {
    const script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done"
    const limits = ["--log-opt", "max-size=20k", "--log-opt", "max-file=2"]
    await toybox(ownRun("-d", ...limits, "--name", "little", "base", "sh", "-c", script))
    const none = ["--log-driver", "none", "--name", "nothing"]
    const { stdout } = await toybox(ownRun("-d", ...none, "base", "sh", "-c", `${script}; exit 4`))
    await toybox(["wait", "little"])
    expect((await toybox(["wait", "nothing"])).stdout).toBe("4\n")
    const lines = (await toybox(["logs", "little"])).stdout.trimEnd().split("\n")
    // Two files of 20 kB, of lines that take 50 bytes; the last one has begun at any rate.
    expect(lines.length).toBeGreaterThan(100)
    expect(lines.length).toBeLessThan(900)
    expect(lines).toEqual(Array.from(lines, (_, i) => `line ${5000 - lines.length + i}`))
    expect(await toybox(["logs", "nothing"])).toMatchObject({ stdout: "", exitCode: 125 })
    expect((await toybox(["logs", "nothing"])).stderr).toContain("has no log: it ran with --log-driver none")
    expect(readdirSync(join(stateRoot(), "containers", stdout.trim())).filter((name) => name.includes(".log"))).toEqual(
      [],
    )
    const configs = JSON.parse((await toybox(["inspect", "little", "nothing"])).stdout)
    expect(configs.map((one: { HostConfig: { LogConfig: object } }) => one.HostConfig.LogConfig)).toEqual([
      { Type: "k8s-file", Config: { "max-file": "2", "max-size": "20000" } },
      { Type: "none", Config: {} },
    ])
  })

  test("a follower misses nothing over many rotations, or is told that it has", async () => {
    const limits = ["--log-opt", "max-size=20k", "--log-opt", "max-file=4"]
    const script = "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done"
    await toybox(ownRun("-d", ...limits, "--name", "turning", "base", "sh", "-c", `sleep 0.5; ${script}`))
    const { stdout, stderr, exitCode } = await toybox(["logs", "-f", "turning"])
    expect(exitCode).toBe(0)
    const numbers = stdout.trimEnd().split("\n").map(Number)
    const gaps = numbers.filter((number, i) => i > 0 && number !== (numbers[i - 1] ?? 0) + 1)
    expect([numbers.at(-1), gaps.every((gap) => gap > 0)]).toEqual([19_999, true])
    expect(stderr.split("rotated away").length - 1 >= gaps.length).toBe(true)
  })

  test("a follower of one file is told of no loss at each rotation", async () => {
    const script = "for i in $(seq 1000); do echo line $i; usleep 500; done"
    const options = ["--log-opt", "max-file=1", "--log-opt", "max-size=10k"]
    await toybox(ownRun("-d", "--name", "single", ...options, "base", "sh", "-c", script))
    const { stdout, stderr } = await toybox(["logs", "-f", "single"])
    expect([stdout.endsWith("line 1000\n"), stderr]).toEqual([true, ""])
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

  test("a follower ends at --until, and goes on over restarts", async () => {
    await run("ticks", "while :; do echo tick; sleep 0.1; done")
    const begin = performance.now()
    const until = new Date(Date.now() + 1000).toISOString()
    const { stdout, exitCode } = await toybox(["logs", "-f", "--until", until, "ticks"])
    expect([exitCode, stdout.includes("tick\ntick\n")]).toEqual([0, true])
    expect(performance.now() - begin).toBeWithin(800, 4000)
    expect((await toybox(["logs", "-f", "--until", "1s", "ticks"])).exitCode).toBe(0)
    await toybox(
      ownRun("-d", "--restart", "on-failure:3", "--name", "again", "base", "sh", "-c", "echo run; sleep 0.2; exit 1"),
    )
    expect((await toybox(["logs", "-f", "again"])).stdout).toBe("run\n".repeat(4))
  }, 30_000)

  test("a reader that goes away is no error", async () => {
    await run("much", "seq 200000")
    await toybox(["wait", "much"])
    const script = `'${toyboxBinary()}' logs much | head -n 1; echo $PIPESTATUS`
    const { stdout, stderr } = await toybox(["-c", script], { binary: "/bin/bash", env: { TOYBOX_ROOT: stateRoot() } })
    expect({ stdout, stderr }).toEqual({ stdout: "1\n141\n", stderr: "" })
  })

  test("timestamps stand where lines begin, and not where a part goes on", async () => {
    await run("parts", "printf one; sleep 0.1; printf two; printf other >&2; sleep 0.1; echo three; echo end")
    await toybox(["wait", "parts"])
    const { stdout, stderr } = await toybox(["logs", "-t", "parts"])
    expect(stdout).toMatch(/^\S+Z onetwothree\n\S+Z end\n$/)
    expect(stderr).toMatch(/^\S+Z other$/)
  })

  test("a container of the foreground has none, and a wrong time is told", async () => {
    await toybox(ownRun("--name", "front", "base", "true"))
    expect((await toybox(["logs", "front"])).stderr).toContain("has no log")
    for (const time of ["soon", "web 5", "2026-13-01"])
      expect((await toybox(["logs", "--since", time, "front"])).stderr).toContain(`"${time}" is no time`)
    for (const tail of ["-2", "x"]) expect((await toybox(["logs", "--tail", tail, "front"])).exitCode).toBe(125)
  })
})
