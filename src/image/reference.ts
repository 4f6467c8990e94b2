/**
 * References to images: the grammar and the normalisation of distribution/reference, so that a name means here what it means
 * to docker.
 */
import { UsageError } from "../errors.ts"
import { digestFault } from "./digest.ts"

/** A normalised reference. With tag and digest both, the digest decides what is fetched. */
export interface Reference {
  /** Host and port: "docker.io", "localhost:5000", "[::1]:5000". */
  readonly domain: string
  /** The repository in it: "library/alpine". */
  readonly path: string
  readonly tag?: string
  readonly digest?: string
}

/** How short names are completed. */
export interface ShortNames {
  /** The registry of names that have none. */
  readonly defaultRegistry: string
  /** Full repositories by short name: alpine → mirror.example/base/alpine. */
  readonly aliases: Readonly<Record<string, string>>
}

export const DOCKER_SHORT_NAMES: ShortNames = { defaultRegistry: "docker.io", aliases: {} }

const DOCKER_HUB = "docker.io"
const LEGACY_DOCKER_HUB = "index.docker.io"
const OFFICIAL = "library/"
const MAX_PATH = 255

const DOMAIN_COMPONENT = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
const HOST = `(?:${DOMAIN_COMPONENT}(?:\\.${DOMAIN_COMPONENT})*|\\[[a-fA-F0-9:]+\\])`
const DOMAIN = new RegExp(`^${HOST}(?::[0-9]+)?$`)
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:[_.]|__|-+)[a-z0-9]+)*$/
const TAG = /^\w[\w.-]{0,127}$/
const IMAGE_ID = /^[a-f0-9]{64}$/

function malformed(text: string, why: string, hint?: string): UsageError {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text
  return new UsageError(`"${shown}" is not an image reference: ${why}`, {
    hint: hint ?? "the form is [HOST[:PORT]/]NAME[:TAG][@DIGEST], as in alpine:3.20 or ghcr.io/org/app@sha256:…",
  })
}

/** Docker's rule for whether the first part of a name is a registry. */
function isDomain(part: string): boolean {
  return part === "localhost" || /[.:]/.test(part) || part.toLowerCase() !== part
}

/** The host part of a name, if it has one, and the rest. */
function splitDomain(name: string, { defaultRegistry }: ShortNames): [string, string] {
  const slash = name.indexOf("/")
  const first = name.slice(0, Math.max(slash, 0))
  const named = slash >= 0 && isDomain(first)
  const found = named ? first : defaultRegistry
  const domain = found === LEGACY_DOCKER_HUB ? DOCKER_HUB : found
  const rest = named ? name.slice(slash + 1) : name
  return [domain, domain === DOCKER_HUB && !rest.includes("/") ? OFFICIAL + rest : rest]
}

function cut(text: string, at: number): [string, string | undefined] {
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

function checkPath(text: string, path: string): void {
  if (path.length > MAX_PATH)
    throw malformed(text, `the repository name has ${path.length} characters, ${MAX_PATH} are allowed`)
  for (const component of path.split("/")) {
    if (PATH_COMPONENT.test(component)) continue
    if (component === "") throw malformed(text, "a part of the repository name is empty")
    if (PATH_COMPONENT.test(component.toLowerCase()))
      throw malformed(text, `the repository name must be in lower case, but has "${component}"`)
    throw malformed(
      text,
      `"${component}" is no part of a repository name`,
      'lower-case letters and digits, with ".", "_", "__" or dashes between them',
    )
  }
}

/**
 * Reads and normalises a reference, without a default tag: see withDefaultTag. Throws UsageError that tells what is wrong
 * with it.
 */
export function parseReference(text: string, shortNames: ShortNames = DOCKER_SHORT_NAMES): Reference {
  if (text === "") throw malformed(text, "it is empty")
  if (IMAGE_ID.test(text))
    throw malformed(text, "64 hexadecimal digits are an image's id, not a name", `as a digest: NAME@sha256:${text}`)
  const [named, digest] = cut(text, text.indexOf("@"))
  // A colon before the last slash belongs to the registry's port.
  const colon = named.lastIndexOf(":")
  const [short, tag] = cut(named, colon > named.lastIndexOf("/") ? colon : -1)
  if (tag !== undefined && !TAG.test(tag)) {
    const why = tag === "" ? "the tag is empty" : `"${tag.slice(0, 150)}" is not a tag`
    throw malformed(text, why, "a tag has up to 128 letters, digits, and after the first also _ . -")
  }
  const fault = digest === undefined ? null : digestFault(digest)
  if (fault !== null) throw malformed(text, `the digest after @ is not one: ${fault}`)
  const name = Object.hasOwn(shortNames.aliases, short) ? (shortNames.aliases[short] ?? short) : short
  if (name === "") throw malformed(text, "the repository name is empty")
  const [domain, path] = splitDomain(name, shortNames)
  if (!DOMAIN.test(domain)) throw malformed(text, `"${domain}" is not a registry's host name and port`)
  const port = /:(\d+)$/.exec(domain)?.[1]
  if (port !== undefined && Number(port) > 65535) throw malformed(text, `there is no port ${port}`)
  checkPath(text, path)
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) }
}

/** `latest`, where neither a tag nor a digest was given. */
export const withDefaultTag = (reference: Reference): Reference =>
  reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference

/** The repository alone: docker.io/library/alpine. */
export const repositoryName = ({ domain, path }: Reference): string => `${domain}/${path}`

/** The full form: docker.io/library/alpine:latest. */
export const formatReference = (reference: Reference): string =>
  repositoryName(reference) +
  (reference.tag === undefined ? "" : `:${reference.tag}`) +
  (reference.digest === undefined ? "" : `@${reference.digest}`)

/** A full form as docker shows it: alpine:latest. What is none stays as it is. */
export function familiarForm(full: string): string {
  if (!full.startsWith(`${DOCKER_HUB}/`)) return full
  const path = full.slice(DOCKER_HUB.length + 1)
  const official = path.slice(OFFICIAL.length)
  if (path.startsWith(OFFICIAL) && !official.includes("/")) return official
  return isDomain(path.slice(0, path.indexOf("/"))) ? full : path
}

/** As docker shows it: alpine:latest. */
export const familiarReference = (reference: Reference): string => familiarForm(formatReference(reference))

/** What it is called in the store: with a digest the tag says nothing, and is left out, as docker has it. */
export const storedReference = ({ tag, ...others }: Reference): string =>
  formatReference(others.digest === undefined && tag !== undefined ? { ...others, tag } : others)

/** What the registry knows it by: the digest, or else the tag. */
export const manifestName = (reference: Reference): string => reference.digest ?? reference.tag ?? "latest"
