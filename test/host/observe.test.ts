/** toybox top, diff, stats. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { renameSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { type RunningToybox, startToybox, toybox } from "../helpers/toybox.ts"
import { terminal } from "../helpers/tty.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)("a running container", () => {
  let container: RunningToybox

  beforeAll(async () => {
    const files = { "data/kept": "1", "data/gone": "1", "data/changed": "1", "old/a": "1", "old/b": "1" }
    // Paths are not ASCII for everybody.
    const root = join(temporaryDirectory("racine"), "é")
    renameSync(makeRoot({ files }), root)
    const script =
      "rm /data/gone; echo 2 > /data/changed; echo 3 > /data/new; mkdir /fresh; echo x > /fresh/x; " +
      "rm -r /old; mkdir /old; echo 4 > /old/b; ln -s /etc/passwd /link; sleep 1000 & echo ready; while :; do :; done"
    const limits = ["--name", "observed", "--pids", "50", "--mem", "100M", "--cpu", "5%"]
    container = await startToybox(ownRun("--rm", ...limits, root, "sh", "-c", script), { timeoutSeconds: 60 })
    await container.waitFor("ready")
  })

  afterAll(async () => {
    container.kill("SIGTERM")
    await container.wait()
    expect(await ownLeftovers()).toEqual([])
  })

  test("shows its processes, in the columns of ps", async () => {
    const named = () => toybox(["top", "observed", "-o", "comm"])
    // The shell's child is a shell, too, until its exec.
    for (const end = Date.now() + 10_000; Date.now() < end && !(await named()).stdout.includes("sleep"); );
    const { stdout, exitCode } = await toybox(["top", "observed"])
    expect(exitCode).toBe(0)
    const [head, ...rows] = stdout.trim().split("\n")
    expect(head).toMatch(/^UID +PID +PPID +C +STIME +TTY +TIME +CMD$/)
    expect(rows).toHaveLength(2)
    expect(stdout).toContain("sleep 1000")
    expect((await toybox(["top", "observed", "-o", "comm,user"])).stdout.split("\n").slice(1, 3).sort()).toEqual([
      "sh        root",
      "sleep     root",
    ])
    expect((await toybox(["top", "observed", "pid", "ppid", "comm"])).stdout).toMatch(
      /^PID +PPID +COMMAND\n1 +0 +sh\n\d+ +1 +sleep\n$/,
    )
    expect((await toybox(["top", "observed", "--", "-eo", "pid=,comm=", "--sort=-comm"])).stdout).toMatch(
      /^\d+ +sleep\n\d+ +sh\n$/,
    )
    expect(await toybox(["top", "nobody"])).toMatchObject({ exitCode: 125 })
    expect(await toybox(["top", "observed", "--forest"])).toMatchObject({ exitCode: 125 })
  })

  test("shows in docker's columns what it uses", async () => {
    const stats = (format: string) =>
      toybox(["stats", "--no-stream", "--interval", "0.1", "--format", format, "observed"])
    expect((await stats("{{.Name}} {{.MemUsage}} {{.PIDs}}")).stdout).toMatch(/^observed [\d.]+\wiB \/ 100MiB \d+\n$/)
    expect((await stats("table {{.Name}}\\t{{.CPUPerc}}")).stdout).toMatch(/^NAME +CPU %\nobserved +[\d.]+%\n$/)
    expect(JSON.parse((await stats("json")).stdout)).toMatchObject({ Name: "observed", BlockIO: expect.any(String) })
    expect(await stats("{{.Nothing}}")).toMatchObject({ exitCode: 125 })
  })

  test("shows what it changed, and not what was made to mount on", async () => {
    const { stdout, exitCode } = await toybox(["diff", "observed"])
    expect(exitCode).toBe(0)
    expect(stdout.trim().split("\n")).toEqual([
      "C /data",
      "C /data/changed",
      "D /data/gone",
      "A /data/new",
      "A /fresh",
      "A /fresh/x",
      "A /link",
      "C /old",
      "D /old/a",
      "C /old/b",
    ])
    const lines = (await toybox(["diff", "--json", "observed"])).stdout.trim().split("\n")
    expect(lines.map((line) => JSON.parse(line)).at(2)).toEqual({ kind: "D", path: "/data/gone" })
  })

  test("shows what it uses", async () => {
    const { stdout, exitCode } = await toybox(["stats", "--no-stream", "--json", "observed"])
    expect(exitCode).toBe(0)
    const usage = JSON.parse(stdout)
    expect(usage).toMatchObject({ name: "observed", pidsLimit: 50, memoryLimitBytes: 100 * 2 ** 20, oomKills: 0 })
    expect(usage.pids).toBeGreaterThanOrEqual(2)
    expect(usage.memoryBytes).toBeGreaterThan(0)
    expect(usage.cpuPercent).toBeGreaterThan(0)
    // A busy machine may not let it come to its limit at once.
    let throttled = usage.throttledPercent
    for (let attempt = 0; throttled === 0 && attempt < 5; attempt++) {
      throttled = JSON.parse((await toybox(["stats", "--no-stream", "--json", "observed"])).stdout).throttledPercent
    }
    expect(throttled).toBeGreaterThan(0)
    expect((await toybox(["stats", "--no-stream"])).stdout).toMatch(
      /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS +THROTTLED .*\n.*observed +\d+\.\d\d% .* \/ 100MiB /,
    )
    expect(await toybox(["stats", "--interval", "0", "observed"])).toMatchObject({ exitCode: 125 })
  })

  test("is shown beside those that do not run; what one in the background reads and writes is counted", async () => {
    await toybox(ownRun("--name", "over", "base", "true"))
    await toybox(ownRun("-d", "--name", "behind", "base", "sleep", "1000"))
    const format = "{{.Name}} {{.CPUPerc}} {{.PIDs}} {{.BlockIO}} {{len .ID}}"
    const lines = (await toybox(["stats", "-a", "--no-trunc", "--no-stream", "--interval", "0.1", "--format", format]))
      .stdout
    expect(lines).toContain("over 0.00% 0 0B / 0B 64\n")
    expect(lines).toMatch(/^behind 0\.\d\d% 1 [\d.]+k?B \/ [\d.]+k?B 64$/m)
    expect((await toybox(["stats", "--no-stream", "--interval", "0.1"])).stdout).not.toContain("over")
    const asked = (...words: string[]) =>
      toybox(["stats", "--interval", "0.1", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", ...words])
    expect(await asked("--no-stream", "over")).toMatchObject({ stdout: "over 0B / 0B 0\n", exitCode: 0 })
    // Nothing more is to come.
    expect(await asked("over")).toMatchObject({ stdout: "over 0B / 0B 0\n", exitCode: 0 })
    const both = (await asked("--no-stream", "over", "behind")).stdout.split("\n")
    expect(both).toEqual(["over 0B / 0B 0", expect.stringMatching(/^behind .* 1$/), ""])
    expect(await asked("--no-stream", "nowhere")).toMatchObject({ stdout: "", exitCode: 125 })
    await toybox(["rm", "-f", "over", "behind"])
  })

  test.each([
    "stats --interval 0.1 --json observed",
    "stats --interval 0.1 --format {{.Name}}",
    "stats --interval 0.1",
    "ps --watch 1",
    "ps --watch 1 --format {{.Names}}",
    "ps --watch 1 -q",
    "events --since 1h --format '{{json .}}'",
    "events --since 1h",
  ])("%s ends when nobody reads it any more", async (words) => {
    const script = `'${toyboxBinary()}' ${words} | head -n 1 >&2; echo $PIPESTATUS`
    const { stdout, stderr } = await toybox(["-c", script], { binary: "/bin/bash" })
    expect({ stdout, isShown: stderr.trim() !== "" }).toEqual({ stdout: "141\n", isShown: true })
  })

  test("is watched on a terminal, with a history", async () => {
    const tty = await terminal({ cmd: [toyboxBinary(), "stats", "--interval", "0.2"], cols: 200 })
    await tty.waitFor(/observed.*[▁-█]{3}/, 20)
    tty.press("C-c")
    expect(await tty.exited()).toBe(130)
    await tty.close()
  })
})
