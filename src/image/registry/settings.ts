/** How registries are reached: registries.json of the machine and of the state directory. */
import { listDir } from "../../../ffi/directory.ts"
import { exists, tryReadText } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import { boolean, decodeJson, type Field, fault, list, member, members, optional, string } from "../decode.ts"
import { DOCKER_SHORT_NAMES, parseReference, type ShortNames } from "../reference.ts"

export interface RegistrySettings {
  /** Its certificate is not looked at, and plain http will do. */
  insecure?: boolean
  /** Plain http only. */
  http?: boolean
  /** A file of certificates (PEM). */
  ca?: string
  /** Asked first, in this order: HOST[:PORT][/PREFIX], with http:// or https:// before it or not. */
  mirrors?: readonly string[]
}

export interface Settings {
  shortNames: ShortNames
  registries: Readonly<Record<string, RegistrySettings>>
}

const MACHINE = "/etc/toybox/registries.json"

const HOST = /^(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:\d+)?$/i
const MIRROR = /^(https?:\/\/)?(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:\d+)?(\/[a-z0-9._/-]+)?$/i

function host(field: Field): string {
  const text = string(field)
  if (!HOST.test(text)) throw fault(field, `"${text}" is not HOST[:PORT]`)
  return text
}

function mirror(field: Field): string {
  const text = string(field)
  if (!MIRROR.test(text)) throw fault(field, `"${text}" is not HOST[:PORT][/PREFIX]`)
  return text.replace(/\/$/, "")
}

// A misspelt name would be ignored, and a registry reached in another way than was meant.
function only(field: Field, names: readonly string[]): void {
  for (const [name, value] of members(field)) {
    if (!names.includes(name)) throw fault(value, `there is no such setting; there are: ${names.join(", ")}`)
  }
}

function registry(field: Field): RegistrySettings {
  only(field, ["insecure", "http", "ca", "mirrors"])
  const insecure = optional(member(field, "insecure"), boolean)
  const http = optional(member(field, "http"), boolean)
  const ca = optional(member(field, "ca"), string)
  const mirrors = optional(member(field, "mirrors"), (mirrors) => list(mirrors, 16).map(mirror))
  return {
    ...(insecure === undefined ? {} : { insecure }),
    ...(http === undefined ? {} : { http }),
    ...(ca === undefined ? {} : { ca }),
    ...(mirrors === undefined ? {} : { mirrors }),
  }
}

function alias(field: Field): string {
  const { domain, path, tag, digest } = parseReference(string(field))
  if (tag !== undefined || digest !== undefined) throw fault(field, "an alias is a repository, without tag or digest")
  return `${domain}/${path}`
}

/** Reads one file of settings. Throws ToyboxError that names the field. */
export function readSettings(text: string, document: string, below: Settings): Settings {
  const root = decodeJson(text, document)
  only(root, ["defaultRegistry", "aliases", "registries"])
  const aliases = optional(member(root, "aliases"), members) ?? []
  const registries = optional(member(root, "registries"), members) ?? []
  return {
    shortNames: {
      defaultRegistry: optional(member(root, "defaultRegistry"), host) ?? below.shortNames.defaultRegistry,
      aliases: {
        ...below.shortNames.aliases,
        ...Object.fromEntries(aliases.map(([name, field]) => [name, alias(field)])),
      },
    },
    registries: {
      ...below.registries,
      ...Object.fromEntries(registries.map(([name, field]) => [host({ ...field, value: name }), registry(field)])),
    },
  }
}

/** The settings: the machine's file, then the state directory's, whose words count where both speak. */
export function loadSettings(state: string, machine = MACHINE): Settings {
  let settings: Settings = { shortNames: DOCKER_SHORT_NAMES, registries: {} }
  for (const path of [machine, `${state}/registries.json`]) {
    const text = tryReadText(path)
    if (text !== null) settings = readSettings(text, path, settings)
  }
  return settings
}

/** Where certificates of registries lie: our own place, and docker's. */
const CERTIFICATES = ["/etc/toybox/certs.d", "/etc/docker/certs.d"]

/** Files in PEM form. */
export interface ClientFiles {
  certificate: string
  key: string
}

/** What we show a registry that asks who we are: NAME.cert and NAME.key, as docker has it. Throws ToyboxError where one is alone. */
export function clientFiles(name: string, places = CERTIFICATES): ClientFiles | null {
  const [certificate] = places.flatMap((place) =>
    listDir(`${place}/${name}`)
      .filter((file) => file.endsWith(".cert"))
      .sort()
      .map((file) => `${place}/${name}/${file}`),
  )
  if (certificate === undefined) return null
  const key = certificate.replace(/cert$/, "key")
  if (!exists(key)) throw new ToyboxError(`${certificate} has no key: there is no ${key}`)
  return { certificate, key }
}

/** The files of certificates to trust a registry by, beside the usual ones. */
export function certificateFiles(
  name: string,
  settings: RegistrySettings | undefined,
  places = CERTIFICATES,
): string[] {
  const found = places.flatMap((place) =>
    listDir(`${place}/${name}`)
      .filter((file) => file.endsWith(".crt"))
      .map((file) => `${place}/${name}/${file}`),
  )
  return [...(settings?.ca === undefined ? [] : [settings.ca]), ...found]
}
