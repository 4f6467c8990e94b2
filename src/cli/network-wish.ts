/** The options of `network create` → a network that is to be made. */
import { UsageError } from "../errors.ts"
import { formatIp, parseIp } from "../network/ip.ts"
import type { NetworkWish } from "../network/make-network.ts"
import type { ParsedArgv } from "./argv.ts"
import { labelsOf } from "./labels.ts"

const SWITCHES: Readonly<Record<string, boolean>> = { true: true, "1": true, false: false, "0": false }

// What the kernel takes as the name of a link: dev_valid_name() of net/core/dev.c.
const LINK_NAME = /^(?!\.{1,2}$)[^/:\s]{1,15}$/

/** -o KEY=VALUE, with docker's long names, too. */
function driverOptions(texts: readonly string[]): NetworkWish {
  const wish: NetworkWish = {}
  for (const text of texts) {
    const [name = "", value = ""] = text.split("=")
    const key = name.replace(/^com\.docker\.network\.(driver|bridge)\./, "")
    const on = SWITCHES[value]
    if (key === "mtu" && /^\d{3,5}$/.test(value) && Number(value) >= 576 && Number(value) <= 65535)
      wish.mtu = Number(value)
    else if (key === "enable_ip_masquerade" && on !== undefined) wish.masquerade = on
    else if (key === "enable_icc" && on !== undefined) wish.isolated = !on
    else if (key === "name" && LINK_NAME.test(value)) wish.bridge = value
    else if (key === "host_binding_ipv4" && parseIp(value)?.length === 4) wish.hostBinding = value
    else
      throw new UsageError(`--opt: "${text}" is not understood`, {
        hint: "mtu=576 to 65535, enable_ip_masquerade=true|false, enable_icc=true|false, com.docker.network.bridge.name=LINK, host_binding_ipv4=ADDRESS",
      })
  }
  return wish
}

/** One of each family, of what may be given twice. */
function byFamily(option: string, texts: readonly string[]): { four?: string; six?: string } {
  const [six, four] = [texts.filter((text) => text.includes(":")), texts.filter((text) => !text.includes(":"))]
  if (six.length > 1 || four.length > 1)
    throw new UsageError(`--${option}: one of IPv4 and one of IPv6 at most, and there are ${texts.join(", ")}`)
  return { ...(four[0] === undefined ? {} : { four: four[0] }), ...(six[0] === undefined ? {} : { six: six[0] }) }
}

/** Of options with one value that there is, and is usual. */
const ONLY = { driver: "bridge", "ipam-driver": "default", scope: "local" } as const

/** --aux-address NAME=ADDRESS: those that no container is given. Whose they are is of no concern. */
const reservedAddresses = (texts: readonly string[]): string[] =>
  texts.map((text) => {
    const ip = parseIp(text.slice(text.indexOf("=") + 1))
    if (ip === null) throw new UsageError(`--aux-address: "${text}" is not understood`, { hint: "router=10.20.0.5" })
    return formatIp(ip)
  })

/** What `network create` asks for. Throws UsageError. */
export function networkWish({ strings, lists, booleans }: ParsedArgv): NetworkWish {
  for (const [option, only] of Object.entries(ONLY)) {
    const given = strings.get(option) ?? only
    if (given !== only) throw new UsageError(`--${option}: "${given}" is not known (there is only ${only})`)
  }
  if (booleans.get("ipv4") === false) throw new UsageError("--ipv4: there are no networks without IPv4")
  const subnet = byFamily("subnet", lists.get("subnet") ?? [])
  const gateway = byFamily("gateway", lists.get("gateway") ?? [])
  if (gateway.four !== undefined && subnet.four === undefined)
    throw new UsageError(`--gateway: ${gateway.four} needs the --subnet that it is of`)
  if (gateway.six !== undefined && subnet.six === undefined)
    throw new UsageError(`--gateway: ${gateway.six} needs the --subnet that it is of`)
  const range = strings.get("ip-range")
  if (range !== undefined && subnet.four === undefined)
    throw new UsageError(`--ip-range: ${range} needs the --subnet that it is of`)
  const isolate = booleans.get("isolate")
  const ipv6 = subnet.six ?? booleans.get("ipv6")
  return {
    ...driverOptions(lists.get("opt") ?? []),
    ...(subnet.four === undefined ? {} : { subnet: subnet.four }),
    ...(gateway.four === undefined ? {} : { gateway: gateway.four }),
    ...(gateway.six === undefined ? {} : { gateway6: gateway.six }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
    ...(range === undefined ? {} : { range }),
    ...(isolate === undefined ? {} : { isolated: isolate }),
    internal: booleans.get("internal") ?? false,
    reserved: reservedAddresses(lists.get("aux-address") ?? []),
    labels: labelsOf(lists.get("label") ?? []),
  }
}
