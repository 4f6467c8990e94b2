/** Signals to toybox, and what becomes of the container when toybox is killed. */
import { afterEach, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { type RunningToybox, startToybox, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGUSR1: 10, SIGUSR2: 12, SIGALRM: 14, SIGTERM: 15 } as const
type Name = keyof typeof NUMBERS
const names = Object.keys(NUMBERS) as Name[]
const ENDING: readonly Name[] = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"]

/** One of the masks of a process: proc_pid_status(5). */
function hasSignal(pid: number, field: "ShdPnd" | "SigBlk" | "SigIgn" | "SigCgt", name: Name): boolean {
  const mask = new RegExp(`^${field}:\\s*(\\w+)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  return ((BigInt(`0x${mask}`) >> BigInt(NUMBERS[name] - 1)) & 1n) === 1n
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 15_000; !condition(); await Bun.sleep(10)) {
    if (performance.now() > end) throw new Error(`has not happened in time: ${condition}`)
  }
}

/** Sends a signal, and waits until toybox has taken it: signals that wait together are taken by number, not in order. */
async function killAndAwait(running: RunningToybox, name: Name): Promise<void> {
  running.kill(name)
  await until(() => !hasSignal(running.pid, "ShdPnd", name))
}

const start = (...words: string[]) => startToybox(ownRun("--rm", ...words))
const startScript = (script: string, ...options: string[]) => start(...options, "base", "sh", "-c", script)

/** A script that says which signals come, and ends at USR2. */
const COUNT = [
  ...names.filter((name) => name !== "SIGUSR2").map((name) => `trap 'echo ${name}' ${name.slice(3)}`),
  "trap 'exit 6' USR2",
  "echo ready",
  "while :; do sleep 0.05; done",
].join("\n")

describe.skipIf(!isRoot)("a signal to toybox", () => {
  afterEach(async () => {
    expect(await ownLeftovers()).toEqual([])
  })

  for (const init of [[], ["--init"]]) {
    test(`reaches the command's handler${init.map((word) => ` (${word})`)}, and toybox goes on`, async () => {
      const running = await startScript(COUNT, ...init)
      await running.waitFor("ready")
      for (const name of names.filter((name) => name !== "SIGUSR2")) {
        running.kill(name)
        await running.waitFor(name)
      }
      running.kill("SIGUSR2")
      const { stdout, stderr, exitCode } = await running.wait()
      expect({ exitCode, stderr }).toEqual({ exitCode: 6, stderr: "" })
      expect(stdout.trim().split("\n").sort()).toEqual(["ready", ...names.filter((name) => name !== "SIGUSR2")].sort())
    })
  }

  test("that a PID 1 has no handler for ends it, with its number and a word on why", async () => {
    for (const name of ENDING) {
      const running = await start("--name", "bare", "base", "sh", "-c", "echo ready; exec sleep 60")
      await running.waitFor("ready")
      const pid = await runningPid("bare")
      // Between its last word and the exec the shell still has handlers of its own.
      const kinds = ["SigBlk", "SigIgn", "SigCgt"] as const
      await until(() => readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n")
      await until(() => !kinds.some((kind) => hasSignal(pid, kind, name)))
      running.kill(name)
      const { stderr, exitCode, signal } = await running.wait()
      expect({ name, exitCode, signal }).toEqual({ name, exitCode: 128 + NUMBERS[name], signal: undefined })
      expect(stderr).toMatch(new RegExp(`^toybox: .*no handler for ${name}, .*PID 1.*--init.*\n$`))
    }
  })

  test("that asks for no end leaves a PID 1 without a handler alone", async () => {
    const running = await startScript("echo ready; read line; exit 3")
    await running.waitFor("ready")
    await killAndAwait(running, "SIGUSR1")
    await killAndAwait(running, "SIGALRM")
    running.stdin.write("\n")
    expect(await running.wait()).toMatchObject({ exitCode: 3, stderr: "" })
  })

  test("behind --init acts as without a container, quietly", async () => {
    for (const name of ["SIGTERM", "SIGINT", "SIGUSR1"] as const) {
      const running = await start("--init", "base", "sh", "-c", "echo ready; exec sleep 60")
      await running.waitFor("ready")
      running.kill(name)
      expect(await running.wait()).toMatchObject({ exitCode: 128 + NUMBERS[name], stderr: "" })
    }
  })

  test("that the command ignores is ignored", async () => {
    const running = await startScript("trap '' TERM; trap 'exit 4' USR1; echo ready; while :; do sleep 0.05; done")
    await running.waitFor("ready")
    await killAndAwait(running, "SIGTERM")
    running.kill("SIGUSR1")
    expect(await running.wait()).toMatchObject({ exitCode: 4, stderr: "" })
  })

  test("--init reaps what is orphaned, and ends with the command, not with the last orphan", async () => {
    const orphans = "for i in 1 2 3 4 5; do sh -c 'sleep 0.05 & exit' ; done; sleep 0.3"
    const { stdout } = await toybox(
      ownRun("--rm", "--init", "base", "sh", "-c", `${orphans}; ps -o stat,comm | grep -c '^Z'; sleep 60 & exit 0`),
    )
    expect(stdout).toBe("0\n")
  })

  test("during the start ends it, with nothing left", async () => {
    const codes = new Set<number>()
    for (let round = 0; round < 24; round++) {
      const name = ENDING[round % ENDING.length] ?? "SIGTERM"
      const running = await start("base", "sleep", "60")
      await Bun.sleep(round * 0.8)
      running.kill(name)
      const { exitCode } = await running.wait()
      expect({ name, exitCode }).toEqual({ name, exitCode: 128 + NUMBERS[name] })
      codes.add(exitCode)
    }
    expect(codes.size).toBe(ENDING.length)
  })
})

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

async function runningPid(name: string): Promise<number> {
  const { stdout } = await toybox(["ps", "--json"])
  const found = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .find((row) => row.name === name)
  return found.pid
}

describe.skipIf(!isRoot)("SIGKILL of toybox", () => {
  test("kills the container at once", async () => {
    const running = await startToybox(ownRun("--name", "killed", "base", "sh", "-c", "sleep 99 & echo ready; sleep 98"))
    await running.waitFor("ready")
    const pid = await runningPid("killed")
    expect(isAlive(pid)).toBe(true)
    running.kill("SIGKILL")
    expect(await running.wait()).toMatchObject({ exitCode: 137, signal: "SIGKILL" })
    await until(() => !isAlive(pid))
    expect(isAlive(pid)).toBe(false)
    const { stdout } = await toybox(["ps", "-a", "--json"])
    expect(JSON.parse(stdout)).toMatchObject({ name: "killed", status: "exited", exitCode: 137 })
    expect(stdout).toContain("toybox itself was killed")
    expect((await toybox(["rm", "killed"])).exitCode).toBe(0)
    expect(await ownLeftovers()).toEqual([])
  })

  test("is survived, by a command that clears its death signal, until the next toybox command only", async () => {
    // Any change of the user clears it: PR_SET_PDEATHSIG(2const).
    const running = await start("--name", "survivor", makeRoot(), "su", "alice", "-c", "echo ready; sleep 97")
    await running.waitFor("ready")
    const pid = await runningPid("survivor")
    running.kill("SIGKILL")
    await Bun.sleep(100)
    expect(isAlive(pid)).toBe(true)
    expect((await toybox(["ps", "-a", "-q"])).stdout).toBe("")
    expect(isAlive(pid)).toBe(false)
    expect(await ownLeftovers()).toEqual([])
    await running.wait().catch(() => undefined)
  })
})
