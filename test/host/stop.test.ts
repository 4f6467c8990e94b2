/** stop, kill, wait, pause and unpause: docker's meaning, several containers a command. */
import { afterEach, describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { beginStandstill, endStandstill } from "../../src/container/standstill.ts"
import { pathsFor } from "../../src/paths.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const detached = (name: string, ...words: string[]) => toybox(ownRun("-d", "--name", name, "base", ...words))
const HANDLER = ["sh", "-c", "trap 'exit 5' TERM; trap 'exit 6' USR1; echo ready; while :; do sleep 0.05; done"]
const ready = async (name: string) => {
  const follower = await startToybox(["logs", "-f", name])
  await follower.waitFor("ready")
  follower.kill("SIGKILL")
  await follower.wait()
}

describe.skipIf(!isRoot)("ending containers", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("stop sends the stop signal, and SIGKILL to who does not mind it; one that has ended is no error", async () => {
    await Promise.all([detached("handles", ...HANDLER), detached("ignores", "sleep", "1000")])
    await ready("handles")
    const { stdout, stderr, exitCode } = await toybox(["stop", "-t", "1", "handles", "ignores", "handles"])
    expect(stderr).toContain("ignores did not end within 1 s of SIGTERM: killed")
    expect([stdout, exitCode]).toEqual(["handles\nignores\nhandles\n", 0])
    expect((await toybox(["wait", "handles", "ignores"])).stdout).toBe("5\n137\n")
    await detached("atonce", "sleep", "1000")
    expect(await toybox(["stop", "-t", "0", "atonce"])).toMatchObject({ stdout: "atonce\n", stderr: "", exitCode: 0 })
  })

  test("one that is just being started is stopped when it has begun, with its stop signal", async () => {
    await toybox(["volume", "create", "filled"])
    // What is copied into its volume takes time.
    const fresh = join(stateRoot(), "volumes/filled/fresh")
    const holder = ["timeout", "20", "flock", fresh, "sh", "-c", "echo; read x"]
    const filling = Bun.spawn(holder, { stdin: "pipe", stdout: "pipe" })
    await filling.stdout.getReader().read()
    const starting = toybox(ownRun("-d", "--init", "--name", "begins", "-v", "filled:/srv", "base", "sleep", "1000"))
    while (readdirSync(join(stateRoot(), "names")).length === 0) await Bun.sleep(5)
    const stopping = toybox(["stop", "begins"])
    await Bun.sleep(500)
    filling.stdin.end()
    expect(await stopping).toMatchObject({ stdout: "begins\n", stderr: "", exitCode: 0 })
    expect((await starting).exitCode).toBe(0)
    expect((await toybox(["wait", "begins"])).stdout).toBe("143\n")
    await toybox(["rm", "begins"])
    await toybox(["volume", "rm", "filled"])
  })

  test("several are stopped at the same time, each by its own patience", async () => {
    const stubborn = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]
    await toybox(ownRun("-d", "--name", "short", "--stop-timeout", "1", "base", ...stubborn))
    await Promise.all(["one", "two", "three"].map((name) => detached(name, ...stubborn)))
    for (const name of ["short", "one", "two", "three"]) await ready(name)
    expect(JSON.parse((await toybox(["inspect", "short"])).stdout)[0].Config.StopTimeout).toBe(1)
    const own = await toybox(["stop", "short"])
    expect(own.stderr).toContain("short did not end within 1 s")
    const begin = performance.now()
    const all = await toybox(["restart", "-t", "2", "one", "two", "three", "nobody"])
    expect(all).toMatchObject({
      stdout: "one\ntwo\nthree\n",
      exitCode: 1,
      stderr: expect.stringContaining("no such container"),
    })
    // One after the other they would take six seconds.
    expect(performance.now() - begin).toBeWithin(2000, 5500)
    expect((await toybox(["ps", "-q"])).stdout.trim().split("\n")).toHaveLength(3)
    const refused = await toybox(["stop", "-t", "-2", "one"])
    expect(refused).toMatchObject({ exitCode: 125, stderr: expect.stringContaining('"-2" is no number of seconds') })
    // Without end: until somebody else ends it.
    const waiting = await startToybox(["stop", "-t", "-1", "one"])
    await Bun.sleep(300)
    await toybox(["kill", "one"])
    expect(await waiting.wait()).toMatchObject({ stdout: "one\n", stderr: "", exitCode: 0 })
  })

  test("kill waits for the end that SIGKILL brings, and for no other", async () => {
    const busy = ["sh", "-c", "while :; do :; done"]
    const names = ["first", "second"]
    for (const name of names) await toybox(ownRun("-d", "--name", name, "--cpu", "5%", "base", ...busy))
    expect(await toybox(["kill", ...names])).toMatchObject({ stdout: "first\nsecond\n", stderr: "", exitCode: 0 })
    expect(await toybox(["rm", ...names])).toMatchObject({ stderr: "", exitCode: 0 })
    await detached("again", ...HANDLER)
    await ready("again")
    expect(await toybox(["kill", "-s", "HUP", "again", "nobody"])).toMatchObject({ stdout: "again\n", exitCode: 1 })
    const restarted = await toybox(ownRun("-d", "--restart", "always", "--name", "always", "base", "sleep", "1000"))
    expect(restarted.exitCode).toBe(0)
    expect(await toybox(["kill", "always"])).toMatchObject({ stdout: "always\n", stderr: "", exitCode: 0 })
  })

  test("options may stand behind names; -- ends them", async () => {
    await Promise.all([detached("first", ...HANDLER), detached("second", "sleep", "1000")])
    await ready("first")
    expect(await toybox(["kill", "first", "-s", "USR1"])).toMatchObject({ stdout: "first\n", stderr: "", exitCode: 0 })
    expect((await toybox(["wait", "first"])).stdout).toBe("6\n")
    const stopped = await toybox(["stop", "second", "-t", "1"])
    expect(stopped).toMatchObject({ stdout: "second\n", exitCode: 0, stderr: expect.stringContaining("within 1 s") })
    expect(JSON.parse((await toybox(["why", "first", "--json"])).stdout)).toMatchObject({ exitCode: 6 })
    const named = await toybox(["rm", "first", "--", "-f"])
    expect(named).toMatchObject({
      stdout: "first\n",
      exitCode: 1,
      stderr: expect.stringContaining("no such container: -f"),
    })
    expect(await toybox(["exec", "second", "ls", "-l"])).toMatchObject({
      stderr: expect.stringContaining("is not running"),
    })
  })

  test("wait --condition waits for what it says", async () => {
    const waiting = async (...words: string[]) => startToybox(["wait", ...words])
    await toybox(["create", ...ownRun("--name", "again", "base", "sh", "-c", "sleep 1; exit 4").slice(1)])
    const running = await waiting("--condition", "running", "again")
    const [first, removed] = [
      await waiting("--condition", "next-exit", "again"),
      await waiting("--condition", "removed", "again"),
    ]
    const stopped = await waiting("--condition", "stopped", "again")
    expect((await toybox(["wait", "again"])).stdout).toBe("0\n")
    await toybox(["start", "again"])
    expect(await stopped.wait()).toMatchObject({ stdout: "4\n", exitCode: 0 })
    expect((await toybox(["wait", "--condition", "exited", "again"])).stdout).toBe("4\n")
    expect(await running.wait()).toMatchObject({ stdout: "0\n", exitCode: 0 })
    expect(await first.wait()).toMatchObject({ stdout: "4\n", exitCode: 0 })
    const second = await waiting("--condition", "next-exit", "again")
    await toybox(["start", "again"])
    expect(await second.wait()).toMatchObject({ stdout: "4\n", exitCode: 0 })
    expect(await toybox(["rm", "again"])).toMatchObject({ stderr: "", exitCode: 0 })
    expect(await removed.wait()).toMatchObject({ stdout: "4\n", exitCode: 0 })
    // The exit code of one that goes with its end is known, too.
    await toybox(ownRun("-d", "--rm", "--name", "brief", "base", "sh", "-c", "sleep 1.5; exit 6"))
    const both = await Promise.all([waiting("brief"), waiting("--condition", "removed", "brief")])
    for (const one of both) expect(await one.wait()).toMatchObject({ stdout: "6\n", exitCode: 0 })
    const refused = await toybox(["wait", "--condition", "happy", "again"])
    expect(refused).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("next-exit") })
  })

  test("a next exit is told when the container can be removed", async () => {
    await toybox(ownRun("-d", "--name", "slow", "base", "sh", "-c", "sleep 0.7; exit 4"))
    const [{ Id }] = JSON.parse((await toybox(["inspect", "slow"])).stdout)
    const { supervisor } = JSON.parse(readFileSync(join(stateRoot(), "run/running", Id), "utf8"))
    const waiting = await startToybox(["wait", "--condition", "next-exit", "slow"])
    let isTold = false
    const told = waiting.wait().finally(() => {
      isTold = true
    })
    // Its supervisor gets no processor just when it has written down how it ended.
    while (!existsSync(join(stateRoot(), "containers", Id, "result.json"))) Bun.sleepSync(0)
    process.kill(supervisor.pid, "SIGSTOP")
    await Bun.sleep(700)
    process.kill(supervisor.pid, "SIGCONT")
    expect(isTold).toBe(false)
    expect(await told).toMatchObject({ stdout: "4\n", exitCode: 0 })
    expect(await toybox(["rm", "slow"])).toMatchObject({ stderr: "", exitCode: 0 })
  })

  test("kill sends any signal; errors of some do not hide the success of others", async () => {
    await detached("signalled", ...HANDLER)
    await ready("signalled")
    const waiting = await startToybox(["wait", "signalled"])
    const { stdout, stderr, exitCode } = await toybox(["kill", "-s", "USR1", "nobody", "signalled"])
    expect([stdout, exitCode]).toEqual(["signalled\n", 1])
    expect(stderr).toContain("no such container: nobody")
    expect(await waiting.wait()).toMatchObject({ stdout: "6\n", exitCode: 0 })
    expect((await toybox(["kill", "signalled"])).stderr).toContain("is not running")
  })

  test("one that toybox itself lets stand still is not taken for paused; paused meanwhile, it stays so", async () => {
    const id = (await detached("still", "sleep", "1000")).stdout.trim()
    const paths = pathsFor(stateRoot())
    const meanwhile = async (...words: string[]) => {
      const lock = beginStandstill(paths, id)
      if (lock === null) throw new Error("it does not run, or stands already")
      const running = toybox(words)
      await Bun.sleep(300)
      endStandstill(paths, id, lock)
      return await running
    }
    expect(await meanwhile("unpause", "still")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(await meanwhile("start", "still")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(await meanwhile("pause", "still")).toMatchObject({ exitCode: 0, stderr: "" })
    expect((await toybox(["inspect", "-f", "{{.State.Status}}", "still"])).stdout).toBe("paused\n")
    expect((await toybox(["start", "still"])).stderr).toContain("container still is paused")
    expect((await toybox(["unpause", "still"])).exitCode).toBe(0)
  })

  test("paused, a container does nothing; it can be stopped all the same", async () => {
    await detached("paused", ...HANDLER)
    await ready("paused")
    expect((await toybox(["pause", "paused"])).exitCode).toBe(0)
    expect((await toybox(["pause", "paused"])).stderr).toContain("paused already")
    expect((await toybox(["exec", "paused", "true"])).stderr).toContain("paused")
    expect((await toybox(["unpause", "paused"])).exitCode).toBe(0)
    expect((await toybox(["exec", "paused", "true"])).exitCode).toBe(0)
    await toybox(["pause", "paused"])
    expect((await toybox(["stop", "paused"])).exitCode).toBe(0)
    expect((await toybox(["wait", "paused"])).stdout).toBe("5\n")
  })
})
