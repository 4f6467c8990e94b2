/** Runs in a network namespace of its own: who drops what is forwarded there, and what he would have to enter. */
import { allChains, forwardDrops, missingRules } from "../../src/network/firewall/foreign.ts"

console.log(JSON.stringify(forwardDrops(allChains()).map((drop) => ({ ...drop, rules: missingRules(drop, "tbblue") }))))
