/** Health of detached containers: probes, what they make of it, and where it is shown. */
import { afterEach, describe, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { dockerArchive } from "../helpers/saved.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

async function succeed(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await toybox(words)
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.trimEnd()
}

const QUICK = ["--health-interval", "100ms", "--health-retries", "2", "--health-timeout", "10s"]
const start = (name: string, check: string, ...options: string[]) =>
  succeed(...ownRun("-d", "--name", name, "--health-cmd", check, ...QUICK, ...options, "base", "sleep", "1000"))
const inspect = async (name: string) => JSON.parse(await succeed("inspect", name))[0]
const health = async (name: string) => (await inspect(name)).State.Health

/** Waits for a health. */
async function until(name: string, wanted: string): Promise<void> {
  for (const end = performance.now() + 15_000; (await health(name)).Status !== wanted; await Bun.sleep(50))
    if (performance.now() > end) throw new Error(`${name} is not ${wanted}: ${JSON.stringify(await health(name))}`)
}

describe.skipIf(!isRoot)("health", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("is known when it has been asked for, and changes with what is found", async () => {
    await start("box", "echo looked; echo twice >&2; test -e /tmp/well", "--health-interval", "300ms")
    expect(await succeed("ps", "--format", "{{.Status}}")).toMatch(/^Up .* \(health: starting\)$/)
    expect(await succeed("ps", "-q", "--filter", "health=starting")).not.toBe("")
    await until("box", "unhealthy")
    await succeed("exec", "box", "touch", "/tmp/well")
    expect(await succeed("wait", "--condition", "healthy", "box")).toBe("0")
    expect(await succeed("ps", "--format", "{{.Status}}")).toMatch(/^Up .* \(healthy\)$/)
    expect(await succeed("ps")).toMatch(/ Up .* \(healthy\) /)
    expect(await succeed("ps", "-q", "--filter", "health=unhealthy")).toBe("")
    expect(JSON.parse(await succeed("ps", "--json"))).toMatchObject({ health: "healthy" })
    const { FailingStreak, Log } = await health("box")
    expect(FailingStreak).toBe(0)
    expect(Log.length).toBeWithin(2, 6)
    expect(Log.at(-1)).toMatchObject({ ExitCode: 0, Output: "looked\ntwice\n" })
    expect((await inspect("box")).Config.Healthcheck).toMatchObject({ Interval: 3e8, Retries: 2 })
    const events = (await succeed("events", "--json", "--since", "1h", "--until", "0s", "--filter", "container=box"))
      .split("\n")
      .map((line) => JSON.parse(line).Action)
    expect(events.filter((action) => action.startsWith("health_status"))).toEqual([
      "health_status: unhealthy",
      "health_status: healthy",
    ])
    // A new start is a new question.
    await succeed("restart", "--time", "0", "box")
    expect((await health("box")).Status).not.toBe("healthy")
    expect((await toybox(["ps", "--filter", "health=fine"])).stderr).toContain("is no health")
  }, 40_000)

  test("what takes too long has failed, and is ended", async () => {
    await start("slow", "echo begun; sleep 771", "--health-timeout", "300ms")
    await until("slow", "unhealthy")
    await succeed("pause", "slow")
    const { Log } = await health("slow")
    expect(Log[0]).toMatchObject({ ExitCode: -1, Output: "Health check exceeded timeout (300 ms)" })
    // No more than the one that is under way.
    const { stdout } = Bun.spawnSync(["pgrep", "-c", "-f", "sleep 771$"])
    expect(Number(stdout.toString())).toBeLessThan(3)
    await succeed("unpause", "slow")
  }, 40_000)

  test("a probe that takes too long is ended with all that it has started", async () => {
    const check = "sleep 1111 & sleep 2222; echo never"
    await start("slow", check, "--health-timeout", "200ms", "--health-retries", "3")
    await until("slow", "unhealthy")
    const probes = async () =>
      (await succeed("top", "slow", "-o", "args")).split("\n").filter((line) => / [12]{4}/.test(line))
    // One of them may be under way.
    expect((await probes()).length).toBeLessThan(4)
    expect((await health("slow")).Log.at(-1)).toMatchObject({
      ExitCode: -1,
      Output: expect.stringContaining("timeout"),
    })
  })

  test("a command that is not there, and output without end, are failures like others", async () => {
    await start("loud", "head -c 100000 /dev/zero | tr '\\0' x; exit 3")
    await until("loud", "unhealthy")
    const [probe] = (await health("loud")).Log
    expect([probe.ExitCode, probe.Output.length]).toEqual([3, 4096])
  }, 40_000)

  test("one that becomes unhealthy is killed, stopped or restarted, where that was asked for", async () => {
    const options = (action: string) => ["--health-cmd", "false", ...QUICK, "--health-on-failure", action]
    const detached = (name: string, action: string, script: string, ...more: string[]) =>
      succeed(...ownRun("-d", "--name", name, ...options(action), ...more, "base", "sh", "-c", script))
    const waits = "trap 'exit 4' TERM; while :; do sleep 0.1; done"
    await detached("killed", "kill", waits)
    expect(await succeed("wait", "killed")).toBe("137")
    expect(await succeed("why", "killed")).toContain("by:         its health check had found it unhealthy")
    // That is no end which somebody has asked for.
    await detached("again", "kill", waits, "--restart", "on-failure:1")
    for (const end = performance.now() + 15_000; performance.now() < end; await Bun.sleep(50))
      if ((await inspect("again")).State.Status === "exited") break
    expect(await inspect("again")).toMatchObject({ RestartCount: 1, State: { Status: "exited", ExitCode: 137 } })
    await detached("stopped", "stop", waits, "--restart", "always")
    expect(await succeed("wait", "stopped")).toBe("4")
    expect((await inspect("stopped")).State.Status).toBe("exited")
    await detached("restarted", "restart", waits)
    const { StartedAt } = (await inspect("restarted")).State
    expect(await succeed("wait", "--condition", "next-exit", "restarted")).toBe("4")
    await succeed("wait", "--condition", "running", "restarted")
    expect((await inspect("restarted")).State.StartedAt).not.toBe(StartedAt)
    expect((await inspect("restarted")).Config.HealthcheckOnFailureAction).toBe("restart")
    // Who waits for it to be healthy does not take that for its end.
    const second = "[ -e /tmp/first ] && touch /tmp/second; touch /tmp/first; sleep 1000"
    await detached("better", "restart", second, "--health-cmd", "test -e /tmp/second", "--stop-timeout", "0")
    expect(await succeed("wait", "--condition", "healthy", "better")).toBe("0")
    // One that is being stopped is not started again because it does not answer any more.
    const slow = "trap 'rm /tmp/well; sleep 5; exit 5' TERM; touch /tmp/well; while :; do sleep 0.1; done"
    const check = ["--health-cmd", "test -e /tmp/well"]
    await detached("ending", "restart", slow, ...check)
    await until("ending", "healthy")
    await succeed("stop", "ending")
    expect((await inspect("ending")).State).toMatchObject({ Status: "exited", ExitCode: 5 })
    const told = await succeed("events", "--since", "1h", "--until", "0s", "--filter", "container=ending")
    expect(told).toContain("health_status: unhealthy")
    await Bun.sleep(500)
    expect((await inspect("ending")).State.Status).toBe("exited")
  }, 60_000)

  test("the image's is taken, and another one, or none, when asked for", async () => {
    const layers = [tarOf(makeRoot())]
    const file = join(temporaryDirectory("image"), "image.tar")
    const Healthcheck = { Test: ["CMD", "test", "-e", "/etc/passwd"], Interval: 1e8, Retries: 1 }
    writeFileSync(file, dockerArchive([{ layers, tags: ["asks:latest"], config: { Healthcheck } }]))
    await succeed("load", "-i", file)
    await succeed(...ownRun("-d", "--name", "own", "asks", "sleep", "1000"))
    await until("own", "healthy")
    await succeed(...ownRun("-d", "--name", "none", "--no-healthcheck", "asks", "sleep", "1000"))
    expect((await inspect("none")).State.Health).toBeUndefined()
    expect(await succeed("ps", "--filter", "health=none", "--format", "{{.Names}}")).toBe("none")
    await succeed(...ownRun("-d", "--name", "other", "--health-cmd", "exit 1", "asks", "sleep", "1000"))
    await until("other", "unhealthy")
    const refused = await toybox(["wait", "--condition", "healthy", "none"])
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("nobody asks for the health") })
    // One that ends will not be healthy any more.
    const waiting = (await startToybox(["wait", "--condition", "healthy", "other"])).wait()
    await succeed("kill", "other")
    expect(await waiting).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("other has ended") })
    // Nor does one that has ended before the waiting begins.
    const late = await toybox(["wait", "--condition", "healthy", "other"])
    expect(late).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("other has ended") })
    await succeed("start", "other")
    expect(await succeed("wait", "--condition", "unhealthy", "other")).toBe("0")
    // In the foreground nobody asks, unless the command line does.
    expect((await toybox(ownRun("--rm", "asks", "true"))).exitCode).toBe(0)
  }, 40_000)

  test("in the foreground it is asked for, too, and all else is as without", async () => {
    const script = "echo out; echo err >&2; until [ -e /asked ]; do sleep 0.1; done; cat; exit 3"
    const words = ["--rm", "-i", "--name", "front", "--health-cmd", "touch /asked", "--health-interval", "100ms"]
    const front = await startToybox(ownRun(...words, "base", "sh", "-c", script))
    await front.waitFor("out")
    await until("front", "healthy")
    front.stdin.write("typed\n")
    front.stdin.end()
    expect(await front.wait()).toMatchObject({ stdout: "out\ntyped\n", stderr: "err\n", exitCode: 3 })
    const refused = await toybox(ownRun("--rm", "--health-cmd", "true", "--result-fd", "3", "base", "true"))
    expect(refused).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("--result-fd") })
  }, 40_000)

  test("a supervisor that is killed takes its probe's lock with it", async () => {
    const id = await start("killed", "sleep 5")
    await Bun.sleep(300)
    const { supervisor } = JSON.parse(readFileSync(join(stateRoot(), "run/running", id), "utf8"))
    process.kill(supervisor.pid, "SIGKILL")
    for (const end = performance.now() + 10_000; (await succeed("ps", "-q")) !== ""; await Bun.sleep(50))
      if (performance.now() > end) throw new Error("it still runs")
    await succeed("rm", "killed")
  }, 40_000)
})
