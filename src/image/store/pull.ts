/** Pulling an image into the store. */
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { removeAbandonedLayers } from "../cache/layers.ts"
import { chainIds, type ImageConfig, readConfig } from "../config.ts"
import { isRunnable, type Manifest, readManifest } from "../manifest.ts"
import { choosePlatform, formatPlatform, hostPlatform, normalPlatform, type Platform } from "../platform.ts"
import { startProgress } from "../progress.ts"
import type { RawManifest } from "../registry/manifests.ts"
import type { PullPolicy } from "../source.ts"
import { hasAllBlobs, rememberBlob } from "./blobs.ts"
import { ensureLayers, missingLayers, type WantedLayer } from "./layers.ts"
import { openImage, type StoredImage } from "./open.ts"
import { addRepoDigest, putImage } from "./put.ts"
import { type ImageRecord, readImage, storePaths } from "./records.ts"
import type { ImageOrigin } from "./remote.ts"
import { openWorkspace } from "./workspace.ts"

export interface PullOptions {
  paths: Paths
  /** The name under which it is kept: the whole reference; null where it goes by its id alone. */
  name: string | null
  /** As people know it. */
  shown: string
  /** Null: what suits this machine. */
  platform: Platform | null
  policy: PullPolicy
  /** Keeps the compressed layers, too. */
  keepBlobs?: boolean
  /** Of the archive file that it comes from: fileIdentity. */
  identity?: string | undefined
  quiet: boolean
  signal: AbortSignal
  notice: (text: string) => void
}

export interface Pulled extends StoredImage {
  /** It was there already, as it is now in the registry. */
  fresh: boolean
}

const MAX_INDEXES = 3

/** The manifest for a platform, through as many indexes as there are. */
async function chooseManifest(origin: ImageOrigin, options: PullOptions, top: RawManifest) {
  const { shown, platform } = options
  const wanted = platform ?? hostPlatform()
  let raw = top
  let type = raw.mediaType
  for (let depth = 0; depth <= MAX_INDEXES; depth++) {
    const read = readManifest(raw.bytes, `the manifest of ${shown}`, type)
    if (read.kind === "manifest") return { raw, manifest: read }
    const offered = read.manifests.filter(isRunnable)
    const chosen = choosePlatform(offered, wanted, platform !== null)
    if (chosen === null) {
      const others = offered.flatMap(({ platform }) => (platform ? [normalPlatform(platform)] : []))
      const there = [...new Set(others.map(formatPlatform))].join(", ")
      const how = others.some(({ os }) => os === "linux")
        ? ": see --platform"
        : ", and only what is for Linux runs here"
      throw new ToyboxError(`${shown} is not there for ${formatPlatform(wanted)}`, {
        hint: there === "" ? undefined : `it is for ${there}${how}`,
      })
    }
    raw = await origin.manifest(chosen.digest)
    type = chosen.mediaType
  }
  throw new ToyboxError(`${shown}: an index that leads to indexes, more than ${MAX_INDEXES} deep, is not followed`)
}

function checkConfig(config: ImageConfig, manifest: Manifest, options: PullOptions): void {
  const { shown, platform } = options
  const { diffIds } = config
  if (diffIds.length !== manifest.layers.length) {
    throw new ToyboxError(
      `${shown}: the manifest has ${manifest.layers.length} layers, but the config knows ${diffIds.length}`,
    )
  }
  const own = normalPlatform(config.platform)
  const wanted = platform ?? hostPlatform()
  if (choosePlatform([{ platform: own }], wanted, platform !== null) !== null) return
  if (platform !== null)
    throw new ToyboxError(`${shown} is for ${formatPlatform(own)}, not for ${formatPlatform(wanted)}`)
  options.notice(`${shown} is for ${formatPlatform(own)}, and this machine is ${formatPlatform(wanted)}`)
}

async function fetchImage(origin: ImageOrigin, options: PullOptions, top: RawManifest): Promise<StoredImage> {
  const { paths, name, shown, quiet, signal } = options
  const { raw, manifest } = await chooseManifest(origin, options, top)
  const configBytes = await origin.blob(manifest.config)
  const config = readConfig(configBytes, `the config of ${shown}`)
  checkConfig(config, manifest, options)
  const chain = chainIds(config.diffIds)
  const layers = manifest.layers.map(
    (descriptor, i): WantedLayer => ({
      descriptor,
      diffId: config.diffIds[i] ?? "",
      chainId: chain[i] ?? "",
      below: chain[i - 1],
    }),
  )
  removeAbandonedLayers(storePaths(paths))
  const keepBlobs = options.keepBlobs ?? false
  const missing = missingLayers(paths, layers, keepBlobs)
  const progress = startProgress(shown, quiet)
  progress.restart(missing.reduce((sum, { descriptor }) => sum + descriptor.size, 0))
  const keep = keepBlobs ? { workspace: openWorkspace(paths), blobs: new Map<string, string>() } : null
  let record: ImageRecord
  try {
    await ensureLayers({ paths, origin, name: shown, progress, signal, quiet, keep }, missing)
    const documents = origin.made ? {} : { manifest: raw, top, repository: origin.repository }
    const kept = keep === null ? {} : { blobs: keep.blobs }
    record = await putImage(paths, { name, config: configBytes, identity: options.identity, ...documents, ...kept })
  } catch (error) {
    progress.stop()
    throw error
  } finally {
    keep?.workspace.remove()
  }
  if (!origin.made)
    for (const { chainId, descriptor } of layers) rememberBlob(paths, chainId, descriptor, origin.repository)
  progress.done(`${shown}: ${missing.length} of ${layers.length} layers unpacked`)
  const stored = openImage(paths, record.name)
  if (stored === null) throw new ToyboxError(`${shown} was removed as soon as it was there`, { hint: "try again" })
  return stored
}

/** The image that is here, which is what the origin has. */
async function upToDate(origin: ImageOrigin, { paths }: PullOptions, there: StoredImage): Promise<Pulled> {
  if (origin.repository !== undefined)
    await addRepoDigest(paths, there.record, `${origin.repository}@${there.record.digest}`)
  return { ...there, fresh: true }
}

/** The image as the store has it, if it is for the platform that is wanted. */
export function storedImage({
  paths,
  name,
  platform,
}: Pick<PullOptions, "paths" | "name" | "platform">): StoredImage | null {
  const record = name === null ? null : readImage(paths, name)
  if (record === null) return null
  if (platform !== null && record.platform !== formatPlatform(platform)) return null
  return openImage(paths, record.name)
}

/**
 * Makes an image be in the store, as `policy` has it: "always" asks what the name stands for now, "newer" does so if somebody
 * answers, "missing" asks only where it is not there, "never" not at all. Throws ToyboxError; what was fetched of a failed
 * pull and is whole is kept for the next.
 */
export async function pullImage(origin: ImageOrigin, options: PullOptions): Promise<Pulled> {
  const { shown, policy, notice } = options
  const found = storedImage(options)
  const there = found !== null && options.keepBlobs && !hasAllBlobs(options.paths, found.record) ? null : found
  // Of a platform that was asked for only that one is found.
  const suits = ({ config }: StoredImage) =>
    options.platform !== null || choosePlatform([{ platform: config.platform }], hostPlatform(), false) !== null
  if (there !== null && (policy === "missing" || policy === "never")) return { ...there, fresh: true }
  if (policy === "never")
    throw new ToyboxError(`${shown} is not here, and the policy "never" forbids fetching it`, {
      hint: `toybox pull ${shown}`,
    })
  let top: RawManifest
  try {
    if (there !== null && suits(there) && (await origin.digest()) === there.record.digest)
      return await upToDate(origin, options, there)
    top = await origin.manifest()
  } catch (error) {
    if (there === null || policy === "always" || options.signal.aborted) throw error
    notice(`${error instanceof Error ? error.message : error}; going on with the image that is here`)
    return { ...there, fresh: true }
  }
  // An index may have what is for this machine, where what is here is not.
  if (there?.record.digest === top.digest && (suits(there) || there.record.manifest === top.digest))
    return upToDate(origin, options, there)
  return { ...(await fetchImage(origin, options, top)), fresh: false }
}
