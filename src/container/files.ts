/** /etc/hosts, /etc/hostname and /etc/resolv.conf of a container: made beside it and bound over the image's. */
import { tryReadText, writeFile } from "../../ffi/fs.ts"
import type { Endpoint } from "../network/endpoint.ts"
import type { NameOptions } from "../network/names.ts"
import type { Mount } from "../oci/runtime.ts"

export interface FileRequest {
  /** The container's directory. */
  directory: string
  hostname: string
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

/**
 * The container's resolv.conf. systemd-resolved's stub listens on the host's loopback, which a container with a network
 * of its own does not reach: its upstream servers are taken instead, and other loopback servers dropped.
 */
export function resolvConf(host: string, systemd: string | null, hostNetwork: boolean): string {
  if (hostNetwork) return host
  const servers = host.split("\n").flatMap((line) => serverOf(line) ?? [])
  const isStub = servers.length > 0 && servers.filter((server) => server !== "127.0.0.53").length === 0
  const isLoopback = (server: string | null) => server !== null && (server.startsWith("127.") || server === "::1")
  return (isStub && systemd !== null ? systemd : host)
    .split("\n")
    .filter((line) => !isLoopback(serverOf(line)))
    .join("\n")
}

function hosts(hostname: string, addresses: readonly string[]): string {
  const own = (addresses.length > 0 ? addresses : ["127.0.0.1"]).map((address) => `${address}\t${hostname}\n`).join("")
  return `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n${own}`
}

/** The files and their content. Throws ToyboxError where a name of --add-host cannot be had. */
export async function containerFiles(request: FileRequest): Promise<[string, string][]> {
  const { hostname, hostNetwork, networks, names } = request
  const addresses = networks.flatMap(({ ip, ip6 }) => (ip6 === undefined ? [ip] : [ip, ip6]))
  const host = tryReadText("/etc/resolv.conf") ?? ""
  const systemd = host.includes("127.0.0.53") ? tryReadText("/run/systemd/resolve/resolv.conf") : null
  const hostsText = hostNetwork ? (tryReadText("/etc/hosts") ?? hosts(hostname, [])) : hosts(hostname, addresses)
  const resolvText = resolvConf(host, systemd, hostNetwork)
  const named = names === null ? null : await import("../network/names.ts")
  return [
    [
      "hosts",
      named && names
        ? named.withHosts(hostsText, names, hostNetwork ? "127.0.0.1" : (networks[0]?.gateway ?? null))
        : hostsText,
    ],
    ["hostname", `${hostname}\n`],
    ["resolv.conf", named && names ? named.withResolver(resolvText, names) : resolvText],
  ]
}

/** Writes them; 0644, because every user of the container reads them. */
export async function writeContainerFiles(request: FileRequest): Promise<void> {
  for (const [name, content] of await containerFiles(request)) writeFile(`${request.directory}/${name}`, content, 0o644)
}

/** Their bind mounts. */
export const fileMounts = (directory: string): Mount[] =>
  ["hosts", "hostname", "resolv.conf"].map((name) => ({
    destination: `/etc/${name}`,
    type: "bind",
    source: `${directory}/${name}`,
    options: ["bind", "nosuid", "nodev", "noexec"],
  }))
