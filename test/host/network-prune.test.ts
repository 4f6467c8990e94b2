/** The default network goes while containers start that bring it back. */
import { expect, test } from "bun:test"
import { makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

cleanUpAfterAll()

test("several that remove the network take nothing of the one that came after it", async () => {
  const machine = await makeMachine()
  try {
    for (let round = 0; round < 4; round++) {
      const words = Array.from({ length: 8 }, () => [
        ["run", "--rm", "--quiet", "base", "true"],
        ["network", "prune"],
        ["network", "prune"],
      ])
      for (const told of await Promise.all(words.flat().map((one) => machine.told(...one))))
        expect(told).toMatchObject({ code: 0, stderr: "" })
    }
    await machine.run("network", "prune")
    expect(await machine.sh("ip -br link show type bridge; nft list ruleset")).toBe("")
  } finally {
    await machine.close()
  }
}, 60_000)
