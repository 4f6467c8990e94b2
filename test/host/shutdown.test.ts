/** A supervisor that is told to end, as when the machine is stopped: its container ends in its own way. */
import { afterEach, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const SYS_flock = 73
const HANDLER = ["sh", "-c", "trap 'exit 7' TERM; trap 'exit 8' HUP; echo ready; while :; do sleep 0.05; done"]

async function run(name: string, options: readonly string[], command: readonly string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await toybox(ownRun("-d", "--name", name, ...options, "base", ...command))
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 })
  const follower = await startToybox(["logs", "-f", name])
  await follower.waitFor("ready")
  follower.kill("SIGKILL")
  await follower.wait()
  return stdout.trim()
}

const entry = (id: string) => JSON.parse(readFileSync(join(stateRoot(), "run/running", id), "utf8"))
const tell = (id: string, signal: NodeJS.Signals) => process.kill(entry(id).supervisor.pid, signal)
const wait = async (name: string) => (await toybox(["wait", name])).stdout.trim()
const running = async () => (await toybox(["ps", "--format", "{{.Names}}"])).stdout.split("\n").filter(Boolean).sort()

describe.skipIf(!isRoot)("a supervisor that is told to end", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("passes it on as the stop signal, and records how the container has ended", async () => {
    const id = await run("web", [], HANDLER)
    tell(id, "SIGHUP")
    await Bun.sleep(100)
    expect(await running()).toEqual(["web"])
    tell(id, "SIGTERM")
    expect(await wait("web")).toBe("7")
    expect((await toybox(["why", "web"])).stdout).toContain("SIGTERM to its supervisor")
  })

  test("kills what does not mind it in time, and at once what cannot see it", async () => {
    const stubborn = await run(
      "stubborn",
      ["--stop-timeout", "1"],
      ["sh", "-c", "trap '' INT TERM; echo ready; sleep 100"],
    )
    const deaf = await run("deaf", [], ["sh", "-c", "echo ready; exec sleep 100"])
    const begin = performance.now()
    tell(deaf, "SIGINT")
    expect(await wait("deaf")).toBe("137")
    // It is not given the ten seconds.
    expect(performance.now() - begin).toBeLessThan(5000)
    const told = performance.now()
    tell(stubborn, "SIGINT")
    expect(await wait("stubborn")).toBe("137")
    expect(performance.now() - told).toBeGreaterThan(1000)
  })

  test("does not start it again; the machine's start does", async () => {
    const always = await run("always", ["--restart", "unless-stopped"], HANDLER)
    await run("never", [], HANDLER)
    await run("stopped", ["--restart", "unless-stopped"], HANDLER)
    await toybox(["stop", "stopped"])
    const fails = (
      await toybox(ownRun("-d", "--name", "fails", "--restart", "on-failure", "base", "false"))
    ).stdout.trim()
    tell(always, "SIGTERM")
    expect(await wait("always")).toBe("7")
    expect(await running()).toContain("never")
    expect(await running()).not.toContain("always")
    expect(await toybox(["start", "--boot"])).toMatchObject({ stdout: "always\n", exitCode: 0 })
    // All of them at the same time, also one that waits to be started again.
    expect((await toybox(["stop", "--boot", "never"])).exitCode).toBe(125)
    expect(await toybox(["stop", "--boot"])).toMatchObject({ stdout: "", stderr: "", exitCode: 0 })
    expect(await running()).toEqual(["never"])
    expect(() => entry(fails)).toThrow("ENOENT")
    expect((await toybox(["start", "--boot"])).stdout.split("\n").filter(Boolean).sort()).toEqual(["always", "fails"])
  })

  test("one that is just being started again is stopped with the machine, too", async () => {
    const name = ["--name", "again", "--restart", "always"]
    const id = (await toybox(ownRun("-d", ...name, "base", "false"))).stdout.trim()
    const until = async (what: () => boolean) => {
      for (let tries = 0; !what(); tries++) {
        if (tries > 500) throw new Error("not within 10 s")
        await Bun.sleep(20)
      }
    }
    await until(() => entry(id).restarting && entry(id).backOff >= 800)
    // Its supervisor waits for who changes it before it starts it again.
    const lock = ["timeout", "20", "flock", join(stateRoot(), "containers", id, "changes"), "sh", "-c", "echo; read x"]
    const changing = Bun.spawn(lock, { stdin: "pipe", stdout: "pipe" })
    await changing.stdout.getReader().read()
    const { pid } = entry(id).supervisor
    await until(() => readFileSync(`/proc/${pid}/syscall`, "utf8").startsWith(`${SYS_flock} `))
    const stopping = toybox(["stop", "--boot"])
    await Bun.sleep(500)
    changing.stdin.end()
    const begin = performance.now()
    expect(await stopping).toMatchObject({ stdout: "", stderr: "", exitCode: 0 })
    expect(performance.now() - begin).toBeLessThan(5000)
    expect(() => entry(id)).toThrow("ENOENT")
  })
})
