/** --net, --ip, --ip6, --mac-address, --network-alias: options → a network namespace, and places in networks. */
import { stat } from "../../../ffi/fs.ts"
import { UsageError } from "../../errors.ts"
import type { EndpointWish } from "../../network/default.ts"
import { DEFAULT_NETWORK, usualNetwork } from "../../network/default.ts"
import { parseIp } from "../../network/ip.ts"
import type { NamespaceMode, RunningContainer } from "../../spec/request.ts"
import type { ParsedArgv } from "../argv.ts"

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

function address(argv: ParsedArgv, option: "ip" | "ip6", size: number): string | null {
  const text = argv.strings.get(option)
  if (text === undefined) return null
  if (parseIp(text)?.length !== size)
    throw new UsageError(`--${option}: "${text}" is no IPv${size === 4 ? 4 : 6} address`)
  return text
}

function macAddress(text: string | undefined): string | null {
  if (text === undefined) return null
  const mac = text.toLowerCase().replaceAll("-", ":")
  if (!MAC.test(mac)) throw new UsageError(`--mac-address: "${text}" is no MAC address (02:42:ac:11:00:02, say)`)
  // The lowest bit of the first byte makes it a group's.
  if (Number.parseInt(mac.slice(0, 2), 16) & 1)
    throw new UsageError(`--mac-address: ${text} is the address of a group, not of one link`)
  if (/^[0:]+$/.test(mac)) throw new UsageError(`--mac-address: ${text} is no link's address`)
  return mac
}

const HOST_NAME = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?$/

function aliasNames(argv: ParsedArgv, option: string): readonly string[] {
  const names = argv.lists.get(option) ?? []
  for (const name of names) if (!HOST_NAME.test(name)) throw new UsageError(`--${option}: "${name}" is not a host name`)
  return names
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
    ip: address(argv, "ip", 4),
    ip6: address(argv, "ip6", 16),
    mac: macAddress(argv.strings.get("mac-address")),
  }
  const aliases = aliasNames(argv, aliasOption)
  const given = ["ip", "ip6", "mac-address", aliasOption].find((option) => argv.typed.has(option))
  if (given !== undefined && names.length === 0)
    throw new UsageError(`--${given} needs a network: it does not go with --net none, host or container:ID`)
  if (given !== undefined && given !== aliasOption && names.length > 1)
    throw new UsageError(`--${given} goes with one network, and there are ${names.length}: ${names.join(", ")}`)
  if (aliases.length > 0 && names.every((name) => name === DEFAULT_NETWORK))
    throw new UsageError(`--${aliasOption}: in the default network containers have no names`, {
      hint: "toybox network create makes one where they have",
    })
  return names.map((network) => ({ network, ...own, aliases: network === DEFAULT_NETWORK ? [] : aliases }))
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
  const texts = (given.length > 0 ? given : [usualNetwork()]).map((text) =>
    text === "default" ? DEFAULT_NETWORK : text,
  )
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
  const networks = placesIn(argv, names, "network-alias")
  return {
    mode: modes[0] ?? { mode: "private" },
    networks: given.length > 0 ? networks : networks.map((wish) => ({ ...wish, byDefault: true })),
  }
}
