/**
 * Unpacked layers by the digest of their tar stream (diff id; of a stack of them the chain id):
 * layers/sha256/HEX/root, with layer.json beside it. What is being unpacked, or removed, is in layers/new, locked by who
 * does it. A layer is locked, shared, by every toybox that runs a container on it.
 */
import { call } from "../../../ffi/call.ts"
import { O_DIRECTORY, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { listDir } from "../../../ffi/directory.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, exists, mkdir, mkdirAll, open, rename, writeFile } from "../../../ffi/fs.ts"
import { tryLock, tryLockShared } from "../../../ffi/lock.ts"
import { removeTree } from "../../../ffi/remove-tree.ts"
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { bootId, readJson, writeDurably } from "../../state-file.ts"

/** layer.json. */
export interface LayerFacts {
  /** Of the tar stream. */
  bytes: number
  entries: number
  /** ISO 8601. */
  created: string
  /** Of a layer that may not be on the disk yet: the boot it is whole in. */
  boot?: string
}

/** A directory of ours, locked as long as `fd` is open. */
export interface Held {
  fd: number
  path: string
}

const FINISH_ATTEMPTS = 200
/** Milliseconds: the kernel has written most by itself then. */
const SYNC_AFTER = 60_000
const encode = (facts: LayerFacts): Uint8Array => new TextEncoder().encode(JSON.stringify(facts))
const DIGEST = /^sha256:[0-9a-f]{64}$/

/** Where the layer of a digest is. Throws where it is none, for digests are read from files. */
export function layerPath(paths: Paths, digest: string): string {
  if (!DIGEST.test(digest)) throw new ToyboxError(`"${digest}" is not a SHA-256 digest`)
  return `${paths.layers}/sha256/${digest.slice(7)}`
}

/** Where layers are that are being unpacked, or removed. */
export const unfinishedLayers = (paths: Paths): string => `${paths.layers}/new`

/** The root file system in a layer's directory. */
export const layerRoot = (layer: string): string => `${layer}/root`

function openDirectory(path: string): number | null {
  try {
    return open(path, O_RDONLY | O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return null
    throw error
  }
}

const factsPath = (layer: string): string => `${layer}/layer.json`

/** Null where a power cut has taken it. */
const readFacts = (layer: string): LayerFacts | null => readJson<LayerFacts>(factsPath(layer))

/** Puts the layer, which is open, on the disk: it counts after the next boot, too. */
function settle(fd: number, path: string, { boot: _, ...facts }: LayerFacts): void {
  call("syncfs", fd)
  writeDurably(factsPath(path), encode(facts))
}

/** Whether the layer, locked by `fd`, has all its content. One that was not synchronised is, after a minute: that is cheap then. */
function isWhole(fd: number, path: string): boolean {
  const facts = readFacts(path)
  if (facts?.boot === undefined) return facts !== null
  if (facts.boot !== bootId()) return false
  // Later than now: the clock was set back, and nobody knows how long ago it was.
  if (Math.abs(Date.now() - Date.parse(facts.created)) > SYNC_AFTER) settle(fd, path, facts)
  return true
}

/** Makes a layer, by its root, count after the next boot, too: a container that is kept stands on it. It is held. */
export function settleLayer(root: string): void {
  const path = root.slice(0, -layerRoot("").length)
  const facts = readFacts(path)
  if (facts?.boot === undefined) return
  const fd = open(path, O_RDONLY | O_DIRECTORY)
  try {
    settle(fd, path, facts)
  } finally {
    close(fd)
  }
}

/**
 * Keeps a layer from being removed until this process ends, and returns its root; null where it is not there. Few
 * calls: this is on the way of every container on a cached archive.
 */
export function holdLayer(paths: Paths, digest: string): string | null {
  const path = layerPath(paths, digest)
  const fd = openDirectory(path)
  if (fd === null) return null
  // By path: the directory that was opened may have been moved away, to be removed, before it was locked.
  if (tryLockShared(fd) && exists(layerRoot(path))) {
    if (isWhole(fd, path)) return layerRoot(path)
    close(fd)
    removeLayer(paths, digest, () => false)
    return null
  }
  close(fd)
  return null
}

/** Makes a locked directory to unpack into: `root` in it. */
export function beginLayer(paths: Paths): Held {
  mkdirAll(unfinishedLayers(paths), 0o700)
  mkdirAll(`${paths.layers}/sha256`, 0o700)
  for (let attempt = 0; ; attempt++) {
    const path = `${unfinishedLayers(paths)}/${process.pid}.${attempt}`
    if (!mkdir(path, 0o700)) continue
    const fd = openDirectory(path)
    if (fd === null) continue
    // Somebody who tidies up may have taken it for abandoned before it was locked.
    if (tryLock(fd) && exists(path)) {
      mkdir(layerRoot(path), 0o755)
      return { fd, path }
    }
    close(fd)
  }
}

/** Removes an unfinished layer. */
export function abandonLayer({ fd, path }: Held): void {
  try {
    removeTree(path)
  } finally {
    close(fd)
  }
}

/** Whether a finished layer's content is on the disk: it is now, it is to be put there, or the layer counts until the next boot only. */
export type Settled = "now" | "to be" | "until boot"

/**
 * Puts a finished layer in its place. A power cut must not leave a layer of empty files: its content is on the disk
 * before, or it counts until the next boot only, which suits what is made again from a file at hand. Where
 * another toybox was faster, its layer stays. Returns the root, held as by holdLayer. Where it throws, the layer is still to be
 * abandoned.
 */
export function finishLayer(paths: Paths, layer: Held, digest: string, facts: LayerFacts, settled: Settled): string {
  const path = layerPath(paths, digest)
  if (settled === "now") writeDurably(factsPath(layer.path), encode(facts))
  else {
    const boot = settled === "until boot" ? { boot: bootId() } : {}
    writeFile(factsPath(layer.path), JSON.stringify({ ...facts, ...boot }))
    if (settled === "to be") call("syncfs", layer.fd)
  }
  for (let attempt = 0; ; attempt++) {
    const there = holdLayer(paths, digest)
    if (there !== null) {
      abandonLayer(layer)
      return there
    }
    try {
      rename(layer.path, path)
      break
    } catch (error) {
      if (!isErrno(error, "EEXIST", "ENOTEMPTY") || attempt === FINISH_ATTEMPTS) throw error
      // It is just being finished, or removed, by another.
      Bun.sleepSync(10)
    }
  }
  // The same lock, now shared.
  if (tryLockShared(layer.fd) && exists(layerRoot(path))) return layerRoot(path)
  throw new ToyboxError(`the layer ${digest} was removed as soon as it was there`, { hint: "try again" })
}

/** What is known of a layer; null where there is none. */
export const layerFacts = (paths: Paths, digest: string): LayerFacts | null => readFacts(layerPath(paths, digest))

/** The digests of all layers. */
export const listLayers = (paths: Paths): string[] =>
  listDir(`${paths.layers}/sha256`)
    .map((name) => `sha256:${name}`)
    .filter((digest) => DIGEST.test(digest))

/** Removes a layer; false where a container stands on it. `inUse` is asked, and again when no container can start on it any more. */
export function removeLayer(paths: Paths, digest: string, inUse: () => boolean): boolean {
  const path = layerPath(paths, digest)
  const fd = openDirectory(path)
  if (fd === null) return true
  try {
    // Without the lock first: to who is about to run on it the layer is gone while another has that.
    if (inUse() || !tryLock(fd)) return false
    if (!exists(path)) return true
    if (inUse()) return false
    mkdirAll(unfinishedLayers(paths), 0o700)
    const trash = `${unfinishedLayers(paths)}/${process.pid}.${digest.slice(7)}`
    rename(path, trash)
    removeTree(trash)
    return true
  } finally {
    close(fd)
  }
}

/** Removes what a killed toybox was unpacking or removing. Costs one open where there is nothing. */
export function removeAbandonedLayers(paths: Paths): void {
  for (const name of listDir(unfinishedLayers(paths))) {
    const path = `${unfinishedLayers(paths)}/${name}`
    const fd = openDirectory(path)
    if (fd === null) continue
    try {
      if (tryLock(fd)) removeTree(path)
    } finally {
      close(fd)
    }
  }
}
