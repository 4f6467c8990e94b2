/**
 * The image store: images/refs (one small file for each name), images/blobs (manifests and configs by digest), and
 * images/layers (unpacked, by chain id, as cache/layers.ts keeps them). A name is written last, so that what it leads to is
 * there; what no name leads to is nobody's, and is removed or taken up again by a later command.
 */
import { O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { listDir, readDir } from "../../../ffi/directory.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, mkdirAll, open, readAll, rename, unlink } from "../../../ffi/fs.ts"
import type { Paths } from "../../paths.ts"
import {
  type FileLock,
  parseJson,
  readJson,
  releaseLock,
  removeHalfWritten,
  tryLockFile,
  writeDurably,
} from "../../state-file.ts"
import { matches, splitDigest } from "../digest.ts"
import { type Reference, repositoryName } from "../reference.ts"

/** refs/HEX.json, named by the SHA-256 of its name. */
export interface ImageRecord {
  /** The whole reference: docker.io/library/alpine:latest. The id, where it has no name. */
  name: string
  /** Digest of the config: the image's id. */
  id: string
  /** Digest of the manifest of this platform. */
  manifest: string
  /** What the registry has under the name: the manifest's or its index's digest. */
  digest: string
  /** What registries know it by, where it was pulled from one or pushed to one: docker.io/library/alpine@sha256:… */
  repoDigests?: string[]
  /** os/architecture[/variant]. */
  platform: string
  /** Chain ids, the lowest layer first. */
  layers: string[]
  /** Bytes of the tar streams of the layers. */
  size: number
  /** Of the image, as its config tells it: ISO 8601. */
  created?: string
  /** The manifest was made here, of plain layers: no registry knows it. */
  made?: boolean
  /** Of the archive file that it came from: fileIdentity. */
  identity?: string
  /** When it was pulled or made, or was given this name: ISO 8601. */
  pulled: string
}

/** Whether an image goes by its id alone. */
export const isNameless = ({ name, id }: ImageRecord): boolean => name === id

/** The store's own places; its layers are kept apart from those of archives, whose cache people empty. */
export const storePaths = (paths: Paths): Paths => ({ ...paths, layers: `${paths.state}/images/layers` })

const hashed = (name: string) => new Bun.CryptoHasher("sha256").update(name).digest("hex")
const refPath = (paths: Paths, name: string) => `${paths.state}/images/refs/${hashed(name)}.json`

/** Where a blob is. Throws where the digest is none, for it comes from strangers. */
export function blobPath(paths: Paths, digest: string): string {
  const { algorithm, hex } = splitDigest(digest)
  return `${paths.state}/images/blobs/${algorithm}/${hex}`
}

/** The image of a name; null where there is none. */
export function readImage(paths: Paths, name: string): ImageRecord | null {
  const record = readJson<ImageRecord>(refPath(paths, name))
  return record?.name === name ? record : null
}

export function writeImage(paths: Paths, record: ImageRecord): void {
  writeDurably(refPath(paths, record.name), new TextEncoder().encode(JSON.stringify(record)))
}

/** Lets an image go by its id, unless it has other names than this one. */
export function keepNameless(paths: Paths, image: ImageRecord): void {
  const hasOther = listImages(paths).some(({ id, name }) => id === image.id && name !== image.name)
  if (!hasOther) writeImage(paths, { ...image, name: image.id })
}

/** Forgets a name; false where there was none. */
export const removeName = (paths: Paths, name: string): boolean => unlink(refPath(paths, name))

/** Every image by name, the one pulled last first. What a killed toybox was writing is removed. */
export function listImages(paths: Paths): ImageRecord[] {
  const directory = `${paths.state}/images/refs`
  const records: ImageRecord[] = []
  readDir(directory, ".json", (name, text) => {
    const record = text === null ? null : parseJson<ImageRecord>(text)
    if (record !== null) records.push(record)
    else if (text === null) removeHalfWritten(`${directory}/${name}`)
  })
  return records.sort((a, b) => (a.pulled < b.pulled ? 1 : -1))
}

/** The one that a registry knows by the digest of a whole reference. */
export function imageByDigest(images: readonly ImageRecord[], reference: Reference): ImageRecord | undefined {
  const wanted = `${repositoryName(reference)}@${reference.digest}`
  return images.find(({ repoDigests = [] }) => repoDigests.includes(wanted))
}

/** Whether a word can be an image's id, or the beginning of one. */
export const isImageId = (word: string): boolean => /^(sha256:)?[0-9a-f]{1,64}$/.test(word)

/** Those whose id is, or begins with, what is given. */
export function imagesById(images: readonly ImageRecord[], word: string): ImageRecord[] {
  const hex = word.replace(/^sha256:/, "")
  return isImageId(word) ? images.filter(({ id }) => id.slice(7).startsWith(hex)) : []
}

/** Keeps a manifest or a config; one that is damaged is replaced. */
export function writeBlob(paths: Paths, digest: string, bytes: Uint8Array): void {
  if (readBlobFile(paths, digest) === null) writeDurably(blobPath(paths, digest), bytes)
}

/** Keeps a layer's blob that lies in a workspace. */
export function moveBlob(paths: Paths, digest: string, from: string): void {
  const to = blobPath(paths, digest)
  // Each algorithm has a directory of its own.
  mkdirAll(to.slice(0, to.lastIndexOf("/")), 0o700)
  rename(from, to)
}

/** A manifest or config, verified; null where it is not there, or is damaged. */
export function readBlobFile(paths: Paths, digest: string): Uint8Array | null {
  let fd: number
  try {
    fd = open(blobPath(paths, digest), O_RDONLY)
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return null
    throw error
  }
  try {
    const bytes = readAll(fd)
    return matches(bytes, digest) ? bytes : null
  } finally {
    close(fd)
  }
}

/** Removes the blobs that `kept` does not have. */
export function removeBlobs(paths: Paths, kept: ReadonlySet<string>): void {
  const directory = `${paths.state}/images/blobs`
  for (const algorithm of listDir(directory)) {
    for (const hex of listDir(`${directory}/${algorithm}`)) {
      if (!kept.has(`${algorithm}:${hex}`)) unlink(`${directory}/${algorithm}/${hex}`)
    }
  }
}

/** Takes the right to do something without waiting; null where another toybox has it. */
export function tryLockStore(paths: Paths, what: string): FileLock | null {
  const directory = `${paths.state}/images/locks`
  mkdirAll(directory, 0o700)
  return tryLockFile(`${directory}/${hashed(what)}`)
}

/** What names lead to is written, and looked for to be removed, under one lock. */
const CONTENT = "content"
const WAIT = 20

/** Does something while nobody else writes or removes names and blobs. */
export async function withContent<T>(paths: Paths, action: () => T): Promise<T> {
  for (;;) {
    const lock = tryLockStore(paths, CONTENT)
    if (lock === null) {
      await Bun.sleep(WAIT)
      continue
    }
    try {
      return action()
    } finally {
      releaseLock(lock)
    }
  }
}
