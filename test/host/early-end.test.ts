/** A process that is killed on its way to becoming a container is noticed by the toybox that waits for its word. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { startToybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** Waits for the first child of a process, without giving the processor away: it says who it is within a millisecond. */
function firstChild(pid: number): number {
  for (;;) {
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")
    if (child) return Number(child)
  }
}

describe.skipIf(!isRoot)("what becomes the supervisor is killed at once", () => {
  test.each([[["--net", "none"]], [[]]])(
    "%j",
    async (options) => {
      for (let round = 0; round < 4; round++) {
        const running = await startToybox(ownRun("-d", "--rm", ...options, "base", "sleep", "60"))
        process.kill(firstChild(running.pid), "SIGKILL")
        const { exitCode, stderr } = await running.wait()
        expect(stderr).toContain("toybox: toybox itself was killed")
        expect(exitCode).toBe(137)
      }
      expect(await ownLeftovers()).toEqual([])
    },
    30_000,
  )
})
