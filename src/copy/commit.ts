/** An image from a container: what it has changed becomes a layer on those that it stands on. */
import { O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { SIGTERM } from "../../ffi/constants/signal.ts"
import { close, exists, open } from "../../ffi/fs.ts"
import { recordEvents } from "../container/events.ts"
import { imageHealthcheck } from "../container/health.ts"
import { changesOf } from "../container/observe/changes.ts"
import { recover } from "../container/recover.ts"
import { signalName } from "../container/signal-name.ts"
import { beginStandstill, endStandstill } from "../container/standstill.ts"
import { type ContainerHead, type ContainerRecord, containerPath, readRecord, resolveId } from "../container/state.ts"
import { readStored, type StoredRequest } from "../container/stored-request.ts"
import { ToyboxError } from "../errors.ts"
import { layerPath, layerRoot, removeAbandonedLayers } from "../image/cache/layers.ts"
import {
  type ContainerConfig,
  EMPTY_CONTAINER_CONFIG,
  type HistoryEntry,
  type ImageConfig,
  readConfig,
  wholeHistory,
} from "../image/config.ts"
import { writeConfig } from "../image/document.ts"
import { END_OF_ARCHIVE } from "../image/layer/tar/write-header.ts"
import { type WalkOptions, writeTree } from "../image/layer/writer.ts"
import { hostPlatform } from "../image/platform.ts"
import { addLayer } from "../image/store/add-layer.ts"
import { putImage } from "../image/store/put.ts"
import { type ImageRecord, listImages, readBlobFile, storePaths } from "../image/store/records.ts"
import { copyOf } from "../overlay/copied.ts"
import { overlayLayout } from "../overlay/layout.ts"
import { MAX_LAYERS } from "../overlay/links.ts"
import type { Paths } from "../paths.ts"
import { isRetouched } from "./retouched.ts"
import { assertStillThere, wholeRoot } from "./whole.ts"

export interface CommitOptions {
  /** The whole reference; null for none. */
  name: string | null
  author: string | undefined
  message: string | undefined
  /** The container stands still meanwhile. */
  pause: boolean
  /** Seconds since 1970 (SOURCE_DATE_EPOCH): nothing in the image is later. */
  latestTime: number | null
  /** What becomes of the container's config. */
  change: (config: ContainerConfig) => ContainerConfig
  progress: { add(bytes: number): void }
  signal: AbortSignal
}

interface Base {
  record: ImageRecord
  config: ImageConfig
}

/** The image that a container stands on; null where that is a directory or an archive, or is not here any more. */
function baseOf(paths: Paths, { lower, below = [] }: ContainerRecord, { image, imageId }: StoredRequest): Base | null {
  const store = storePaths(paths)
  const rootsOf = ({ layers }: ImageRecord) => layers.map((id) => layerRoot(layerPath(store, id)))
  const own = [...below.toReversed(), lower].join(":")
  const fits = listImages(paths).filter((record) => rootsOf(record).join(":") === own)
  const record = fits.find(({ id }) => id === imageId) ?? fits.find(({ name }) => name === image) ?? fits[0]
  const bytes = record && readBlobFile(paths, record.id)
  return record && bytes ? { record, config: readConfig(bytes, `the config of ${record.name}`) } : null
}

/** Throws ToyboxError where the image has no room for one more layer: it would never run. */
function checkRoom({ name }: ContainerRecord, { record }: Base): void {
  const { length } = record.layers
  if (length < MAX_LAYERS) return
  throw new ToyboxError(`the image of ${name} has ${length} layers already, and at most ${MAX_LAYERS} can be mounted`, {
    hint: `toybox export ${name} | toybox import - NAME makes an image of one layer`,
  })
}

/** What is asked of the container's health, in an image's words; nothing where that is not known. */
function healthcheckOf({ detached }: ContainerHead, base: ContainerConfig): Pick<ContainerConfig, "Healthcheck"> {
  // Only a supervisor asks.
  if (detached === undefined) return {}
  if (detached.health) return { Healthcheck: imageHealthcheck(detached.health) }
  return base.Healthcheck === undefined ? {} : { Healthcheck: { Test: ["NONE"] } }
}

const union = (one: readonly string[], other: readonly string[]) => [...new Set([...one, ...other])]

/** What a container runs, and how, in an image's words: docker's `commit`. */
function configOf(base: ContainerConfig, head: ContainerHead, stored: StoredRequest): ContainerConfig {
  // Meant for what is made of the image first, which this is.
  const { OnBuild: _, ...inherited } = base
  const { process, stopSignal, entrypoint, exposed, volumes } = stored
  const { args, env, user, workdir, labels } = process
  const anonymous = volumes.filter((volume) => volume.anonymous).map(({ destination }) => destination)
  const entries = new Map(env.map((entry) => [entry.slice(0, entry.indexOf("=")), entry]))
  return {
    ...inherited,
    User: user === "0" && base.User === "" ? "" : user,
    Env: [...entries.values()],
    Entrypoint: args.slice(0, entrypoint),
    Cmd: args.slice(entrypoint),
    ExposedPorts: union(base.ExposedPorts, exposed),
    Volumes: union(base.Volumes, anonymous),
    ...healthcheckOf(head, base),
    WorkingDir: workdir === "/" && base.WorkingDir === "" ? "" : workdir,
    Labels: { ...labels },
    ...(base.StopSignal !== undefined || stopSignal !== SIGTERM ? { StopSignal: signalName(stopSignal) } : {}),
  }
}

/** The container's changes as a layer: what toybox itself has put there to mount on is no part of them. */
function* changedFiles(paths: Paths, record: ContainerRecord, options: WalkOptions): Generator<Uint8Array> {
  const { upper } = overlayLayout(containerPath(paths, record.id))
  // Made when it is started for the first time.
  if (!exists(upper)) {
    yield END_OF_ARCHIVE
    return
  }
  const changed = new Set(changesOf(paths, record, isRetouched).map(({ path }) => path.slice(1)))
  const fd = open(upper, O_PATH | O_DIRECTORY)
  try {
    yield* writeTree({ dirFd: fd, name: ".", path: "." }, { ...options, omits: (_, path) => !changed.has(path) })
    assertStillThere(paths, record.id, record.name)
  } finally {
    close(fd)
  }
}

async function* counted(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { progress, signal }: CommitOptions,
): AsyncGenerator<Uint8Array> {
  for await (const part of source) {
    signal.throwIfAborted()
    progress.add(part.length)
    yield part
    // Signals have their turn.
    await new Promise(setImmediate)
  }
}

async function make(paths: Paths, record: ContainerRecord, options: CommitOptions): Promise<ImageRecord> {
  const stored = readStored(paths, record.id, record.name)
  const isCopy = copyOf(containerPath(paths, record.id)) !== null
  const base = isCopy ? null : baseOf(paths, record, stored)
  if (base !== null) checkRoom(record, base)
  const created = new Date(options.latestTime === null ? Date.now() : options.latestTime * 1000).toISOString()
  const times = options.latestTime === null ? {} : { latestTime: options.latestTime }
  const source =
    base === null
      ? wholeRoot(paths, record.id, { whiteouts: "overlay", ...times })
      : changedFiles(paths, record, { whiteouts: "overlay", ...times })
  const below = base?.record.layers.at(-1)
  const { diffId } = await addLayer(paths, {
    name: `the changes of ${record.name}`,
    below,
    source: counted(source, options),
    signal: options.signal,
  })
  const entry: HistoryEntry = {
    created,
    created_by: record.command.join(" "),
    ...(options.author === undefined ? {} : { author: options.author }),
    ...(options.message === undefined ? {} : { comment: options.message }),
    empty_layer: false,
  }
  // Of a copy, too, the image tells how it is meant to be run.
  const told = base ?? baseOf(paths, record, stored)
  const { bytes } = writeConfig({
    platform: told?.config.platform ?? hostPlatform(),
    created,
    ...(options.author === undefined ? {} : { author: options.author }),
    config: options.change(configOf(told?.config.config ?? EMPTY_CONTAINER_CONFIG, record, stored)),
    diffIds: [...(base?.config.diffIds ?? []), diffId],
    history: [...(base ? wholeHistory(base.config) : []), entry],
  })
  return putImage(paths, { name: options.name, config: bytes })
}

/** Makes an image of a container, running or not. Throws ToyboxError; then there is none. */
export async function commitContainer(paths: Paths, reference: string, options: CommitOptions): Promise<ImageRecord> {
  recover(paths)
  removeAbandonedLayers(storePaths(paths))
  const id = resolveId(paths, reference)
  const record = readRecord(paths, id)
  if (record === null) throw new ToyboxError(`container ${reference} is being made or removed`)
  const still = options.pause ? beginStandstill(paths, id) : null
  try {
    const image = await make(paths, record, options)
    const { message: comment = "", name } = options
    recordEvents(paths, record, ["commit", { comment, imageID: image.id, imageRef: name ?? "" }])
    return image
  } catch (error) {
    // It may be what went wrong, whatever was told of it.
    assertStillThere(paths, id, record.name)
    throw error
  } finally {
    if (still) endStandstill(paths, id, still)
  }
}
