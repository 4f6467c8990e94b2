/** The link of a network: what it keeps, and what the machine's settings make of it. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

cleanUpAfterAll()

let machine: Machine
const run = (...words: string[]) => machine.run(...words)

beforeAll(async () => {
  machine = await makeMachine()
}, 60_000)

afterAll(async () => machine?.close())

test("the link's address stays, whoever comes and goes: containers know the machine by it", async () => {
  const address = async () => (await machine.json("link show type bridge"))[0].address
  const seen = new Set<string>()
  // Of the ports' addresses, which are random, the kernel would take the lowest.
  for (let i = 0; i < 5; i++) {
    await run("run", "-d", "base", "sleep", "1000")
    seen.add(await address())
  }
  await run("rm", "-f", "--all")
  await run("run", "--rm", "base", "true")
  seen.add(await address())
  expect(seen.size).toBe(1)
  // A unicast address that is administered locally.
  expect(Number.parseInt([...seen][0] ?? "", 16) & 3).toBe(2)
}, 60_000)
