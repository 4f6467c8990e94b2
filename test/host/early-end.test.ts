/** A process that is killed on its way to becoming a container is noticed by the toybox that waits for its word. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { kill } from "../../ffi/signal.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { startToybox, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/**
 * Waits for the first child of a process, without giving the processor away: it says who it is within a millisecond. Null where
 * the process has ended, for this one was kept from looking.
 */
function firstChild(pid: number | null): number | null {
  for (;;) {
    try {
      const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")
      if (child) return Number(child)
    } catch {
      return null
    }
  }
}

/** Starts containers and kills what `victim` says of their toybox, which tells that, unless it came too late. */
async function killAtOnce(victim: (pid: number) => number | null, ...options: string[]) {
  for (let round = 0; round < 10; round++) {
    const running = await startToybox(ownRun("-d", "--rm", ...options, "base", "sleep", "60"))
    try {
      const found = victim(running.pid)
      if (found !== null) kill(found, SIGKILL)
    } catch {
      // That toybox has done what it had to before anybody could look at it.
    }
    const { exitCode, stderr } = await running.wait()
    expect([
      [0, ""],
      [137, "toybox: toybox itself was killed\n"],
    ]).toContainEqual([exitCode, stderr])
  }
  await toybox(["rm", "--all", "--force"])
}

describe.skipIf(!isRoot)("killed at once is", () => {
  test.each([[["--net", "none"]], [[]]])("what becomes the supervisor: %j", async (options) => {
    await killAtOnce(firstChild, ...options)
    expect(await ownLeftovers()).toEqual([])
  })

  test("what makes the container, and its supervisor lives on", async () => {
    const target = await startToybox(ownRun("--name", "target", "base", "sleep", "1000"))
    while ((await toybox(["exec", "target", "true"])).exitCode !== 0);
    await killAtOnce((pid) => firstChild(firstChild(pid)), "--net", "none", "--pid", "container:target")
    await target.wait()
    expect(await ownLeftovers()).toEqual([])
  })
})
