/** kill -9 not at random instants but at every system call with which toybox changes something, one after the other. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const STRACE = Bun.which("strace")
// What creates, moves, removes, starts; and of the rest what toybox waits in.
const CALLS = ["mkdirat", "symlinkat", "renameat", "unlinkat", "clone3", "fsmount", "flock", "lseek", "pipe2", "ppoll"]

/** Runs toybox under strace, which does not follow the container. */
const traced = (options: readonly string[], words: readonly string[]) =>
  toybox([...options, toyboxBinary(), ...words], { binary: STRACE ?? "" })

/** How often each of the calls is made by a command line. */
async function counts(words: readonly string[]): Promise<[string, number][]> {
  const file = join(temporaryDirectory("strace"), "log")
  const { exitCode } = await traced(["-o", file, "-e", `trace=${CALLS.join()}`], words)
  expect(exitCode).toBe(0)
  const made = readFileSync(file, "utf8").split("\n")
  return CALLS.map((name) => [name, made.filter((line) => line.startsWith(`${name}(`)).length])
}

const rows = async () =>
  (await toybox(["ps", "-a", "--json"])).stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))

describe.skipIf(!isRoot || STRACE === null)("toybox killed at each of its system calls", () => {
  for (const [what, options] of [
    ["with --rm", ["--rm"]],
    ["without --rm", []],
  ] as const) {
    test(`leaves nothing ${what} once the next command has run`, async () => {
      const words = ownRun("--name", "swept", "-m", "64M", ...options, "base", "true")
      await toybox(ownRun("--rm", "base", "true"))
      let kills = 0
      for (const [name, count] of await counts(words)) {
        await toybox(["rm", "-f", "swept"])
        for (let when = 1; when <= count; when++) {
          const inject = `inject=${name}:signal=KILL:when=${when}`
          const { exitCode } = await traced(["-o", "/dev/null", "-e", `trace=${name}`, "-e", inject], words)
          if (exitCode === 137) kills++
          const kept = await rows()
          for (const row of kept) {
            expect({ inject, row }).toMatchObject({ row: { name: "swept", status: "exited" } })
            expect([0, 137]).toContain(row.exitCode)
          }
          if (what === "with --rm") expect({ inject, kept }).toEqual({ inject, kept: [] })
          else if (kept.length > 0) expect((await toybox(["rm", "swept"])).exitCode).toBe(0)
          expect({ inject, left: await ownLeftovers() }).toEqual({ inject, left: [] })
        }
      }
      // Were the calls made under other names, nothing would be killed and all be well.
      expect(kills).toBeGreaterThan(25)
    }, 60_000)
  }
})
