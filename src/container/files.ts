/** /etc/hosts, /etc/hostname and /etc/resolv.conf of a container: made beside it and bound over the image's. */
import { tryReadText, writeFile } from "../../ffi/fs.ts"
import { notice } from "../log.ts"
import type { Endpoint } from "../network/endpoint.ts"
import type { NameOptions } from "../network/names.ts"
import type { Mount } from "../oci/runtime.ts"
import type { ContainerRequest } from "./request.ts"

export interface FileRequest {
  /** The container's directory. */
  directory: string
  hostname: string
  domainname?: string | undefined
  /** The host's network: its names are the container's too. */
  hostNetwork: boolean
  /** Its places in networks. */
  networks: readonly Pick<Endpoint, "ip" | "ip6" | "gateway">[]
  names: NameOptions | null
}

/** The address of a line of resolv.conf(5) that names a server; null for any other line. */
function serverOf(line: string): string | null {
  const after = line.slice("nameserver".length)
  return line.startsWith("nameserver") && after !== after.trimStart() ? after.trim() : null
}

// A link-local address with the host's link behind it means nothing in the container: RFC 4007, section 11.
const isOnHostOnly = (server: string) => server.startsWith("127.") || server === "::1" || server.includes("%")

/**
 * The container's resolv.conf. systemd-resolved's stub listens on the host's loopback, which a container with a network
 * of its own does not reach: its upstream servers are taken instead, and other servers that only the host reaches dropped.
 */
export function resolvConf(host: string, systemd: string | null, hostNetwork: boolean): string {
  if (hostNetwork) return host
  const servers = serversOf(host)
  const isStub = servers.length > 0 && servers.filter((server) => server !== "127.0.0.53").length === 0
  return (isStub && systemd !== null ? systemd : host)
    .split("\n")
    .filter((line) => !isOnHostOnly(serverOf(line) ?? ""))
    .join("\n")
}

const serversOf = (text: string) => text.split("\n").flatMap((line) => serverOf(line) ?? [])

/** A hosts(5) file of a container with these names and addresses. */
export function hosts(names: string, addresses: readonly string[]): string {
  const own = (addresses.length > 0 ? addresses : ["127.0.0.1"]).map((address) => `${address}\t${names}\n`).join("")
  return `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n${own}`
}

/** The files and their content; `unreached`: servers that the host has, and the container none. Throws ToyboxError. */
export async function containerFiles(
  request: FileRequest,
): Promise<{ files: [string, string][]; unreached: readonly string[] }> {
  const { hostname, domainname, hostNetwork, networks, names } = request
  const addresses = networks.flatMap(({ ip, ip6 }) => (ip6 === undefined ? [ip] : [ip, ip6]))
  const host = tryReadText("/etc/resolv.conf") ?? ""
  const systemd = host.includes("127.0.0.53") ? tryReadText("/run/systemd/resolve/resolv.conf") : null
  const [short = hostname] = hostname.split(".")
  const whole = domainname === undefined ? hostname : `${hostname}.${domainname}`
  const known = [...new Set([whole, hostname, short])].join(" ")
  const hostsText = hostNetwork ? (tryReadText("/etc/hosts") ?? hosts(known, [])) : hosts(known, addresses)
  const resolvText = resolvConf(host, systemd, hostNetwork)
  const named = names === null ? null : await import("../network/names.ts")
  const resolv = named && names ? named.withResolver(resolvText, names) : resolvText
  return {
    files: [
      [
        "hosts",
        named && names
          ? named.withHosts(hostsText, names, hostNetwork ? "127.0.0.1" : (networks[0]?.gateway ?? null))
          : hostsText,
      ],
      ["hostname", `${hostname}\n`],
      ["resolv.conf", resolv],
    ],
    unreached: networks.length > 0 && serversOf(resolv).length === 0 ? serversOf(host) : [],
  }
}

/** What is asked for by a request, for a container in these places. */
export const fileRequest = (
  { process, names }: ContainerRequest,
  { directory, hostname, networks }: Pick<FileRequest, "directory" | "hostname" | "networks">,
): FileRequest => ({
  directory,
  hostname,
  domainname: process.domainname,
  hostNetwork: process.namespaces.network?.mode === "host",
  networks,
  names,
})

/** Writes them; 0644, because every user of the container reads them. Tells where it will find no names. */
export async function writeContainerFiles(request: FileRequest, quiet: boolean): Promise<void> {
  const { files, unreached } = await containerFiles(request)
  for (const [name, content] of files) writeFile(`${request.directory}/${name}`, content, 0o644)
  if (unreached.length > 0 && !quiet)
    notice(
      `the container reaches no name server: this machine's (${unreached.join(", ")}) only itself can ask (use --dns)`,
    )
}

/** Their bind mounts, without one for hosts where the image's is to stay. */
export const fileMounts = (directory: string, noHosts = false): Mount[] =>
  ["hosts", "hostname", "resolv.conf"].slice(noHosts ? 1 : 0).map((name) => fileMount(directory, name))

/** That of its time zone (time-zone.ts), where one is asked for. */
export const timeZoneMount = (directory: string): Mount => fileMount(directory, "localtime")

const fileMount = (directory: string, name: string): Mount => ({
  destination: `/etc/${name}`,
  type: "bind",
  source: `${directory}/${name}`,
  options: ["bind", "nosuid", "nodev", "noexec"],
})
