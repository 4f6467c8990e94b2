/** Containers that go on without their toybox: run -d, what they write, how they end, and what is left. */
import { afterEach, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const PATIENCE = 15_000

const rows = async () =>
  (await toybox(["ps", "-a", "--json"])).stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))

async function eventually<T>(look: () => T | Promise<T>, good: (value: T) => boolean): Promise<T> {
  for (const end = performance.now() + PATIENCE; ; await Bun.sleep(20)) {
    const value = await look()
    if (good(value) || performance.now() > end) return value
  }
}

function attemptRead(path: string): string {
  try {
    return readFileSync(path, "latin1")
  } catch {
    return ""
  }
}

const logOf = (id: string) => attemptRead(join(stateRoot(), "containers", id, "container.log"))
const supervisorOf = (id: string): number =>
  JSON.parse(readFileSync(join(stateRoot(), "run/running", id), "utf8")).supervisor.pid

async function detached(...words: string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await toybox(ownRun("-d", ...words))
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 })
  expect(stdout).toMatch(/^[0-9a-f]{64}\n$/)
  return stdout.trim()
}

describe.skipIf(!isRoot)("run -d", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("prints the id when the command runs; what it writes and how it ends are kept", async () => {
    const id = await detached("base", "sh", "-c", "echo out; echo err >&2; printf part; sleep 1; exit 7")
    expect(await rows()).toMatchObject([{ id, status: "running" }])
    // The beginning of a line is there before its end.
    const early = await eventually(
      () => logOf(id),
      (text) => text.includes("P part"),
    )
    expect(early).toMatch(/^\S+Z stdout P part$/m)
    const ended = await eventually(rows, ([row]) => row.status === "exited")
    expect(ended).toMatchObject([{ id, status: "exited", exitCode: 7 }])
    const times = logOf(id).match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z(?= )/gm)
    expect(times).toHaveLength(3)
    expect(logOf(id)).toMatch(/^\S+ stdout F out$/m)
    expect(logOf(id)).toMatch(/^\S+ stderr F err$/m)
  })

  test("its supervisor has a session of its own, and none of the caller's descriptors", async () => {
    const id = await detached("base", "sleep", "1000")
    const pid = await eventually(
      () => supervisorOf(id),
      (pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("supervise"),
    )
    const session = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ")[3]
    expect(Number(session)).toBe(pid)
    // Standard output was a pipe of this test: it has ended, or `detached` would not have returned.
    expect((await toybox(["rm", "-f", id])).exitCode).toBe(0)
    expect(await rows()).toEqual([])
  })

  test("its supervisor lets go of what only its start had mapped", async () => {
    const pid = supervisorOf(await detached("base", "sleep", "1000"))
    const resident = () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024
    // In megabytes; it is 36 after the start.
    expect(await eventually(resident, (size) => size < 24)).toBeLessThan(24)
    expect(await toybox(["rm", "-f", "--latest"])).toMatchObject({ stderr: "", exitCode: 0 })
  })

  test("its supervisor is small again after much output, and after somebody was attached", async () => {
    const script =
      "for i in 1 2; do read go; head -c 40000000 /dev/zero | tr '\\0' x | fold -w 99; echo done; done; sleep 1000"
    const { stdout } = await toybox(ownRun("-di", "--name", "loud", "base", "sh", "-c", script))
    const entry = JSON.parse(readFileSync(join(stateRoot(), "run/running", stdout.trim()), "utf8"))
    const anonymous = () => {
      const rollup = readFileSync(`/proc/${entry.supervisor.pid}/smaps_rollup`, "utf8")
      return Number(/^Anonymous:\s+(\d+) kB$/m.exec(rollup)?.[1]) / 1024
    }
    const fresh = anonymous()
    for (let round = 0; round < 2; round++) {
      const attached = await startToybox(["attach", "loud"])
      attached.stdin.write("go\n")
      await attached.waitFor("done", 20)
      attached.kill("SIGKILL")
      await attached.wait()
      // In megabytes; left alone it is ten and more.
      expect(await eventually(anonymous, (size) => size - fresh < 6)).toBeLessThan(fresh + 6)
    }
  }, 60_000)

  test("a command that cannot be executed is told as in the foreground", async () => {
    const { stdout, stderr, exitCode } = await toybox(ownRun("-d", "--name", "none", "base", "no-such-command"))
    expect([stdout, exitCode]).toEqual(["", 127])
    expect(stderr).toContain("no-such-command: command not found")
    expect(await rows()).toMatchObject([{ name: "none", status: "exited", exitCode: 127 }])
  })

  test("--rm leaves nothing", async () => {
    await detached("--rm", "base", "true")
    expect(await eventually(rows, (all) => all.length === 0)).toEqual([])
  })

  test("a supervisor that is killed takes the container with it, and the next command puts it in order", async () => {
    const id = await detached("base", "sleep", "1000")
    const [{ pid }] = await rows()
    process.kill(supervisorOf(id), "SIGKILL")
    expect(await eventually(rows, ([row]) => row?.status === "exited")).toMatchObject([{ id, exitCode: 137 }])
    // Gone, or dead and waiting for an init that does not reap.
    const stat = attemptRead(`/proc/${pid}/stat`)
    expect(stat.includes(") Z ") || stat === "").toBe(true)
  })

  test("-d goes with a shared pid namespace, whose container is made by a helper", async () => {
    const first = await detached("base", "sleep", "1000")
    const second = await detached("--pid", `container:${first}`, "base", "sh", "-c", "exit 9")
    const ended = await eventually(rows, (all) => all.some((row) => row.status === "exited"))
    expect(ended.find(({ id }) => id === second)).toMatchObject({ exitCode: 9 })
  })

  test("a log is rotated: 10 MB and three files at most, and not a byte is lost before", async () => {
    const id = await detached("base", "sh", "-c", "yes 0123456789012345678901234567890123456789 | head -c 60000000")
    await eventually(rows, ([row]) => row?.status === "exited")
    const sizes = ["", ".1", ".2", ".3"].map((end) => {
      const path = join(stateRoot(), "containers", id, `container.log${end}`)
      return Bun.file(path).size
    })
    expect(sizes[3]).toBe(0)
    for (const size of sizes) expect(size).toBeLessThanOrEqual(10_000_000)
    expect(sizes[1]).toBeGreaterThan(9_000_000)
    for (const line of logOf(id).split("\n").filter(Boolean).slice(0, 1000))
      expect(line).toMatch(/^\S{30} stdout [FP] [0-9]{0,40}$/)
  }, 60_000)
})
