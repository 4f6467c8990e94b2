/** Claims the ports that its arguments name, tells which, or why not, and holds them until its standard input ends. */
import { claimPorts } from "../../src/network/claims.ts"
import { formatIp } from "../../src/network/ip.ts"
import { parsePublish } from "../../src/network/ports.ts"

const [held = "", ...texts] = process.argv.slice(2)
try {
  const mappings = texts.map((text) => parsePublish("-p", text))
  const { ports, fds } = claimPorts(mappings, (port) => (String(port) === held ? "web" : null))
  const shown = ports.map((one) => ({ ...one, address: one.address && formatIp(one.address) }))
  console.log(JSON.stringify({ ports: shown, sockets: fds.length }))
} catch (error) {
  const { message, hint } = error as { message: string; hint?: string }
  console.log(JSON.stringify({ message, hint }))
}
await Bun.stdin.text()
