import { describe, expect, test } from "bun:test"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { close } from "../../../ffi/fs.ts"
import { listContainers } from "../../../src/container/list.ts"
import { takeName } from "../../../src/container/name.ts"
import { recover, recoverAll } from "../../../src/container/recover.ts"
import { removeContainer } from "../../../src/container/remove.ts"
import * as state from "../../../src/container/state.ts"
import { takeAddress } from "../../../src/network/leases.ts"
import { keepNetwork, leasesOf, type Network } from "../../../src/network/network.ts"
import type { Paths } from "../../../src/paths.ts"
import { bootId } from "../../../src/state-file.ts"
import { cleanUpAfterAll } from "../../helpers/scratch.ts"
import { enter, makeContainer, makeState, runningRecord } from "./temp-state.ts"

cleanUpAfterAll()

const DEAD_PID = 2 ** 22 + 1

/** A container whose toybox was killed: the lock is given up, the rest is there. */
function abandon(paths: Paths, changes: Parameters<typeof runningRecord>[0] = {}): string {
  const { id, name } = makeContainer(paths, { autoRemove: changes.autoRemove ?? false })
  takeName(paths, name, id, true)
  close(enter(paths, id, runningRecord({ pid: DEAD_PID, startTime: "5", ...changes })).fd)
  return id
}

describe("recover", () => {
  test("a dead one gets a result, and stays to be looked at", () => {
    const paths = makeState()
    const id = abandon(paths)
    recover(paths)
    expect(readdirSync(paths.running)).toEqual([])
    expect(state.readResult(paths, id)).toMatchObject({
      exitCode: 137,
      error: "toybox itself was killed",
      started: runningRecord().started,
    })
    expect(readdirSync(paths.names)).toEqual(["some_name"])
  })

  test("after a reboot it is told as that, whatever has its process's number now", () => {
    const paths = makeState()
    const again = { pid: process.pid, startTime: state.startTime(process.pid) ?? "" }
    const [before, now] = [
      { boot: "another boot", name: "before" },
      { boot: bootId(), name: "now" },
    ].map((changes) => {
      const { id } = makeContainer(paths, { name: changes.name })
      close(enter(paths, id, runningRecord({ ...again, ...changes })).fd)
      return id
    })
    expect(listContainers(paths, false)).toEqual([])
    expect(state.readResult(paths, before as string)).toMatchObject({ exitCode: 255, error: "the machine was stopped" })
    expect(state.readResult(paths, now as string)).toMatchObject({ exitCode: 137, error: "toybox itself was killed" })
  })

  test("addresses that it had taken, and not written down yet, are free again; others' stay", () => {
    const paths = makeState()
    const network = { name: "lan", id: "ab".repeat(32) } as Network
    keepNetwork(paths, network)
    mkdirSync(leasesOf(paths, network), { recursive: true })
    const id = abandon(paths, { pid: 0, startTime: "" })
    const taken = (last: number, holder: string) =>
      takeAddress(leasesOf(paths, network), Uint8Array.of(10, 9, 8, last), holder)
    expect([taken(2, id), taken(3, "cd".repeat(32))]).toEqual([true, true])
    recover(paths)
    expect(readdirSync(leasesOf(paths, network))).toEqual(["10.9.8.3"])
  })

  test("where others attach to it goes, too, though nobody had written down yet who supervises", () => {
    const paths = makeState()
    const id = abandon(paths)
    writeFileSync(`${paths.attach}/${id}`, "")
    recover(paths)
    expect(readdirSync(paths.attach)).toEqual([])
  })

  test("a dead one that was to be removed is", () => {
    const paths = makeState()
    abandon(paths, { autoRemove: true })
    recover(paths)
    expect([readdirSync(paths.running), readdirSync(paths.containers), readdirSync(paths.names)]).toEqual([[], [], []])
  })

  test("one that was killed before its record was written leaves nothing", () => {
    const paths = makeState()
    const id = state.newId()
    mkdirSync(state.containerPath(paths, id))
    takeName(paths, "some_name", id, true)
    close(enter(paths, id, runningRecord()).fd)
    recover(paths)
    expect([readdirSync(paths.running), readdirSync(paths.containers), readdirSync(paths.names)]).toEqual([[], [], []])
  })

  test("one that had its result already keeps it", () => {
    const paths = makeState()
    const id = abandon(paths)
    state.writeResult(paths, id, { exitCode: 3, oomKilled: false, finished: "then" })
    recover(paths)
    expect(state.readResult(paths, id)).toEqual({ exitCode: 3, oomKilled: false, finished: "then" })
  })

  test("a live one is not touched, however often", () => {
    const paths = makeState()
    const { id } = makeContainer(paths, { autoRemove: true })
    const lock = enter(paths, id, runningRecord({ autoRemove: true }))
    for (let i = 0; i < 3; i++) recoverAll(paths)
    expect([state.runningIds(paths), state.allIds(paths), state.readResult(paths, id)]).toEqual([[id], [id], null])
    state.leaveRunning(lock)
  })

  test("an entry that was being made goes with its maker, and not before", () => {
    const paths = makeState()
    writeFileSync(`${paths.running}/.${"a".repeat(64)}.${DEAD_PID}`, "")
    writeFileSync(`${paths.running}/.${"b".repeat(64)}.${process.pid}`, "")
    recover(paths)
    expect(readdirSync(paths.running)).toEqual([`.${"b".repeat(64)}.${process.pid}`])
  })

  test("an entry that lost its content in a power cut is put in order, too", () => {
    const paths = makeState()
    const { id } = makeContainer(paths)
    writeFileSync(`${paths.running}/${id}`, "")
    recover(paths)
    expect([readdirSync(paths.running), state.readResult(paths, id)?.exitCode]).toEqual([[], 137])
  })
})

describe("recoverAll, after a reboot", () => {
  test("what has no result and does not run gets one, or goes", () => {
    const paths = makeState()
    const kept = makeContainer(paths).id
    const removed = makeContainer(paths, { autoRemove: true, name: "other" })
    takeName(paths, "other", removed.id, true)
    const half = state.newId()
    mkdirSync(state.containerPath(paths, half))
    recoverAll(paths)
    expect(state.allIds(paths)).toEqual([kept])
    expect(state.readResult(paths, kept)).toMatchObject({ exitCode: 255, error: "the machine was stopped" })
    expect(readdirSync(paths.names)).toEqual([])
  })

  test("a result that the power cut emptied is written anew", () => {
    const paths = makeState()
    const { id } = makeContainer(paths)
    writeFileSync(`${state.containerPath(paths, id)}/result.json`, "")
    expect(listContainers(paths, true)).toMatchObject([{ id, status: "exited", exitCode: 255 }])
  })

  test("what a killed toybox was discarding goes, what a live one is discarding stays", () => {
    const paths = makeState()
    const [dead, live] = [`.${"a".repeat(64)}.${DEAD_PID}`, `.${"b".repeat(64)}.${process.pid}`]
    for (const name of [dead, live]) mkdirSync(`${paths.containers}/${name}/upper`, { recursive: true })
    recoverAll(paths)
    expect(readdirSync(paths.containers)).toEqual([live])
  })
})

describe("list and remove", () => {
  test("the newest first; those that ended only with `all`", () => {
    const paths = makeState()
    const ids = ["2026-01-02", "2026-01-03", "2026-01-01"].map(
      (day) => makeContainer(paths, { created: `${day}T00:00:00.000Z`, name: day }).id,
    )
    for (const id of ids) state.writeResult(paths, id, { exitCode: 1, oomKilled: false, finished: "x" })
    expect(listContainers(paths, false)).toEqual([])
    expect(listContainers(paths, true).map(({ name }) => name)).toEqual(["2026-01-03", "2026-01-02", "2026-01-01"])
  })

  test("one that runs is shown with its pid, and removed by force only", () => {
    const paths = makeState()
    const { id } = makeContainer(paths)
    const lock = enter(paths, id, runningRecord({ pid: process.pid, startTime: state.startTime(process.pid) ?? "" }))
    expect(listContainers(paths, false)).toMatchObject([{ id, status: "running", pid: process.pid }])
    expect(() => removeContainer(paths, id, false)).toThrow("is running")
    expect(state.allIds(paths)).toEqual([id])
    state.leaveRunning(lock)
  })

  test("one that ended is removed by a beginning of its id, with its name", () => {
    const paths = makeState()
    const { id, name } = makeContainer(paths)
    takeName(paths, name, id, true)
    state.writeResult(paths, id, { exitCode: 0, oomKilled: false, finished: "x" })
    expect(removeContainer(paths, id.slice(0, 12), false)).toBe(id)
    expect([readdirSync(paths.containers), readdirSync(paths.names)]).toEqual([[], []])
    expect(() => removeContainer(paths, id, false)).toThrow("no such container")
  })
})
