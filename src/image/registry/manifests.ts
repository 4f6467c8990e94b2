/** Manifests: distribution spec, "Pulling manifests" and "Pushing Manifests". */
import { ToyboxError } from "../../errors.ts"
import { digestFault, digestOf, isDigest, splitDigest } from "../digest.ts"
import { MAX_MANIFEST } from "../manifest.ts"
import { bareType, MANIFEST_TYPES } from "../media-types.ts"
import { readBody } from "./answer.ts"
import { call, type Repository } from "./client.ts"
import { registryError } from "./errors.ts"

/** The bytes of a manifest, or an index; the digest is over these. */
export interface RawManifest {
  bytes: Uint8Array
  digest: string
  /** What the registry says it is; undefined where it says nothing of use. */
  mediaType: string | undefined
}

const ACCEPT = { accept: MANIFEST_TYPES.join(", ") }

const named = ({ host, path }: Repository, name: string) => `${host}/${path}${isDigest(name) ? "@" : ":"}${name}`

/** Docker-Content-Digest, where there is one; it may be of an algorithm that we do not know. */
function toldDigest(headers: Headers): string | null {
  const told = headers.get("docker-content-digest")
  return told !== null && digestFault(told) === null ? told : null
}

/** Of these the answer to GET is no other. */
const WHATEVER_IS_ASKED = [401, 403, 429]

/**
 * The digest that a tag has now, by HEAD, which registries do not count as a pull. Null where the registry does not tell: some
 * answer HEAD with 404 or 405 what they give to GET. Throws RegistryError; also where a mirror has no such manifest.
 */
export async function headManifest(repository: Repository, name: string): Promise<string | null> {
  const what = named(repository, name)
  const response = await call(repository, what, { method: "HEAD", at: `manifests/${name}`, headers: ACCEPT })
  response.cancel()
  const { status } = response
  const isRefused = status >= 400 && status < 500 && !WHATEVER_IS_ASKED.includes(status)
  // The next one is asked sooner by HEAD than this one by GET.
  if (isRefused && !(repository.mirror && status === 404)) return null
  if (status !== 200) throw await registryError(response, what, repository.host)
  return toldDigest(response.headers)
}

/**
 * Fetches a manifest by tag or digest and verifies it. Throws ToyboxError where the bytes are not what the digest asked for, or
 * the digest told by the registry, says.
 */
export async function getManifest(repository: Repository, name: string): Promise<RawManifest> {
  const what = named(repository, name)
  const response = await call(repository, what, { method: "GET", at: `manifests/${name}`, headers: ACCEPT })
  if (response.status !== 200) throw await registryError(response, what, repository.host)
  const bytes = await readBody(response, MAX_MANIFEST)
  const expected = isDigest(name) ? name : toldDigest(response.headers)
  const algorithm = expected === null ? "sha256" : splitDigest(expected).algorithm
  const digest = digestOf(bytes, algorithm)
  if (expected !== null && digest !== expected)
    throw new ToyboxError(`${what}: the manifest is not what was asked for: ${digest} instead of ${expected}`, {
      hint: "the registry, or something between it and here, is broken or hostile",
    })
  const type = response.headers.get("content-type")
  return { bytes, digest, mediaType: type === null ? undefined : bareType(type) }
}

/** Stores a manifest under a tag or its digest. Throws where the registry computes another digest. */
export async function putManifest(
  repository: Repository,
  name: string,
  manifest: { bytes: Uint8Array; mediaType: string },
): Promise<string> {
  const what = named(repository, name)
  const response = await call(repository, what, {
    method: "PUT",
    at: `manifests/${name}`,
    headers: { "content-type": manifest.mediaType },
    body: manifest.bytes,
    actions: "pull,push",
  })
  if (response.status !== 201) throw await registryError(response, what, repository.host)
  response.cancel()
  const digest = digestOf(manifest.bytes)
  const told = toldDigest(response.headers)
  if (told !== null && splitDigest(told).algorithm === "sha256" && told !== digest)
    throw new ToyboxError(`${what}: the registry has stored something else: ${told} instead of ${digest}`)
  return digest
}
