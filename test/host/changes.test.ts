/** A running container that several change at once: limits, policy, name and networks. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { stateRoot } from "../helpers/toybox.ts"

let machine: Machine

beforeAll(async () => {
  machine = await makeMachine()
}, 60_000)

afterAll(async () => machine?.close())
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

/** What the kernel has as the limit of processes. */
function pidsMax(id: string): string {
  const { cgroup } = JSON.parse(readFileSync(join(stateRoot(), "run/running", id), "utf8"))
  return readFileSync(join(cgroup.dirs.pids ?? Object.values(cgroup.dirs)[0], "pids.max"), "utf8").trim()
}

test("several changes at once lose nothing of one another", async () => {
  await machine.run("network", "create", "between")
  const id = (await machine.run(...ownRun("-d", "--name", "many", "base", "sleep", "1000"))).trim()
  const changes = Array.from({ length: 6 }, (_, i) => [
    ["update", "--pids", String(100 + i), id],
    ["update", "--cpu-shares", String(200 + i), id],
    ["update", "--restart", `on-failure:${i + 1}`, id],
    ["rename", id, `many${i}`],
  ]).flat()
  const moves = ["connect", "disconnect", "connect"].map((move) => ["network", move, "between", id])
  const all = changes.values()
  const takeTurns = async () => {
    for (const words of all) await machine.run(...words)
  }
  const move = async () => {
    for (const words of moves) await machine.run(...words)
  }
  await Promise.all([takeTurns(), takeTurns(), takeTurns(), move()])
  const [seen] = JSON.parse(await machine.run("inspect", id))
  expect(Object.keys(seen.NetworkSettings.Networks).sort()).toEqual(["between", "bridge"])
  expect(String(seen.HostConfig.PidsLimit)).toBe(pidsMax(id))
  expect(seen.HostConfig.PidsLimit).toBeGreaterThanOrEqual(100)
  expect(seen.HostConfig.CpuShares).toBeGreaterThanOrEqual(200)
  expect(seen.HostConfig.RestartPolicy.Name).toBe("on-failure")
  expect(seen.Name).toMatch(/^\/?many\d$/)
  expect(readdirSync(join(stateRoot(), "containers", id)).filter((name) => name.endsWith(".new"))).toEqual([])
}, 90_000)
