/** Runs in a network namespace of its own: who drops what is forwarded there, and what he would have to enter. */
import { allChains, forwardDrops, missingRules } from "../../src/network/firewall/foreign.ts"
import { legacyChains } from "../../src/network/firewall/legacy.ts"

const drops = forwardDrops([...allChains(), ...legacyChains()])
console.log(JSON.stringify(drops.map((drop) => ({ ...drop, rules: missingRules(drop, "tbblue") }))))
