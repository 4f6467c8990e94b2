/** `ps --filter KEY=VALUE`, as docker ps has it. */
import type { Summary } from "../container/list.ts"
import { readHead, readRecord, readRunning, resolveId } from "../container/state.ts"
import { type StoredRequest, tryReadStored } from "../container/stored-request.ts"
import { UsageError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { labelTest, listFilter, nameTest, type Tests } from "./list-filter.ts"
import { isGiven } from "./volume-fields.ts"

type Test = (summary: Summary) => boolean
/** Null where one has been removed since it was listed, or is damaged: nothing is known of it. */
type Stored = (id: string) => StoredRequest | null

const STATUSES = ["created", "running", "paused", "restarting", "removing", "exited", "dead"]
const HEALTHS = ["starting", "healthy", "unhealthy", "none"]

function oneOf(what: string, value: string, values: readonly string[]): string {
  if (values.includes(value)) return value
  throw new UsageError(`--filter: "${value}" is no ${what}`, { hint: values.join(", ") })
}

function exitCode(value: string): Test {
  if (!/^\d{1,3}$/.test(value)) throw new UsageError(`--filter: "${value}" is no exit code`)
  return (summary) => summary.exitCode === Number(value)
}

/** An image by its name, the tag latest being that of a name without one, or by its id or the beginning of it. */
function ancestor(paths: Paths, value: string): Test {
  const names = [value, `${value}:latest`]
  const isId = /^(sha256:)?[0-9a-f]{4,64}$/.test(value)
  const digest = value.replace(/^sha256:/, "")
  return ({ id, image }) =>
    names.includes(image) ||
    `${image}:latest` === value ||
    (isId && Boolean(readHead(paths, id)?.imageId?.startsWith(`sha256:${digest}`)))
}

/** `80`, `80/udp`, `8000-8010/tcp`; null where the text is none. */
function portsIn(text: string): { first: number; last: number; protocol: string } | null {
  const [, first = "", last = first, protocol = "tcp"] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(text) ?? []
  return first === "" ? null : { first: Number(first), last: Number(last), protocol }
}

type Ports = NonNullable<ReturnType<typeof portsIn>>

/** Whether one of the ports that `portsOf` finds is among those of a filter. Throws UsageError. */
function portTest(key: string, value: string, portsOf: (id: string) => readonly (Ports | null)[]): Test {
  const wanted = portsIn(value)
  if (wanted === null) throw new UsageError(`--filter: ${key}=${value} is no port (use 80/tcp)`)
  const fits = (one: Ports | null) =>
    one?.protocol === wanted.protocol && one.first <= wanted.last && one.last >= wanted.first
  return ({ id }) => portsOf(id).some(fits)
}

/** The machine's, as docker has it; of one that does not run those that it is to have. */
function publishedPorts(paths: Paths, id: string, stored: Stored): Ports[] {
  const held = readRunning(paths, id)?.ports
  if (held) return held.map(({ host, protocol }) => ({ first: host, last: host, protocol }))
  return (stored(id)?.ports?.published ?? []).flatMap(({ host, protocol }) => (host ? { ...host, protocol } : []))
}

/** The container's own. */
function exposedPorts(id: string, stored: Stored): (Ports | null)[] {
  const { ports, exposed = [] } = stored(id) ?? {}
  const bound = (ports?.published ?? []).map(({ container, protocol }) => ({ ...container, protocol }))
  return [...bound, ...exposed.map(portsIn)]
}

/** By a volume's name, the place in the container, or the one of the machine that is bound there. */
function mounted(paths: Paths, value: string): Test {
  return (summary) => {
    const { id, volumes = [] } = summary
    if (!value.startsWith("/")) return volumes.some(({ name }) => name === value)
    const mounts = readRecord(paths, id)?.spec.mounts ?? []
    return mounts.some(
      (mount) => isGiven(paths, summary, mount) && (mount.destination === value || mount.source === value),
    )
  }
}

function network(paths: Paths, value: string, stored: Stored): Test {
  return ({ id }) => {
    const places = readRunning(paths, id)?.networks
    if (places && places.length > 0)
      return places.some((place) => place.network === value || place.networkId.startsWith(value))
    const made = stored(id)
    if (made === null) return false
    const { networks, process } = made
    const mode = process.namespaces.network?.mode ?? "private"
    if (mode !== "private") return mode === value
    return networks.length === 0 ? value === "none" : networks.some((wish) => wish.network === value)
  }
}

const createdOf = (paths: Paths, reference: string) => readHead(paths, resolveId(paths, reference))?.created ?? ""

function testsOf(paths: Paths): Tests<Summary> {
  const stored: Stored = (id) => tryReadStored(paths, id)
  return {
    id:
      (value) =>
      ({ id }) =>
        id.startsWith(value),
    name(value) {
      const isMeant = nameTest(value)
      return ({ name }) => isMeant(name) || isMeant(`/${name}`)
    },
    label: labelTest,
    status(value) {
      const wanted = oneOf("status", value, STATUSES)
      return ({ status }) => status === wanted
    },
    exited: exitCode,
    health(value) {
      const wanted = oneOf("health", value, HEALTHS)
      return ({ health }) => (health ?? "none") === wanted
    },
    ancestor: (value) => ancestor(paths, value),
    volume: (value) => mounted(paths, value),
    network: (value) => network(paths, value, stored),
    publish: (value) => portTest("publish", value, (id) => publishedPorts(paths, id, stored)),
    expose: (value) => portTest("expose", value, (id) => exposedPorts(id, stored)),
    before(value) {
      const created = createdOf(paths, value)
      return (summary) => summary.created < created
    },
    since(value) {
      const created = createdOf(paths, value)
      return (summary) => summary.created > created
    },
  }
}

/** Whether a container is meant: by one of the values of each key, and by all the labels. Throws UsageError. */
export const containerFilter = (paths: Paths, texts: readonly string[]): Test => listFilter(texts, testsOf(paths))
