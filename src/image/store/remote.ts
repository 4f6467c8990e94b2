/** Where an image is pulled from: the mirrors of its registry, then the registry. */
import { ToyboxError } from "../../errors.ts"
import { BadBytes } from "../digest.ts"
import { type Descriptor, readManifest } from "../manifest.ts"
import { manifestName, type Reference, repositoryName } from "../reference.ts"
import { getBlob, readBlob } from "../registry/blobs.ts"
import { type ClientOptions, openRepository, type Repository } from "../registry/client.ts"
import { authFiles, findCredentials } from "../registry/credentials.ts"
import { endpointsFor, type Wishes } from "../registry/endpoint.ts"
import { getManifest, headManifest, type RawManifest } from "../registry/manifests.ts"
import type { Settings } from "../registry/settings.ts"
import { listTags } from "../registry/tags.ts"

/** A mirror failed in the middle of a blob: asked again, the origin has it from elsewhere, from its beginning. */
export class MirrorFailed extends BadBytes {}

/** Somewhere that has an image. */
export interface ImageOrigin {
  /** The manifest is one that was made for it, of plain layers. */
  made?: boolean
  /** The repository of a registry: "docker.io/library/alpine". */
  repository?: string
  /** What the name stands for now; null where that costs as much as the manifest. */
  digest(): Promise<string | null>
  /** The manifest or index of the name, or of a digest. */
  manifest(digest?: string): Promise<RawManifest>
  /** A small blob. */
  blob(descriptor: Descriptor): Promise<Uint8Array>
  /** What else the repository has; undefined where it is none of a registry. */
  tags?(): Promise<string[]>
  /** The bytes of a blob, verified by size and digest before they end. */
  stream(descriptor: Descriptor): AsyncIterable<Uint8Array>
}

export interface RemoteOptions extends Omit<ClientOptions, "credentials"> {
  settings: Settings
  state: string
  wishes?: Wishes
}

/** An image of a registry. */
export function remoteImage(reference: Reference, options: RemoteOptions): ImageOrigin {
  const { settings, state, wishes, ...client } = options
  const files = authFiles(state, process.env, process.geteuid?.() ?? 0)
  const credentials = (host: string, path: string) => findCredentials(host, path, files)
  const endpoints = endpointsFor(reference.domain, settings, wishes)
  const repositories = endpoints.map((endpoint) => {
    let opened: Promise<Repository> | undefined
    return () => {
      opened ??= openRepository(endpoint, reference.path, { ...client, credentials })
      return opened
    }
  })
  // That one which had the manifest has the blobs, too.
  let first = 0
  /** Whatever a mirror lacks or does wrong, the registry has the last word. False: it has spoken. */
  const passOver = (i: number, error: unknown): boolean => {
    if (i === repositories.length - 1 || client.signal?.aborted) return false
    if (i >= first) {
      first = i + 1
      client.notice?.(
        `the mirror ${endpoints[i]?.host} is passed over: ${error instanceof Error ? error.message : error}`,
      )
    }
    return true
  }
  const somewhere = async <T>(ask: (repository: Repository, i: number) => Promise<T>): Promise<T> => {
    for (let i = first; ; i++) {
      const open = repositories[i]
      if (open === undefined) throw new ToyboxError(`${reference.domain} is not reached in any way`)
      try {
        return await ask(await open(), i)
      } catch (error) {
        if (!passOver(i, error)) throw error
      }
    }
  }
  const name = manifestName(reference)
  return {
    repository: repositoryName(reference),
    digest: () => somewhere((repository) => headManifest(repository, name)),
    manifest: (digest) =>
      somewhere(async (repository) => {
        const raw = await getManifest(repository, digest ?? name)
        // Where a mirror was there may be somebody now who has the same page for every address.
        if (repository.mirror) readManifest(raw.bytes, `the manifest of ${repository.host}/${repository.path}`)
        return raw
      }),
    tags: () => somewhere(listTags),
    blob: (descriptor) => somewhere((repository) => getBlob(repository, descriptor)),
    async *stream(descriptor) {
      const { i, begun, parts } = await somewhere(async (repository, i) => {
        const parts = readBlob(repository, descriptor)
        // Whether it is there, its first part tells; from there on readBlob goes on by itself where it breaks off.
        return { i, begun: await parts.next(), parts }
      })
      if (!begun.done) yield begun.value
      try {
        yield* parts
      } catch (error) {
        if (!passOver(i, error)) throw error
        throw new MirrorFailed(`the mirror ${endpoints[i]?.host} failed`, { cause: error })
      }
    },
  }
}
