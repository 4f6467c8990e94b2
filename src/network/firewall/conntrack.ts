/**
 * Flows of UDP that the kernel remembers. NAT is decided at a flow's first packet: a client that goes on sending would be led to
 * a container that is gone, or to nobody, for as long as it sends. nfnetlink_conntrack.h.
 */
import * as ct from "../../../ffi/constants/conntrack.ts"
import { NLM_F_ACK, NLM_F_REQUEST } from "../../../ffi/constants/netlink.ts"
import { AF_INET, AF_INET6 } from "../../../ffi/constants/socket.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { type Attribute, bytes, decodeAttributes, find, readBe16, readBe32 } from "../../../ffi/netlink/attributes.ts"
import { attributesOf, type Message } from "../../../ffi/netlink/messages.ts"
import { dump, type NetlinkSocket, transact } from "../../../ffi/netlink/socket.ts"

/** Where datagrams to a port of the host go: 4 or 16 bytes. */
export interface UdpTarget {
  readonly port: number
  readonly address: Uint8Array
}

interface Flow {
  /** As it came. */
  readonly original: Attribute
  /** The port that the client sends to. */
  readonly port: number
  /** Who answers. */
  readonly from: Uint8Array
  readonly answered: boolean
}

const NFGENMSG = 4
const IPPROTO_UDP = 17

const message = (family: number, type: number, flags: number, attributes: readonly Attribute[]): Message => ({
  type: (ct.NFNL_SUBSYS_CTNETLINK << 8) | type,
  flags,
  header: Uint8Array.of(family, 0, 0, 0),
  attributes,
  what: `conntrack ${type === ct.IPCTNL_MSG_CT_GET ? "-L" : "-D"} -p udp`,
})

const inner = (attributes: readonly Attribute[], type: number): Attribute[] => {
  const data = find(attributes, type)
  return data === undefined ? [] : decodeAttributes(data)
}

function decodeFlow(attributes: readonly Attribute[]): Flow[] {
  const original = attributes.find(({ type }) => type === ct.CTA_TUPLE_ORIG)
  const protocol = original ? inner(decodeAttributes(original.data), ct.CTA_TUPLE_PROTO) : []
  const port = find(protocol, ct.CTA_PROTO_DST_PORT)
  const status = find(attributes, ct.CTA_STATUS)
  const answers = inner(inner(attributes, ct.CTA_TUPLE_REPLY), ct.CTA_TUPLE_IP)
  const from = find(answers, ct.CTA_IP_V4_SRC) ?? find(answers, ct.CTA_IP_V6_SRC)
  if (!original || !port || !status || !from || find(protocol, ct.CTA_PROTO_NUM)?.[0] !== IPPROTO_UDP) return []
  return [
    {
      original: bytes(original.type, original.data.slice(), original.flags),
      port: readBe16(port),
      from: from.slice(),
      answered: (readBe32(status) & ct.IPS_SEEN_REPLY) !== 0,
    },
  ]
}

/**
 * Forgets flows to these ports that nobody has answered, or that these containers have; others', through the host to
 * servers elsewhere, stay. A kernel that does not tell of flows keeps them until they are silent: 30 s to 3 minutes.
 */
export function forgetUdp(socket: NetlinkSocket, targets: readonly UdpTarget[]): void {
  for (const [family, size] of [
    [AF_INET, 4],
    [AF_INET6, 16],
  ] as const) {
    const ours = targets.filter(({ address }) => address.length === size)
    if (ours.length === 0) continue
    const ports = new Set(ours.map(({ port }) => port))
    const addresses = new Set(ours.map(({ address }) => address.toHex()))
    try {
      const flows = dump(socket, message(family, ct.IPCTNL_MSG_CT_GET, 0, [])).flatMap((one) =>
        decodeFlow(attributesOf(one, NFGENMSG)),
      )
      const stale = flows.filter(
        ({ port, from, answered }) => ports.has(port) && (!answered || addresses.has(from.toHex())),
      )
      const deletion = ({ original }: Flow) =>
        message(family, ct.IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, [original])
      const wrong = transact(socket, stale.map(deletion)).errors.find((error) => !isErrno(error, "ENOENT"))
      if (wrong) throw wrong
    } catch (error) {
      if (!isErrno(error, "EOPNOTSUPP", "EINVAL")) throw error
    }
  }
}
