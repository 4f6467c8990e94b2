/** What other people's firewalls do to a network: packets are put to them, and what is dropped is told with what would help. */
import { tryReadText } from "../../../ffi/fs.ts"
import { withRoutes } from "../bridge.ts"
import type { Network } from "../network.ts"
import { subnetsOf } from "../network.ts"
import { defaultLink } from "../read.ts"
import { addressAt } from "../subnets.ts"
import { askNft, type Dropped, type ForeignFirewall, type ForwardDrop, missingRules } from "./foreign.ts"
import { legacyFirewall } from "./legacy.ts"
import type { Packet, Side } from "./packet.ts"

export interface Obstacles {
  /** What containers send, or the answers to it, is dropped. */
  outside: ForwardDrop | null
  /** What comes to published ports is dropped. */
  ports: ForwardDrop | null
  /** Containers of the network do not reach one another. */
  within: ForwardDrop | null
  /** What the owner of the firewall has to enter, for `outside` and `within`. */
  rules: readonly string[]
}

/** Whether bridged packets are judged as forwarded ones: nf_conntrack and docker load br_netfilter. Of all bridges at once. */
const isBridgedJudged = (family: Packet["family"]) =>
  tryReadText(`/proc/sys/net/bridge/bridge-nf-call-${family === "ip" ? "iptables" : "ip6tables"}`)?.trim() === "1"

type Subject = Pick<Network, "bridge" | "subnet" | "subnet6" | "internal" | "isolated"> & { index: number }

function packets({ bridge, index, internal, isolated }: Subject, address: Uint8Array, link: Side["link"]) {
  const family = address.length === 4 ? "ip" : "ip6"
  const [container, outside] = [
    { link: { name: bridge, index }, address },
    { link, address: null },
  ]
  const packet = (from: Side, to: Side, more: Partial<Packet> = {}): Packet => ({
    ...{ family, from, to, state: "new", answers: false, led: false },
    ...more,
  })
  const answer = { state: "established", answers: true } as const
  return {
    out: internal ? null : packet(container, outside),
    back: internal ? null : packet(outside, container, answer),
    inward: internal ? null : packet(outside, container, { led: true }),
    served: internal ? null : packet(container, outside, { ...answer, led: true }),
    within: isolated || !isBridgedJudged(family) ? null : packet(container, { ...container, address: null }),
  }
}

/** Puts a network's packets to every firewall but toybox's own; nothing is changed. */
export function obstaclesOf(network: Subject): Obstacles {
  const links = withRoutes((socket) => ({ ip: defaultLink(socket, 4), ip6: defaultLink(socket, 16) }))
  const legacy = legacyFirewall()
  return askNft((nft) => {
    const judges: readonly ForeignFirewall[] = [nft, legacy]
    const drop = (packet: Packet | null) => {
      for (const { drops } of judges) {
        const found = packet && drops(packet)
        if (found) return found
      }
      return null
    }
    const found = subnetsOf(network).map((subnet) => {
      const address = addressAt(subnet, 2)
      const { out, back, inward, served, within } = packets(
        network,
        address,
        links[address.length === 4 ? "ip" : "ip6"],
      )
      const dropped: Dropped = { out: drop(out), back: drop(back), within: drop(within) }
      return { ...dropped, ports: drop(inward) ?? drop(served) }
    })
    const first = (pick: (one: (typeof found)[number]) => ForwardDrop | null) =>
      found.map(pick).find((one) => one !== null) ?? null
    return {
      outside: first(({ out, back }) => out ?? back),
      ports: first(({ ports }) => ports),
      within: first(({ within }) => within),
      rules: [...new Set(found.flatMap((one) => missingRules(one, network.bridge)))],
    }
  })
}
