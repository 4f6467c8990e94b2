/** The links that lead to a container: made when it has a network namespace, and removed. */
import { call } from "../../ffi/call.ts"
import { O_CLOEXEC, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { CLONE_NEWNET } from "../../ffi/constants/sched.ts"
import { isErrno, SyscallError } from "../../ffi/errno.ts"
import { close, open, writeText } from "../../ffi/fs.ts"
import { type NetlinkSocket, request, requestAside } from "../../ffi/netlink/socket.ts"
import { NoBridges, withRoutes } from "./bridge.ts"
import { type Endpoint, macBytes, type Place } from "./endpoint.ts"
import { describeLink, type LinkStep, linkMessage } from "./links.ts"
import { addressOf } from "./network.ts"
import { ownProc } from "./own-proc.ts"
import { linkNamed } from "./read.ts"
import { describeSources, freeSources, holdSources, loseSources } from "./sources.ts"

/** A pair of links, one end of which is a process's, and the other, which is down, on the bridge. */
function pairStep({ endpoint, bridge }: Place, pid: number): LinkStep {
  const { link, mac, interface: name } = endpoint
  const { network, index, mtu } = bridge
  const peer = { name, mac: macBytes(mac), pid }
  return { kind: "veth", name: link, mtu, bridge: { name: network.bridge, index }, peer }
}

const portStep = ({ endpoint, bridge, hairpin }: Place): LinkStep => ({
  kind: "port",
  name: endpoint.link,
  isolated: bridge.network.isolated,
  hairpin,
})

/** Its path is one below /proc. */
type Setting = readonly [path: string, value: string]

const settingOf = (link: string, name: string, value: string): Setting => [`sys/net/ipv6/conf/${link}/${name}`, value]

/**
 * A port of a bridge needs no addresses. It would have one of IPv6, and routes: through all of them the kernel goes whenever a
 * link comes or goes.
 */
const outsideSettings = ({ link }: Endpoint): Setting[] => [settingOf(link, "disable_ipv6", "1")]

/**
 * Whoever starts would ask for routers, which there are none of (to its neighbours no container is one: CVE-2020-13401), and
 * whether another has its address: everyone on the bridge would be asked each time.
 */
const insideSettings = (endpoint: Endpoint): Setting[] => [
  settingOf(endpoint.interface, "accept_ra", "0"),
  settingOf(endpoint.interface, "accept_dad", "0"),
]

/** Where one cannot be made, or the kernel has no IPv6, the link is as links are. */
function apply(settings: readonly Setting[], proc = "/proc"): void {
  for (const [path, value] of settings) {
    try {
      writeText(`${proc}/${path}`, value)
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error
    }
  }
}

/** What is done in the container: addresses, and where it `leads` out, the default routes. */
function insideSteps(endpoint: Endpoint, index: number, leads: boolean): LinkStep[] {
  const link = { name: endpoint.interface, index }
  const { ip, prefix, ip6, prefix6 } = endpoint
  const address = (text: string, length: number): LinkStep => ({
    kind: "address",
    link,
    address: { ip: addressOf(text), prefix: length },
  })
  return [
    { kind: "up", name: endpoint.interface },
    address(ip, prefix),
    ...(ip6 !== undefined && prefix6 !== undefined ? [address(ip6, prefix6)] : []),
    ...(leads ? waysOut(endpoint, index) : []),
  ]
}

function waysOut({ interface: name, gateway, gateway6 }: Endpoint, index: number): LinkStep[] {
  return [gateway, gateway6].flatMap((text): LinkStep[] =>
    text === undefined ? [] : [{ kind: "default-route", link: { name, index }, gateway: addressOf(text) }],
  )
}

/** The lines of ip(8) that connect a container. */
export const describeEndpoints = (places: readonly Place[], leading: Endpoint | undefined): string[] => [
  ...places.flatMap((place) => describeEndpoint(place, place.endpoint === leading)),
  ...describeSources(places.map(({ endpoint }) => endpoint)).map((line) => `nsenter -t $PID -n ${line}`),
]

function describeEndpoint(place: Place, leads: boolean): string[] {
  const inside = insideSteps(place.endpoint, 0, leads)
  return [
    describeLink(pairStep(place, 0)).replace("netns 0", "netns $PID"),
    ...outsideSettings(place.endpoint).map(([path, value]) => `echo ${value} >/proc/${path}`),
    describeLink(portStep(place)),
    ...insideSettings(place.endpoint).map(([path, value]) => `nsenter -t $PID -n sh -c 'echo ${value} >/proc/${path}'`),
    ...inside.map((step) => `nsenter -t $PID -n ${describeLink(step)}`),
  ]
}

/** Carries out something with an rtnetlink(7) socket of a process's network namespace, which this thread enters meanwhile. */
function inNetworkOf<T>(pid: number, use: (socket: NetlinkSocket) => T): T {
  const own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
  const theirs = open(`/proc/${pid}/ns/net`, O_RDONLY | O_CLOEXEC)
  try {
    call("setns", theirs, CLONE_NEWNET)
    try {
      return withRoutes(use)
    } finally {
      call("setns", own, CLONE_NEWNET)
    }
  } finally {
    close(own)
    close(theirs)
  }
}

/**
 * Connects a process, which has a network namespace of its own, to networks, of which one may lead out. It may have places of
 * before. Throws SyscallError, NoBridges.
 */
export function connect(
  pid: number,
  places: readonly Place[],
  leading: Endpoint | undefined,
  socket: NetlinkSocket,
  before: readonly Endpoint[] = [],
): void {
  try {
    request(socket, ...places.map((place) => linkMessage(pairStep(place, pid))))
    for (const { endpoint } of places) apply(outsideSettings(endpoint))
    request(socket, ...places.map((place) => linkMessage(portStep(place))))
  } catch (error) {
    if (!isErrno(error, "EOPNOTSUPP")) throw error
    throw new NoBridges("the kernel has no veth links (CONFIG_VETH)", { hint: "use --net none or --net host" })
  }
  inNetworkOf(pid, (inside) => {
    for (const { endpoint } of places) apply(insideSettings(endpoint), ownProc())
    const steps = places.flatMap(({ endpoint }) =>
      insideSteps(endpoint, linkNamed(inside, endpoint.interface)?.index ?? 0, endpoint === leading),
    )
    // First: who is connected while it runs may send from its new addresses at once. Who connected it before may have been a toybox
    // that did not.
    holdSources(
      inside,
      places.map(({ endpoint }) => endpoint),
      before,
    )
    request(inside, ...steps.map(linkMessage))
  })
}

/** Has a process give itself addresses as it may: it is kept from others' by another. */
export const freeAddresses = (pid: number, endpoints: readonly Endpoint[]): void =>
  inNetworkOf(pid, (inside) => freeSources(inside, endpoints))

/** Removes those that are still there, with their other ends. */
export function deleteLinks(endpoints: readonly Endpoint[], socket: NetlinkSocket): void {
  for (const { link } of endpoints)
    if (link !== "" && linkNamed(socket, link)) request(socket, linkMessage({ kind: "delete", name: link }))
}

/**
 * Takes a process out of a network, and leaves it in those that it `keeps`, of which `next` leads out from then on, where what did
 * has gone. Throws SyscallError.
 */
export function disconnect(
  pid: number,
  endpoint: Endpoint,
  { keeps, next }: { keeps: readonly Endpoint[]; next: Endpoint | undefined },
  socket: NetlinkSocket,
): void {
  deleteLinks([endpoint], socket)
  inNetworkOf(pid, (inside) => {
    loseSources(inside, [endpoint], keeps)
    if (!next) return
    const steps = waysOut(next, linkNamed(inside, next.interface)?.index ?? 0)
    // It is the one that leads out already.
    requestAside(inside, ["EEXIST"], ...steps.map(linkMessage))
  })
}
