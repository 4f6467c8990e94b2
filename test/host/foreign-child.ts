/** Runs in a network namespace of its own: what the firewalls there do to a network, and what they would have to be told. */
import { obstaclesOf } from "../../src/network/firewall/obstacles.ts"

const [bridge = "", subnet = "", subnet6 = "", isolated] = process.argv.slice(2)
const network = {
  bridge,
  index: 7,
  subnet,
  subnet6: subnet6 || null,
  internal: false,
  isolated: isolated === "isolated",
}
console.log(JSON.stringify(obstaclesOf(network)))
