/** toybox why, and --result-fd: how a container ended, who ended it, and what it used. */
import { afterEach, describe, expect, test } from "bun:test"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"
import { terminal, terminalUnavailable } from "../helpers/tty.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const why = async (name: string) => JSON.parse((await toybox(["why", "--json", name])).stdout)

describe.skipIf(!isRoot)("why a container ended", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("by itself, with what it used and how long that took", async () => {
    const script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3"
    await toybox(ownRun("--name", "itself", "--cpu", "2%", "--mem", "100M", "base", "sh", "-c", script))
    const told = await why("itself")
    expect(told).toMatchObject({ name: "itself", exitCode: 3, oomKilled: false, by: null, asked: null })
    expect(told.usage.cpuUsageUsec).toBeGreaterThan(5000)
    expect(told.usage.memoryPeakBytes).toBeGreaterThan(100_000)
    expect(told.usage.throttledPeriods).toBeGreaterThan(0)
    expect(told.started <= told.executed && told.executed <= told.finished).toBe(true)
    const { stdout } = await toybox(["why", "itself"])
    expect(stdout).toMatch(
      /^ended: {6}\S+, exit code 3\nmemory: {5}.* of 100 MiB\ncpu: {8}.*held back for .*\ntook: {7}set-up \d+ ms, command /,
    )
    const [{ Result }] = JSON.parse((await toybox(["inspect", "itself"])).stdout)
    expect(Result.usage).toEqual(told.usage)
  })

  test("by a limit: memory, processes", async () => {
    await toybox(ownRun("-d", "--name", "memory", "--mem", "20M", "base", "tail", "/dev/zero"))
    await toybox(["wait", "memory"])
    expect(await why("memory")).toMatchObject({ exitCode: 137, by: "the kernel: its memory limit was reached" })
    // Of another process than the first it is known, too, but has ended nothing.
    const loop = "trap 'exit 0' USR1; while :; do sleep 0.1; done"
    for (const name of ["stopped", "coped"]) {
      await toybox(ownRun("-d", "--name", name, "--mem", "20M", "base", "sh", "-c", loop))
      expect(await toybox(["exec", name, "tail", "/dev/zero"])).toMatchObject({ exitCode: 137 })
    }
    await toybox(["stop", "-t", "0", "stopped"])
    await toybox(["kill", "-s", "USR1", "coped"])
    await toybox(["wait", "coped"])
    for (const [options, ...end] of [
      [[], "stop", "-t", "0"],
      [["--rm"], "kill"],
      [["--rm"], "rm", "-f"],
    ] as const) {
      const script = `tail /dev/zero; echo ready; ${loop}`
      const words = [...options, "--name", "front", "--mem", "20M", "base", "sh", "-c", script]
      const front = await startToybox(ownRun(...words))
      await front.waitFor("ready")
      await toybox([...end, "front"])
      const { exitCode, stderr } = await front.wait()
      expect([exitCode, stderr]).toEqual([
        137,
        expect.stringContaining("a process of the container was killed: out of"),
      ])
      await toybox(["rm", "--if-exists", "front"])
    }
    const by = "toybox stop: SIGTERM had no effect in 0 s, and then SIGKILL"
    expect(await why("stopped")).toMatchObject({ exitCode: 137, oomKilled: true, by })
    expect(await why("coped")).toMatchObject({ exitCode: 0, oomKilled: true, by: null })
    const { stdout } = await toybox(["events", "--since", "1m", "--until", "0s", "--filter", "event=oom"])
    expect(stdout).toContain("name=coped")
    await toybox(
      ownRun(
        "--name",
        "pids",
        "--pids",
        "2",
        "base",
        "sh",
        "-c",
        "sleep 0 & sleep 0 & wait; sleep 0 | sleep 0 | sleep 0",
      ),
    )
    expect((await why("pids")).usage.pidsLimitHits).toBeGreaterThan(0)
  })

  test("by toybox stop, that had to kill a PID 1 without a handler, and says so", async () => {
    await toybox(ownRun("-d", "--name", "deaf", "base", "sleep", "1000"))
    const { stderr } = await toybox(["stop", "-t", "1", "deaf"])
    expect(stderr).toContain("its PID 1 has no handler for it")
    expect(await why("deaf")).toMatchObject({
      exitCode: 137,
      by: "toybox stop: SIGTERM had no effect in 1 s, and then SIGKILL",
      asked: { unhandled: true },
    })
    expect((await toybox(["why", "deaf"])).stdout).toContain("hint:       a PID 1 sees only")
  })

  test("by toybox stop and kill, heeded; by somebody else", async () => {
    const trap = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    await toybox(ownRun("-d", "--name", "heeds", "base", "sh", "-c", trap))
    for (const end = Date.now() + 20_000; Date.now() < end; await Bun.sleep(20))
      if ((await toybox(["logs", "heeds"])).stdout.includes("ready")) break
    expect(await toybox(["why", "heeds"])).toMatchObject({ exitCode: 125 })
    await toybox(["stop", "heeds"])
    expect(await why("heeds")).toMatchObject({ exitCode: 0, by: "toybox stop, with SIGTERM" })
    await toybox(ownRun("-d", "--name", "killed", "base", "sleep", "1000"))
    await toybox(["kill", "killed"])
    await toybox(["wait", "killed"])
    expect(await why("killed")).toMatchObject({ exitCode: 137, by: "toybox kill, with SIGKILL" })
    await toybox(ownRun("-d", "--name", "other", "base", "sleep", "1000"))
    const [{ State }] = JSON.parse((await toybox(["inspect", "other"])).stdout)
    process.kill(State.Pid, "SIGKILL")
    await toybox(["wait", "other"])
    expect((await why("other")).by).toContain("not toybox")
  })

  test("with its toybox, that was killed: what its cgroup still knows", async () => {
    const running = await startToybox(
      ownRun("--name", "lost", "--mem", "50M", "base", "sh", "-c", "echo ready; sleep 1000"),
    )
    await running.waitFor("ready")
    running.kill("SIGKILL")
    await running.wait()
    const told = await why("lost")
    expect(told).toMatchObject({ exitCode: 137, by: "toybox itself was killed" })
    expect(told.usage.cpuUsageUsec).toBeGreaterThan(0)
  })

  test("by a signal to the toybox in the foreground", async () => {
    const running = await startToybox(ownRun("--name", "front", "base", "sh", "-c", "echo ready; sleep 1000"))
    await running.waitFor("ready")
    running.kill("SIGINT")
    await running.wait()
    expect((await why("front")).by).toContain("SIGINT, sent to the toybox in the foreground")
  })

  describe.skipIf(terminalUnavailable() !== undefined)("of run -it", () => {
    const asleep = ["base", "sh", "-c", "echo ready; exec sleep 1000"]
    /** A terminal with a toybox in it, and that one's number. */
    async function started(...words: string[]) {
      const cmd = ["bash", "-c", 'echo "toybox is $$"; exec "$0" "$@"', toyboxBinary(), ...ownRun("-it", ...words)]
      const shown = await terminal({ cmd })
      const pid = Number(/toybox is (\d+)/.exec(await shown.waitFor(/^ready$/m))?.[1])
      // Between its last word and the exec the shell still has handlers of its own.
      await Bun.sleep(300)
      return { shown, pid }
    }

    test.each([
      ["SIGTERM", 143],
      ["SIGINT", 130],
      ["SIGQUIT", 131],
    ] as const)("by %s to toybox", async (signal, exitCode) => {
      const { shown, pid } = await started("--name", "typed", ...asleep)
      process.kill(pid, signal)
      expect(await shown.exited()).toBe(exitCode)
      await shown.close()
      const by = expect.stringContaining(`${signal}, sent to the toybox in the foreground`)
      expect(await why("typed")).toMatchObject({ exitCode, by })
      expect((await toybox(["ps", "-a"])).stdout).toContain(`Exited (${exitCode})`)
    })

    test("by a signal to toybox that the command minded", async () => {
      const script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"
      const { shown, pid } = await started("--name", "minded", "base", "sh", "-c", script)
      process.kill(pid, "SIGTERM")
      expect(await shown.exited()).toBe(7)
      await shown.close()
      const by = expect.stringContaining("SIGTERM, sent to the toybox in the foreground")
      expect(await why("minded")).toMatchObject({ exitCode: 7, by })
    })

    test("by a closed terminal, or an end of toybox without a word", async () => {
      const closed = await started("--name", "closed", ...asleep)
      await closed.shown.close()
      await toybox(["wait", "closed"])
      expect(await why("closed")).toMatchObject({ exitCode: 129, by: expect.stringContaining("the foreground") })
      const killed = await started("--name", "gone", ...asleep)
      process.kill(killed.pid, "SIGKILL")
      await toybox(["wait", "gone"])
      await killed.shown.close()
      expect(await why("gone")).toMatchObject({
        exitCode: 129,
        by: "its toybox in the foreground was gone: its terminal was closed, or it was killed",
      })
    })

    test("and of what is removed then the events tell the same", async () => {
      const { shown, pid } = await started("--rm", "--name", "removed", ...asleep)
      process.kill(pid, "SIGTERM")
      expect(await shown.exited()).toBe(143)
      await shown.close()
      const { stdout } = await toybox(["events", "--since", "1m", "--until", "0s", "--filter", "event=die", "--json"])
      expect(stdout).toContain('"exitCode":"143"')
    })
  })
})

describe.skipIf(!isRoot)("--result-fd", () => {
  const told = (...words: string[]) => {
    const { stdout, exitCode } = Bun.spawnSync(
      ["bash", "-c", '"$0" "$@" 3>&1 >/dev/null 2>&1', toyboxBinary(), ...words],
      {
        env: { ...process.env, TOYBOX_ROOT: stateRoot() },
        timeout: 60_000,
      },
    )
    return { exitCode, result: stdout.length > 0 ? JSON.parse(stdout.toString()) : null }
  }

  test("tells a command's exit code from toybox's own", async () => {
    expect(told(...ownRun("--rm", "--result-fd", "3", "base", "sh", "-c", "exit 125"))).toMatchObject({
      exitCode: 125,
      result: { origin: "command", exitCode: 125, usage: { cpuUsageUsec: expect.any(Number) } },
    })
    expect(told(...ownRun("--rm", "--result-fd", "3", "/no/such/root", "true"))).toMatchObject({
      exitCode: 125,
      result: { origin: "toybox", exitCode: 125, error: expect.stringContaining("/no/such/root") },
    })
    expect(told(...ownRun("--rm", "--result-fd", "3", "base", "nonesuch"))).toMatchObject({
      exitCode: 127,
      result: { origin: "toybox", exitCode: 127, error: "nonesuch: command not found" },
    })
    expect(await ownLeftovers()).toEqual([])
  })

  test("is not the container's, and has to be open", async () => {
    const list = ownRun("--rm", "--result-fd", "3", "base", "sh", "-c", "exit $(ls /proc/self/fd | wc -l)")
    // 0, 1, 2, and the directory that ls reads.
    expect(told(...list).exitCode).toBe(4)
    expect(await toybox(ownRun("--rm", "--result-fd", "77", "base", "true"))).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining("77 is not the number of an open file"),
    })
    expect(await toybox(ownRun("-d", "--result-fd", "1", "base", "true"))).toMatchObject({ exitCode: 125 })
  })
})
