/** Runs in a network namespace of its own: does with toybox's table what is asked for on its standard input. */
import { NETLINK_NETFILTER } from "../../ffi/constants/netlink.ts"
import { openNetlink, transact } from "../../ffi/netlink/socket.ts"
import * as firewall from "../../src/network/firewall/index.ts"
import { batch } from "../../src/network/firewall/requests.ts"
import { tableMessages } from "../../src/network/firewall/ruleset.ts"

const revive = (_key: string, value: unknown) =>
  typeof value === "object" && value !== null && "hex" in value ? Uint8Array.fromHex(String(value.hex)) : value

const { steps, running } = JSON.parse(await Bun.stdin.text(), revive)
const others = { runs: (id: string) => running.includes(id), nameOf: (id: string) => `name-of-${id}` }
const errors: string[] = []
for (const { kind, network, id, ports, addresses, table } of steps)
  try {
    if (kind === "table") {
      const [error] = transact(openNetlink(NETLINK_NETFILTER), batch(tableMessages(table))).errors
      if (error) throw error
    } else if (kind === "flush") Bun.spawnSync(["nft", "flush", "chain", "inet", "toybox", "forward"])
    else if (kind === "ensure") firewall.ensureNetworks([network])
    else if (kind === "remove") firewall.removeNetwork(network)
    else if (kind === "publish") firewall.publish({ id, ports, addresses, served: [] }, others)
    else firewall.unpublish(id, ports, addresses)
  } catch (error) {
    errors.push(error instanceof Error ? error.message : String(error))
  }
console.log(JSON.stringify(errors))
