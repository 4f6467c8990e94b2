/** The config of an image, read and checked: config.md of the OCI image specification. Field names are the specification's. */
import { ToyboxError } from "../errors.ts"
import {
  boolean,
  count,
  decodeJson,
  type Field,
  fault,
  list,
  member,
  members,
  optional,
  string,
  stringMap,
  strings,
} from "./decode.ts"
import { digestField, MAX_CONFIG } from "./manifest.ts"
import { hostPlatform, type Platform } from "./platform.ts"

/** Docker's HEALTHCHECK; times in nanoseconds. */
export interface Healthcheck {
  Test?: string[]
  Interval?: number
  Timeout?: number
  StartPeriod?: number
  StartInterval?: number
  Retries?: number
}

export interface ContainerConfig {
  User: string
  Env: string[]
  Entrypoint: string[]
  Cmd: string[]
  WorkingDir: string
  StopSignal?: string
  Labels: Record<string, string>
  ExposedPorts: string[]
  Volumes: string[]
  Healthcheck?: Healthcheck
  /** What it says to those who build on it; nothing to those who run it. */
  OnBuild?: string[]
  Shell?: string[]
}

export interface HistoryEntry {
  created?: string
  author?: string
  created_by?: string
  comment?: string
  empty_layer: boolean
}

export interface ImageConfig {
  platform: Platform
  created?: string
  author?: string
  /** Docker's: which of them made it, and in which container; those of today do not tell. */
  docker_version?: string
  container?: string
  config: ContainerConfig
  /** Digests of the unpacked layers, the lowest first. */
  diffIds: string[]
  history: HistoryEntry[]
}

const MAX_LAYERS = 500
const MAX_HISTORY = 4096
/** Each is made when a container is. */
const MAX_VOLUMES = 1000

// What execve(2) cannot be given.
function words(field: Field): string[] {
  for (const word of list(field, 65536)) if (string(word).includes("\0")) throw fault(word, "has a NUL in it")
  return strings(field)
}

/** A string alone, as the first versions of docker wrote it, is one word to it. */
const command = (field: Field): string[] =>
  words(typeof field.value === "string" ? { ...field, value: [field.value] } : field)

const names = (field: Field): string[] => members(field).map(([name]) => name)

function volumes(field: Field): string[] {
  const found = names(field)
  if (found.length > MAX_VOLUMES) throw fault(field, `has ${found.length} elements, ${MAX_VOLUMES} are allowed`)
  return found
}

const healthcheck = (field: Field): Healthcheck => {
  const number = (name: string) => optional(member(field, name), count)
  const Test = optional(member(field, "Test"), strings)
  const times = ["Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"] as const
  const found = times.flatMap((name): [string, number][] => {
    const value = number(name)
    return value === undefined ? [] : [[name, value]]
  })
  return { ...(Test === undefined ? {} : { Test }), ...Object.fromEntries(found) }
}

function containerConfig(field: Field): ContainerConfig {
  const text = (name: string) => optional(member(field, name), string) ?? ""
  const read = <T>(name: string, how: (field: Field) => T, otherwise: T): T =>
    optional(member(field, name), how) ?? otherwise
  const health = optional(member(field, "Healthcheck"), healthcheck)
  const StopSignal = text("StopSignal")
  const builders = (["OnBuild", "Shell"] as const).flatMap((name): [string, string[]][] => {
    const value = read(name, strings, [])
    return value.length === 0 ? [] : [[name, value]]
  })
  return {
    User: text("User"),
    Env: read("Env", words, []),
    Entrypoint: read("Entrypoint", command, []),
    Cmd: read("Cmd", command, []),
    WorkingDir: text("WorkingDir"),
    Labels: read("Labels", stringMap, {}),
    ExposedPorts: read("ExposedPorts", names, []),
    Volumes: read("Volumes", volumes, []),
    ...(StopSignal === "" ? {} : { StopSignal }),
    ...(health === undefined ? {} : { Healthcheck: health }),
    ...Object.fromEntries(builders),
  }
}

/** Where nothing is asked for. */
export const EMPTY_CONTAINER_CONFIG: ContainerConfig = {
  User: "",
  Env: [],
  Entrypoint: [],
  Cmd: [],
  WorkingDir: "",
  Labels: {},
  ExposedPorts: [],
  Volumes: [],
}

function historyEntry(field: Field): HistoryEntry {
  const text = (name: string) => {
    const value = optional(member(field, name), string)
    return value === undefined ? {} : { [name]: value }
  }
  return {
    ...text("created"),
    ...text("author"),
    ...text("created_by"),
    ...text("comment"),
    empty_layer: optional(member(field, "empty_layer"), boolean) ?? false,
  }
}

/** Reads a config. Throws ToyboxError that names the field. */
export function readConfig(bytes: Uint8Array, document: string): ImageConfig {
  if (bytes.length > MAX_CONFIG)
    throw new ToyboxError(`${document} has ${bytes.length} bytes, ${MAX_CONFIG} are allowed`)
  const root = decodeJson(bytes, document)
  const rootfs = member(root, "rootfs")
  const type = member(rootfs, "type")
  if (string(type) !== "layers") throw fault(type, 'must be "layers"')
  const texts = (["created", "author", "docker_version", "container"] as const).flatMap((name): [string, string][] => {
    const value = optional(member(root, name), string)
    return value === undefined ? [] : [[name, value]]
  })
  const variant = optional(member(root, "variant"), string)
  // Of an image that does not say what it is for docker takes it to be for this machine: `crane append` makes such.
  const host = hostPlatform()
  return {
    platform: {
      os: optional(member(root, "os"), string) || host.os,
      architecture: optional(member(root, "architecture"), string) || host.architecture,
      ...(variant ? { variant } : {}),
    },
    ...Object.fromEntries(texts),
    config: optional(member(root, "config"), containerConfig) ?? EMPTY_CONTAINER_CONFIG,
    // An image without layers has null here, as Go writes it.
    diffIds: (optional(member(rootfs, "diff_ids"), (field) => list(field, MAX_LAYERS)) ?? []).map(digestField),
    history: (optional(member(root, "history"), (field) => list(field, MAX_HISTORY)) ?? []).map(historyEntry),
  }
}

/** The chain id of a layer on what is below it (a chain id, or undefined): config.md, "Layer ChainID". */
export const chainIdOn = (below: string | undefined, diffId: string): string =>
  below === undefined ? diffId : `sha256:${new Bun.CryptoHasher("sha256").update(`${below} ${diffId}`).digest("hex")}`

/** The chain ids of layers, the lowest first. */
export function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = []
  for (const id of diffIds) chain.push(chainIdOn(chain.at(-1), id))
  return chain
}

/** The steps of an image, with one for each layer of which nothing is told: buildah takes no image that has told of some only. */
export function wholeHistory({ history, diffIds }: ImageConfig): HistoryEntry[] {
  const told = history.filter(({ empty_layer }) => !empty_layer).length
  const missing = Math.max(0, diffIds.length - told)
  return [...history, ...Array.from({ length: missing }, () => ({ empty_layer: false }))]
}
