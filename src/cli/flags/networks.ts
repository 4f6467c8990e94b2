/** --net, --ip, --ip6, --mac-address, --network-alias: options → a network namespace, and places in networks. */
import { stat } from "../../../ffi/fs.ts"
import { UsageError } from "../../errors.ts"
import type { EndpointWish } from "../../network/default.ts"
import { DEFAULT_NETWORK, usualNetwork } from "../../network/default.ts"
import { parseIp } from "../../network/ip.ts"
import type { NamespaceMode, RunningContainer } from "../../spec/request.ts"
import type { ParsedArgv } from "../argv.ts"

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

function address(option: string, text: string | undefined, size: number): string | null {
  if (text === undefined) return null
  if (parseIp(text)?.length !== size)
    throw new UsageError(`${option}: "${text}" is no IPv${size === 4 ? 4 : 6} address`)
  return text
}

function macAddress(option: string, text: string | undefined): string | null {
  if (text === undefined) return null
  const mac = text.toLowerCase().replaceAll("-", ":")
  if (!MAC.test(mac)) throw new UsageError(`${option}: "${text}" is no MAC address (02:42:ac:11:00:02, say)`)
  // The lowest bit of the first byte makes it a group's.
  if (Number.parseInt(mac.slice(0, 2), 16) & 1)
    throw new UsageError(`${option}: ${text} is the address of a group, not of one link`)
  if (/^[0:]+$/.test(mac)) throw new UsageError(`${option}: ${text} is no link's address`)
  return mac
}

const HOST_NAME = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?$/

function aliasNames(option: string, names: readonly string[]): readonly string[] {
  for (const name of names) if (!HOST_NAME.test(name)) throw new UsageError(`${option}: "${name}" is not a host name`)
  return names
}

const KEYS = ["name", "ip", "ip6", "alias", "mac-address"]

/** docker's long form, name=backend,ip=10.20.0.5,alias=db; null where it is none. Throws UsageError. */
function longForm(text: string): EndpointWish | null {
  if (!text.includes("=") || text.startsWith("ns:")) return null
  const fields = Map.groupBy(
    text.split(",").map((part) => {
      const [key = "", ...value] = part.split("=")
      if (!KEYS.includes(key) || value.join("=") === "")
        throw new UsageError(`--net: "${text}": "${part}" is not understood`, {
          hint: "name=NETWORK,ip=ADDRESS,ip6=ADDRESS,alias=NAME,mac-address=MAC",
        })
      return { key, value: value.join("=") }
    }),
    ({ key }) => key,
  )
  const values = (key: string) => (fields.get(key) ?? []).map(({ value }) => value)
  const [network, ...others] = values("name")
  if (network === undefined || others.length > 0) throw new UsageError(`--net: "${text}" has to have one name=NETWORK`)
  const of = (key: string) => values(key).at(-1)
  return {
    network,
    ip: address("--net: ip", of("ip"), 4),
    ip6: address("--net: ip6", of("ip6"), 16),
    mac: macAddress("--net: mac-address", of("mac-address")),
    aliases: aliasNames("--net: alias", values("alias")),
  }
}

/** Throws where a place of the default network has names. */
function checkNames(option: string, wishes: readonly EndpointWish[]): void {
  if (wishes.some(({ network, aliases }) => network === DEFAULT_NETWORK && aliases.length > 0))
    throw new UsageError(`${option}: in the default network containers have no names`, {
      hint: "toybox network create makes one where they have",
    })
}

/** What stands for a namespace by itself; null for the name of a network. */
function namespaceOf(text: string, running: (reference: string) => RunningContainer): NamespaceMode | null {
  if (text === "none" || text === "private") return { mode: "private" }
  if (text === "host") return { mode: "host" }
  if (text.startsWith("container:")) return { mode: "container", ...running(text.slice("container:".length)) }
  if (!text.startsWith("ns:")) return null
  const path = text.slice("ns:".length)
  if (!path.startsWith("/") || stat(path) === null)
    throw new UsageError(
      `--net: "${text}": there is no network namespace (use ns:/run/netns/NAME or ns:/proc/PID/ns/net)`,
    )
  return { mode: "path", path }
}

/** Places in these networks, as --ip, --ip6, --mac-address and the option of aliases ask for. Throws UsageError. */
export function placesIn(argv: ParsedArgv, names: readonly string[], aliasOption: string): EndpointWish[] {
  const own = {
    ip: address("--ip", argv.strings.get("ip"), 4),
    ip6: address("--ip6", argv.strings.get("ip6"), 16),
    mac: macAddress("--mac-address", argv.strings.get("mac-address")),
  }
  const aliases = aliasNames(`--${aliasOption}`, argv.lists.get(aliasOption) ?? [])
  const given = ["ip", "ip6", "mac-address", aliasOption].find((option) => argv.typed.has(option))
  if (given !== undefined && names.length === 0)
    throw new UsageError(`--${given} needs a network: it does not go with --net none, host or container:ID`)
  if (given !== undefined && given !== aliasOption && names.length > 1)
    throw new UsageError(`--${given} goes with one network, and there are ${names.length}: ${names.join(", ")}`, {
      hint: `--net name=${names[0]},${given}=…`,
    })
  const named = names.filter((name) => name !== DEFAULT_NETWORK)
  const wishes = names.map((network) => ({ network, ...own, aliases: named.includes(network) ? aliases : [] }))
  if (named.length === 0) checkNames(`--${aliasOption}`, [{ network: DEFAULT_NETWORK, ...own, aliases }])
  return wishes
}

/**
 * The network namespace that --net asks for, or what is usual where it is not given, and the places in networks. Throws UsageError;
 * whether there is a network of a name is seen later.
 */
export function networkMode(
  argv: ParsedArgv,
  running: (reference: string) => RunningContainer,
): { mode: NamespaceMode; networks: EndpointWish[] } {
  const given = argv.lists.get("net") ?? []
  const long = given.map(longForm)
  const texts = (given.length > 0 ? given : [usualNetwork()])
    .map((text, i) => long[i]?.network ?? text)
    .map((text) => (text === "default" ? DEFAULT_NETWORK : text))
  const twice = texts.find((text, i) => texts.indexOf(text) !== i)
  if (twice !== undefined) throw new UsageError(`--net: ${twice} is there twice`)
  const modes = texts.map((text) => namespaceOf(text, running))
  const alone = texts.find((_, i) => modes[i] !== null)
  if (alone !== undefined && texts.length > 1)
    throw new UsageError(`--net: ${alone} does not go with another network (${texts.join(", ")})`)
  const names = alone === undefined ? texts : []
  const unnamed = names.find((name) => !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name))
  if (unnamed !== undefined)
    throw new UsageError(
      `--net: "${unnamed}" is not known (use none, host, bridge, container:ID, ns:PATH or a network)`,
    )
  const places = placesIn(argv, names, "network-alias")
  const networks = places.map((place, i) => {
    const own = long[i]
    if (!own) return place
    const { aliases } = place
    return {
      network: place.network,
      ...{ ip: own.ip ?? place.ip, ip6: own.ip6 ?? place.ip6, mac: own.mac ?? place.mac },
      aliases: [...aliases, ...own.aliases],
    }
  })
  checkNames("--net: alias", networks)
  return {
    mode: modes[0] ?? { mode: "private" },
    networks: given.length > 0 ? networks : networks.map((wish) => ({ ...wish, byDefault: true })),
  }
}
