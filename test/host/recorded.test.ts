/** What a container is, is written down before its command is executed. */
import { describe, expect, test } from "bun:test"
import { closeSync, constants, existsSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** A toybox whose container touches a file; it waits, having written down what it is, for a reader of the events. */
async function heldUp(name: string) {
  const shared = temporaryDirectory()
  const events = join(stateRoot(), "run/events")
  expect((await toybox(["ps"])).exitCode).toBe(0)
  expect(await Bun.spawn(["sh", "-c", 'rm -f "$1"; mkfifo "$1"', "-", events]).exited).toBe(0)
  const running = await startToybox(ownRun("--name", name, "-v", `${shared}:/d`, "base", "touch", "/d/executed"))
  while (readFileSync(`/proc/${running.pid}/wchan`, "utf8") !== "wait_for_partner") await Bun.sleep(5)
  // Longer than all that its process still has to do.
  await Bun.sleep(300)
  const isExecuted = () => existsSync(join(shared, "executed"))
  expect(isExecuted()).toBe(false)
  return { running, events, isExecuted }
}

describe.skipIf(!isRoot)("the command waits until its container is recorded", () => {
  test("and is executed then", async () => {
    const { running, events, isExecuted } = await heldUp("later")
    const reader = openSync(events, constants.O_RDONLY | constants.O_NONBLOCK)
    expect(await running.wait()).toMatchObject({ exitCode: 0, stderr: "" })
    closeSync(reader)
    expect(isExecuted()).toBe(true)
    await Bun.spawn(["rm", events]).exited
    expect((await toybox(["rm", "later"])).exitCode).toBe(0)
    expect(await ownLeftovers()).toEqual([])
  })

  test("or never, where toybox is killed", async () => {
    const { running, events, isExecuted } = await heldUp("never")
    running.kill("SIGKILL")
    await running.wait()
    await Bun.spawn(["rm", events]).exited
    const [told] = JSON.parse((await toybox(["inspect", "never"])).stdout)
    expect(told.State).toMatchObject({ Status: "exited", ExitCode: 137, Error: "toybox itself was killed" })
    expect(isExecuted()).toBe(false)
    expect((await toybox(["rm", "never"])).exitCode).toBe(0)
    expect(await ownLeftovers()).toEqual([])
  })
})
