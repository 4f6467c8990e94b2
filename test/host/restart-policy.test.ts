/** --restart: who is started again, and who is not, by whoever asks for what meanwhile. */
import { afterEach, describe, expect, test } from "bun:test"
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const ok = async (...words: string[]) => {
  const { stdout, stderr, exitCode } = await toybox(words)
  expect({ words, stderr, exitCode }).toEqual({ words, stderr: "", exitCode: 0 })
  return stdout
}
const run = async (name: string, policy: string, script: string) =>
  (await ok(...ownRun("-d", "--name", name, "--restart", policy, "base", "sh", "-c", script))).trim()
const inspect = async (name: string) => JSON.parse(await ok("inspect", name))[0]
const until = async (what: () => Promise<boolean>) => {
  for (const deadline = Date.now() + 30_000; !(await what()); await Bun.sleep(20))
    if (Date.now() > deadline) throw new Error("not within 30 s")
}
const runs = async (name: string) => (await ok("logs", name)).split("\n").filter(Boolean).length
const running = (id: string) => join(stateRoot(), "run/running", id)

describe.skipIf(!isRoot)("--restart", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("on-failure:2 starts it twice again; wait is for an end, be it the last or not; a success ends it", async () => {
    await run("fails", "on-failure:2", "echo run; sleep 0.3; exit 3")
    expect(await ok("wait", "fails")).toBe("3\n")
    expect((await inspect("fails")).State.Running).toBe(true)
    await until(async () => !(await inspect("fails")).State.Running)
    expect(await ok("logs", "fails")).toBe("run\nrun\nrun\n")
    expect(await inspect("fails")).toMatchObject({
      RestartCount: 2,
      State: { Status: "exited", Restarting: false, ExitCode: 3 },
      HostConfig: { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 } },
    })
    await run("mends", "on-failure", "test -e /n && exit 0; touch /n; exit 1")
    await until(async () => !(await inspect("mends")).State.Running)
    expect(await ok("wait", "mends")).toBe("0\n")
    expect((await inspect("mends")).RestartCount).toBe(1)
  }, 60_000)

  test("always goes on until it is stopped; start begins anew", async () => {
    const id = await run("stays", "always", "echo run; sleep 0.05")
    await until(async () => (await runs("stays")) >= 3)
    expect(await ok("ps", "-q", "--no-trunc")).toBe(`${id}\n`)
    await ok("stop", "-t", "1", "stays")
    const count = await runs("stays")
    expect((await inspect("stays")).State).toMatchObject({ Status: "exited", Running: false })
    expect(existsSync(running(id))).toBe(false)
    await ok("start", "stays")
    await until(async () => (await runs("stays")) > count + 1)
    await ok("rm", "-f", "stays")
  }, 60_000)

  test("one that waits is shown, and stopped or removed at once", async () => {
    for (const command of [["stop"], ["rm", "-f"]]) {
      const id = await run("waits", "always", "exit 1")
      await until(async () => (await inspect("waits")).RestartCount >= 4)
      await until(async () => (await ok("ps", "--format", "{{.Status}}")).startsWith("Restarting (1) "))
      // It may just have been started again, and have ended again.
      await until(async () =>
        (await toybox(["exec", "waits", "true"])).stderr.includes("container waits is restarting"),
      )
      const before = performance.now()
      await ok(...command, "waits")
      expect(performance.now() - before).toBeLessThan(8000)
      expect(existsSync(running(id))).toBe(false)
      if (command[0] === "stop") expect(JSON.parse(await ok("why", "--json", "waits")).by).toBeNull()
      await toybox(["rm", "-f", "waits"])
    }
  }, 60_000)

  test("one that waits is killed, and renamed, at once, as docker has it; others change it one at a time with its start", async () => {
    const id = await run("waits", "always", "exit 1")
    await until(async () => (await inspect("waits")).RestartCount >= 4)
    const waits = async () => (await ok("ps", "--format", "{{.Status}}")).startsWith("Restarting (1) ")
    await until(waits)
    const before = performance.now()
    await ok("rename", "waits", "sleeps")
    // As any toybox that is just writing down what is to be another.
    const lock = join(stateRoot(), "containers", id, "changes")
    const change = async () => {
      const holder = ["timeout", "40", "flock", lock, "sh", "-c", "echo; sleep 30"]
      const changing = Bun.spawn(holder, { stdout: "pipe" })
      await changing.stdout.getReader().read()
      return changing
    }
    let changing = await change()
    // It may just have been started again.
    for (; !(await waits()); changing = await change()) {
      changing.kill()
      await changing.exited
      await until(waits)
    }
    // Past the moment when it were started again: the first wait takes 100 ms, each further one twice as long.
    await Bun.sleep(100 * 2 ** (await inspect("sleeps")).RestartCount + 1000)
    const held = await inspect("sleeps")
    expect([held.State.Restarting, performance.now() - before]).toEqual([true, expect.any(Number)])
    changing.kill()
    await until(async () => (await inspect("sleeps")).RestartCount > held.RestartCount)
    await until(waits)
    await ok("kill", "sleeps")
    expect((await inspect("sleeps")).State).toMatchObject({ Status: "exited", Running: false })
    // It had ended by itself.
    expect(JSON.parse(await ok("why", "--json", "sleeps"))).toMatchObject({ exitCode: 1, by: null })
  }, 60_000)

  test("one that has just ended is killed before it is started again", async () => {
    const id = await run("ends", "always", "exec sleep 1000")
    const { Pid } = (await inspect("ends")).State
    // It is cleaned up when nobody changes it any more.
    const lock = ["timeout", "20", "flock", join(stateRoot(), "containers", id, "changes"), "sh", "-c", "echo; read x"]
    const changing = Bun.spawn(lock, { stdin: "pipe", stdout: "pipe" })
    await changing.stdout.getReader().read()
    process.kill(Pid, "SIGKILL")
    await until(async () => !existsSync(`/proc/${Pid}`))
    const killing = toybox(["kill", "ends"])
    await Bun.sleep(500)
    changing.stdin.end()
    expect(await killing).toMatchObject({ stdout: "ends\n", stderr: "", exitCode: 0 })
    expect((await inspect("ends")).State).toMatchObject({ Status: "exited", Running: false })
  })

  test("one that was started again and dies with its toybox has an end of its own, not that of the run before", async () => {
    const id = await run("dies", "on-failure", "test -e /n && exec sleep 1000; touch /n; exit 3")
    await until(async () => {
      const { RestartCount, State } = await inspect("dies")
      return RestartCount === 1 && State.Status === "running"
    })
    process.kill(JSON.parse(readFileSync(running(id), "utf8")).supervisor.pid, "SIGKILL")
    await until(async () => (await inspect("dies")).State.Status === "exited")
    expect((await inspect("dies")).State).toMatchObject({ ExitCode: 137, Error: "toybox itself was killed" })
  })

  test("one whose supervisor is killed before it was left to it has been killed", async () => {
    const id = await run("early", "always", "exec sleep 1000")
    await ok("kill", "early")
    const events = join(stateRoot(), "run/events")
    unlinkSync(events)
    // Who starts it waits, as it tells of the start, for somebody to read.
    expect(await Bun.spawn(["mkfifo", events]).exited).toBe(0)
    const starting = await startToybox(["start", "early"])
    const entry = () => JSON.parse(readFileSync(running(id), "utf8"))
    const wchan = () => readFileSync(`/proc/${starting.pid}/wchan`, "utf8")
    await until(async () => wchan() === "wait_for_partner")
    const { pid } = entry().supervisor
    process.kill(pid, "SIGKILL")
    // Its last thread takes its descriptors with it.
    const isZombie = () => readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ")
    await until(async () => isZombie() && readdirSync(`/proc/${pid}/task`).length === 1)
    const reader = openSync(events, constants.O_RDONLY | constants.O_NONBLOCK)
    unlinkSync(events)
    expect(await starting.wait()).toMatchObject({ stdout: "", exitCode: 1 })
    closeSync(reader)
    expect((await inspect("early")).State).toMatchObject({ ExitCode: 137, Error: "toybox itself was killed" })
  })

  test("a next exit is told, though it was started again before anybody looked", async () => {
    const id = await run("quick", "on-failure", "test -e /n && exec sleep 1000; touch /n; sleep 1; exit 3")
    const waiting = await startToybox(["wait", "--condition", "next-exit", "quick"])
    await Bun.sleep(400)
    process.kill(waiting.pid, "SIGSTOP")
    await until(async () => (await inspect("quick")).RestartCount === 1)
    await until(async () => !existsSync(join(stateRoot(), "containers", id, "result.json")))
    process.kill(waiting.pid, "SIGCONT")
    expect(await waiting.wait()).toMatchObject({ stdout: "3\n", exitCode: 0 })
  })

  test("what is stopped or killed stays so, though the clock was set back since its start", async () => {
    for (const command of ["kill", "stop"]) {
      const id = await run(command, "unless-stopped", "trap 'exit 0' TERM; echo up; sleep 1000 & wait")
      await until(async () => (await runs(command)) === 1)
      const text = readFileSync(running(id), "utf8")
      const { started } = JSON.parse(text)
      writeFileSync(
        running(id),
        text.replace(`"started":"${started}"`, `"started":"${started.replace(/^\d{4}/, "2999")}"`),
      )
      await ok(command, command)
      expect((await inspect(command)).State).toMatchObject({ Status: "exited", Running: false })
    }
    expect(await ok("start", "--boot")).toBe("")
  })

  test("killed with its supervisor it is ended, and the next command says so", async () => {
    const id = await run("gone", "always", "exec sleep 1000")
    const { supervisor } = JSON.parse(readFileSync(running(id), "utf8"))
    process.kill(supervisor.pid, "SIGKILL")
    await until(async () => (await inspect("gone")).State.Status === "exited")
    expect((await inspect("gone")).State.ExitCode).toBe(137)
  }, 60_000)

  test("with the machine are started those that ran, and with always also what was stopped", async () => {
    for (const [name, policy] of [
      ["one", "unless-stopped"],
      ["two", "unless-stopped"],
      ["three", "always"],
      ["four", "on-failure"],
    ] as const)
      await run(name, policy, "trap 'exit 0' TERM; sleep 1000 & wait")
    await ok(...ownRun("-d", "--name", "none", "base", "sleep", "1000"))
    await ok("stop", "two", "three")
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
    for (const name of ["one", "four", "none"]) {
      const path = running((await inspect(name)).Id)
      const text = readFileSync(path, "utf8")
      const { supervisor } = JSON.parse(text)
      writeFileSync(path, text.replace(boot, "b".repeat(boot.length)))
      process.kill(supervisor.pid, "SIGKILL")
    }
    await until(async () => (await ok("ps", "-q")) === "")
    expect((await ok("start", "--boot")).split("\n").sort()).toEqual(["", "four", "one", "three"])
    expect((await ok("ps", "--format", "{{.Names}}")).split("\n").sort()).toEqual(["", "four", "one", "three"])
    expect(await ok("start", "--boot")).toBe("")
    const unit = await ok("generate", "systemd")
    expect(unit).toMatch(/^ExecStart=-\S*toybox.* start .*--boot$/m)
    expect(Bun.spawnSync(["sh", "-n"], { stdin: Buffer.from(await ok("generate", "openrc")) }).exitCode).toBe(0)
  }, 60_000)

  test.each([
    [["--restart", "sometimes", "-d"], '"sometimes" is no restart policy'],
    [["--restart", "always:3", "-d"], "is no restart policy"],
    [["--restart", "always"], "--restart needs --detach"],
    [["--restart", "always", "-d", "--rm"], "does not go with --rm"],
  ])("refuses %j", async (words, message) => {
    const { stderr, exitCode } = await toybox(["run", ...words, "base", "true"])
    expect({ told: stderr.includes(message), exitCode }).toEqual({ told: true, exitCode: 125 })
  })
})
