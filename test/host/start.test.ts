/** create, start, restart, rename and run --replace: docker's meaning, at any moment and for several at once. */
import { afterEach, describe, expect, test } from "bun:test"
import { readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathsFor } from "../../src/paths.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const create = (name: string, ...words: string[]) =>
  toybox(["create", ...ownRun("--name", name, "base", ...words).slice(1)])
const ok = async (...words: string[]) => {
  const { stdout, stderr, exitCode } = await toybox(words)
  expect({ words, stderr, exitCode }).toEqual({ words, stderr: "", exitCode: 0 })
  return stdout
}
const state = async (name: string) => JSON.parse(await ok("inspect", name))[0].State
const end = async (name: string) => {
  await ok("kill", name)
  await ok("wait", name)
}
const COUNT = ["sh", "-c", "n=$(cat /n 2>/dev/null || echo 0); echo $((n + 1)) | tee /n; exit 3"]

describe.skipIf(!isRoot)("containers that are started when they are there", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("create makes one, start runs it, each time on what it has written; logs go on", async () => {
    const { stdout, exitCode } = await create("counts", ...COUNT)
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^[0-9a-f]{64}\n$/)
    expect(await state("counts")).toMatchObject({ Status: "created", Running: false })
    expect(await ok("ps", "-q")).toBe("")
    expect(await ok("ps", "-q", "--filter", "status=created", "--no-trunc")).toBe(stdout)
    expect(await ok("wait", "counts")).toBe("0\n")
    for (const count of ["1", "2", "3"]) {
      expect(await ok("start", "counts")).toBe("counts\n")
      expect(await ok("wait", "counts")).toBe("3\n")
      expect((await ok("logs", "counts")).split("\n").at(-2)).toBe(count)
    }
    expect(await ok("logs", "counts")).toBe("1\n2\n3\n")
    expect(await toybox(["start", "--attach", "counts"])).toMatchObject({ stdout: "4\n", stderr: "", exitCode: 3 })
    expect(JSON.parse(await ok("inspect", "counts"))[0].Id).toBe(stdout.trim())
  })

  test("what the run had is what the next one has: limits, environment, names, user, working directory", async () => {
    const show =
      "ulimit -n; id -u; pwd; echo $A; grep -c x.example /etc/hosts; cat /sys/fs/cgroup/pids/pids.max 2>/dev/null"
    const words = ["-e", "A=1", "-u", "7", "-w", "/tmp", "--add-host", "x.example:192.0.2.1", "--pids", "55"]
    const first = await toybox(ownRun("--name", "same", ...words, "base", "sh", "-c", show))
    expect(first.exitCode === 0 || first.stdout.includes("\n1\n")).toBe(true)
    const again = await toybox(["start", "-a", "same"])
    expect(again.stdout).toBe(first.stdout)
    expect(again.exitCode).toBe(first.exitCode)
  })

  test("standard input of a container made with -i", async () => {
    expect((await toybox(["create", ...ownRun("-i", "--name", "eats", "base", "cat").slice(1)])).exitCode).toBe(0)
    expect(await toybox(["start", "-ai", "eats"], { stdin: "one\ntwo\n" })).toMatchObject({
      stdout: "one\ntwo\n",
      exitCode: 0,
    })
  })

  test("a running one is left alone; a paused or unknown one is told", async () => {
    await ok(...ownRun("-d", "--name", "runs", "base", "sleep", "1000"))
    const { Pid } = await state("runs")
    const { stdout, stderr, exitCode } = await toybox(["start", "runs", "nobody"])
    expect([stdout, exitCode]).toEqual(["runs\n", 1])
    expect(stderr).toContain("no such container: nobody")
    expect((await state("runs")).Pid).toBe(Pid)
    await ok("pause", "runs")
    for (const words of [["start"], ["start", "-a"]])
      expect((await toybox([...words, "runs"])).stderr).toBe(
        "toybox: container runs is paused\ntoybox: hint: toybox unpause runs\n",
      )
    await ok("unpause", "runs")
  })

  test("a command that cannot be run leaves the container, with the exit code, to be started again", async () => {
    const root = temporaryDirectory("root")
    expect((await create("lacks", "nosuch")).exitCode).toBe(0)
    const { exitCode, stderr } = await toybox(["start", "lacks"])
    expect([exitCode, stderr.includes("nosuch")]).toEqual([1, true])
    expect(await state("lacks")).toMatchObject({ Status: "exited", ExitCode: 127 })
    expect((await toybox(["start", "-a", "lacks"])).exitCode).toBe(127)
    expect((await toybox(["create", "--name", "rootless", root, "true"])).exitCode).toBe(0)
    rmSync(root, { recursive: true })
    expect((await toybox(["start", "-a", "rootless"])).stderr).toContain("is gone")
    expect(await state("rootless")).toMatchObject({ Status: "exited", ExitCode: 125 })
  })

  test("a name may be given with the slash that inspect shows", async () => {
    await ok(...ownRun("-d", "--name", "/slashed", "base", "sleep", "1000"))
    await ok("rename", "/slashed", "/slashed-too")
    expect(await ok("inspect", "-f", "{{.Name}}", "/slashed-too")).toBe("/slashed-too\n")
    await ok(...ownRun("-d", "--replace", "--name", "/slashed-too", "base", "sleep", "1000"))
    expect(await ok("ps", "-a", "--format", "{{.Names}}", "--filter", "name=slashed")).toBe("slashed-too\n")
  })

  test("ten at once start it once; a start and an rm leave it running, or gone", async () => {
    await create("once", "sh", "-c", "echo started; sleep 1000")
    const all = await Promise.all(Array.from({ length: 10 }, () => toybox(["start", "once"])))
    expect(all.map(({ exitCode }) => exitCode)).toEqual(Array(10).fill(0))
    await end("once")
    expect(await ok("logs", "once")).toBe("started\n")
    for (let round = 0; round < 4; round++) {
      await create("contended", "sleep", "1000")
      const [started, removed] = await Promise.all([toybox(["start", "contended"]), toybox(["rm", "contended"])])
      const there = (await ok("ps", "-aq", "--filter", "name=contended")) !== ""
      expect({ there, removed: removed.exitCode === 0 }).toEqual({ there: started.exitCode === 0, removed: !there })
      if (there) expect((await state("contended")).Running).toBe(true)
      await toybox(["rm", "-f", "--if-exists", "contended"])
    }
  }, 30_000)

  test("restart ends it and starts it again; rename is kept from then on", async () => {
    await ok(...ownRun("-d", "--name", "before", "base", "sleep", "1000"))
    const { Pid } = await state("before")
    await ok("rename", "before", "after")
    expect(await toybox(["restart", "-t", "0", "after"])).toMatchObject({ stdout: "after\n", exitCode: 0 })
    const now = await state("after")
    expect(now.Running).toBe(true)
    expect(now.Pid).not.toBe(Pid)
    expect((await toybox(["inspect", "before"])).stderr).toContain("before")
    await create("other", "true")
    expect((await toybox(["rename", "other", "after"])).stderr).toContain("in use")
    expect((await toybox(["rename", "other", "/"])).stderr).toContain("is not a container name")
    await end("after")
    await ok("rename", "after", "before")
    await ok("start", "before")
    expect(await ok("ps", "--format", "{{.Names}}")).toBe("before\n")
    await ok(...ownRun("-d", "--rm", "--name", "brief", "--init", "base", "sleep", "1000"))
    const first = JSON.parse(await ok("inspect", "brief"))[0].State.Pid
    await ok("restart", "-t", "10", "brief")
    const [{ State, HostConfig }] = JSON.parse(await ok("inspect", "brief"))
    expect([State.Pid === first, HostConfig.AutoRemove]).toEqual([false, true])
    // Its next end is that which it goes with.
    await ok("stop", "-t", "10", "brief")
    expect(await ok("ps", "-a", "--filter", "name=brief", "-q")).toBe("")
    const running = await startToybox(ownRun("--rm", "--name", "front", "base", "sh", "-c", "echo ready; sleep 1000"))
    await running.waitFor("ready")
    expect((await toybox(["restart", "front"])).stderr).toContain("in the foreground")
    running.kill("SIGTERM")
    await running.wait()
  })

  test("several run --replace at once all take their turn", async () => {
    const all = await Promise.all(
      Array.from({ length: 4 }, () => toybox(ownRun("-d", "--replace", "--name", "turn", "base", "sleep", "1000"))),
    )
    for (const { exitCode, stderr } of all) expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" })
    expect((await ok("ps", "-a", "--format", "{{.Names}} {{.State}}")).trim()).toBe("turn running")
  })

  test("run --replace removes none but who has the name, and not whose id begins with it", async () => {
    const id = (await ok(...ownRun("-d", "base", "sleep", "1000"))).trim()
    // As a killed rename leaves it.
    symlinkSync("0".repeat(64), join(stateRoot(), "names", id.slice(0, 6)))
    const other = (await ok(...ownRun("-d", "--replace", "--name", id.slice(0, 6), "base", "sleep", "1000"))).trim()
    expect((await ok("ps", "-q", "--no-trunc")).trim().split("\n").sort()).toEqual([id, other].sort())
    await ok("rm", "-f", id, other)
  })

  test("start --attach of one that runs stays with it", async () => {
    await ok(...ownRun("-di", "--name", "there", "base", "sh", "-c", "read line; echo got $line; exit 5"))
    const { stdout, exitCode } = await toybox(["start", "-ai", "there"], { stdin: "word\n" })
    expect({ stdout, exitCode }).toEqual({ stdout: "got word\n", exitCode: 5 })
  })

  test("run --replace takes the place of one that runs, of one that has ended, and of none", async () => {
    const ids = []
    for (let round = 0; round < 3; round++) {
      ids.push(await ok(...ownRun("-d", "--replace", "--name", "place", "base", "sleep", "1000")))
      if (round === 1) await end("place")
    }
    expect(new Set(ids).size).toBe(3)
    expect(await ok("ps", "-aq", "--no-trunc")).toBe(ids[2] ?? "")
    expect((await toybox(ownRun("--replace", "base", "true"))).stderr).toContain("--name")
  })

  test("killed at any moment, start leaves a container that can be started", async () => {
    await create("survives", "sleep", "1000")
    for (let delay = 0; delay < 40; delay += 4) {
      const starting = await startToybox(["start", "survives"])
      await Bun.sleep(delay)
      try {
        starting.kill("SIGKILL")
      } catch {
        // It was quicker.
      }
      await starting.wait()
      await ok("ps", "-a")
      expect(["created", "running", "exited"]).toContain((await state("survives")).Status)
    }
    await ok("start", "survives")
    expect((await state("survives")).Running).toBe(true)
  }, 30_000)

  test("what it was made with being damaged is told", async () => {
    const id = (await create("damaged", "true")).stdout.trim()
    const path = join(pathsFor(stateRoot()).containers, id, "config.json")
    const text = readFileSync(path, "utf8")
    writeFileSync(path, text.slice(0, 100))
    expect((await toybox(["start", "damaged"])).stderr).toContain("damaged")
    writeFileSync(path, text)
    expect(await toybox(["start", "-a", "damaged"])).toMatchObject({ exitCode: 0 })
  })
})
