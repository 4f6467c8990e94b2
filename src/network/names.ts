/** --dns, --dns-search, --dns-opt, --add-host: what they change in resolv.conf(5) and hosts(5). */
import { ToyboxError, UsageError } from "../errors.ts"
import { formatIp, parseIp } from "./ip.ts"

export interface NameOptions {
  /** Servers instead of the host's. */
  dns: readonly string[]
  /** Domains instead of the host's; "." alone means none. */
  dnsSearch: readonly string[]
  /** resolv.conf options instead of the host's. */
  dnsOptions: readonly string[]
  hosts: readonly { name: string; address: string }[]
  /** /etc/hosts of the image stays. */
  noHosts?: true
}

/** In place of an address: where the host is reached from the container. */
export const HOST_GATEWAY = "host-gateway"

const NAME = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?$/

function checkName(option: string, name: string): string {
  if (!NAME.test(name)) throw new UsageError(`${option}: "${name}" is not the name of a host or domain`)
  return name
}

/** One --add-host, `NAME:ADDRESS` or `NAME=ADDRESS`. Throws UsageError. */
function parseHost(text: string): { name: string; address: string } {
  const [, name = "", value = ""] = /^([^:=]*)[:=](.*)$/.exec(text) ?? []
  if (value === "") throw new UsageError(`--add-host: "${text}" gives no address (use NAME:ADDRESS)`)
  checkName("--add-host", name)
  if (value === HOST_GATEWAY) return { name, address: value }
  const bytes = parseIp(value.replace(/^\[(.*)\]$/, "$1"))
  if (bytes === null) throw new UsageError(`--add-host: "${value}" is no IP address (or ${HOST_GATEWAY})`)
  return { name, address: formatIp(bytes) }
}

/** Reads them, and --no-hosts; null where none is given. Throws UsageError. */
export function nameOptions(lists: ReadonlyMap<string, readonly string[]>, noHosts = false): NameOptions | null {
  const [dns = [], search = [], options = [], hosts = []] = ["dns", "dns-search", "dns-opt", "add-host"].map((option) =>
    lists.get(option),
  )
  if ([dns, search, options, hosts].every((values) => values.length === 0) && !noHosts) return null
  if (noHosts && hosts.length > 0)
    throw new UsageError("--no-hosts and --add-host exclude each other: who adds a host needs a file of hosts")
  return {
    dns: dns.map((text) => {
      const bytes = parseIp(text)
      if (bytes === null) throw new UsageError(`--dns: "${text}" is no IP address`)
      return formatIp(bytes)
    }),
    dnsSearch: search.map((domain) => (domain === "." ? domain : checkName("--dns-search", domain))),
    dnsOptions: options.map((option) => {
      if (!/^[\w-]+(:\d+)?$/.test(option)) throw new UsageError(`--dns-opt: "${option}" is no option of resolv.conf`)
      return option
    }),
    hosts: hosts.map(parseHost),
    ...(noHosts ? { noHosts } : {}),
  }
}

/** Lines of the keyword are replaced by those of the values; without values they stay. */
function replaceLines(lines: readonly string[], keywords: RegExp, replacement: readonly string[] | null): string[] {
  return replacement === null ? [...lines] : [...lines.filter((line) => !keywords.test(line)), ...replacement]
}

/** A resolv.conf with the options' servers, domains and options instead of its own. */
export function withResolver(text: string, { dns, dnsSearch, dnsOptions }: NameOptions): string {
  const domains = dnsSearch.filter((domain) => domain !== ".")
  const search = domains.length > 0 ? [`search ${domains.join(" ")}`] : []
  let lines = text.split("\n").filter((line) => line !== "")
  lines = replaceLines(lines, /^(search|domain)\s/, dnsSearch.length > 0 ? search : null)
  lines = replaceLines(lines, /^nameserver\s/, dns.length > 0 ? dns.map((server) => `nameserver ${server}`) : null)
  lines = replaceLines(lines, /^options\s/, dnsOptions.length > 0 ? [`options ${dnsOptions.join(" ")}`] : null)
  return lines.map((line) => `${line}\n`).join("")
}

/**
 * A hosts file with further names; `gateway` is the host's address as the container reaches it, null where it does not.
 * Throws ToyboxError where it is asked for all the same.
 */
export function withHosts(text: string, { hosts }: NameOptions, gateway: string | null): string {
  const lines = hosts.map(({ name, address }) => {
    const meant = address === HOST_GATEWAY ? gateway : address
    if (meant === null)
      throw new ToyboxError(`--add-host: ${name}: from a container without a network the host is not reached`, {
        hint: "leave it out, or use --net host",
      })
    return `${meant}\t${name}\n`
  })
  return `${text === "" || text.endsWith("\n") ? text : `${text}\n`}${lines.join("")}`
}
