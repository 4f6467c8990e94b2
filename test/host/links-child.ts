/** Runs in a network namespace of its own: carries out the steps on its standard input, and tells what it reads back. */
import { NETLINK_ROUTE } from "../../ffi/constants/netlink.ts"
import { openNetlink, request } from "../../ffi/netlink/socket.ts"
import { type LinkStep, linkMessage } from "../../src/network/links.ts"
import { defaultMtu, linkNamed, routes } from "../../src/network/read.ts"

const revive = (_key: string, value: unknown) =>
  typeof value === "object" && value !== null && "hex" in value ? Uint8Array.fromHex(String(value.hex)) : value

const steps: LinkStep[] = JSON.parse(await Bun.stdin.text(), revive)
const socket = openNetlink(NETLINK_ROUTE)
const errors: string[] = []
for (const step of steps) {
  const index = (name: string) => linkNamed(socket, name)?.index ?? 0
  const known =
    "link" in step
      ? { ...step, link: { ...step.link, index: index(step.link.name) } }
      : "bridge" in step
        ? { ...step, bridge: { ...step.bridge, index: index(step.bridge.name) } }
        : step
  try {
    request(socket, linkMessage(known))
  } catch (error) {
    errors.push(String(error))
  }
}
const table = routes(socket)
console.log(
  JSON.stringify({
    errors,
    bridge: linkNamed(socket, "tbx0"),
    nothing: linkNamed(socket, "nonesuch"),
    routes: table.map(({ to, link }) => `${to.ip.toHex()}/${to.prefix} ${link === null ? "none" : "link"}`),
    mtu: defaultMtu(socket, table),
  }),
)
