/** An image in a directory, or in an archive of it: image-layout.md of the OCI image specification. */
import { O_NONBLOCK, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, open, readAll, stat } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import { BadBytes, digestOf, matches, splitDigest } from "../digest.ts"
import { readFile } from "../layer/read-file.ts"
import { type Descriptor, MAX_CONFIG, MAX_MANIFEST, readManifest } from "../manifest.ts"
import { OCI_INDEX } from "../media-types.ts"
import type { RawManifest } from "../registry/manifests.ts"
import type { ImageFiles } from "../saved/members.ts"
import type { ImageOrigin } from "./remote.ts"

export const REF_NAME = "org.opencontainers.image.ref.name"

function openIn(dir: string, path: string): number | null {
  try {
    // Not to wait for who writes to a FIFO.
    return open(`${dir}/${path}`, O_RDONLY | O_NONBLOCK)
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return null
    throw error
  }
}

/** The files of a layout that is a directory. */
export const directoryFiles = (dir: string): ImageFiles => ({
  name: dir,
  size: (path) => stat(`${dir}/${path}`)?.size ?? null,
  read(path, limit) {
    const fd = openIn(dir, path)
    if (fd === null) return null
    try {
      const bytes = readAll(fd, limit + 1)
      if (bytes.length > limit) throw new ToyboxError(`${dir}: ${path} has more than ${limit} bytes`)
      return bytes
    } finally {
      close(fd)
    }
  },
  async *stream(path) {
    const fd = openIn(dir, path)
    if (fd === null) throw new ToyboxError(`${dir} has no ${path}`, { hint: "the layout is not whole" })
    try {
      yield* readFile(fd)
    } finally {
      close(fd)
    }
  },
})

const blobPath = (digest: string) => {
  const { algorithm, hex } = splitDigest(digest)
  return `blobs/${algorithm}/${hex}`
}

/** A small blob. Throws ToyboxError where it is missing, or not what its digest says. */
export function readLayoutBlob(files: ImageFiles, digest: string, limit: number): Uint8Array {
  const bytes = files.read(blobPath(digest), limit)
  if (bytes === null) throw new ToyboxError(`${files.name} has no blob ${digest}`, { hint: "the layout is not whole" })
  if (!matches(bytes, digest)) throw new BadBytes(`${files.name}: the blob ${digest} is not what its digest says`)
  return bytes
}

/** Throws only when all has been read and is wrong; the last part is held back until it is known to be right. */
async function* streamBlob(files: ImageFiles, { digest, size, data }: Descriptor): AsyncGenerator<Uint8Array> {
  if (data !== undefined) {
    yield data
    return
  }
  const { algorithm } = splitDigest(digest)
  const hasher = new Bun.CryptoHasher(algorithm)
  let position = 0
  let held: Uint8Array | null = null
  for await (const part of files.stream(blobPath(digest))) {
    hasher.update(part)
    position += part.length
    if (held) yield held
    held = part
  }
  if (position !== size || `${algorithm}:${hasher.digest("hex")}` !== digest)
    throw new BadBytes(`${files.name}: the blob ${digest} is not what its digest and size say`)
  if (held) yield held
}

/** Whether there is a layout. */
export const isLayout = (files: ImageFiles): boolean =>
  files.size("oci-layout") !== null && files.size("index.json") !== null

function readIndex(files: ImageFiles): Uint8Array {
  const bytes = isLayout(files) ? files.read("index.json", MAX_MANIFEST) : null
  if (bytes === null)
    throw new ToyboxError(`${files.name} is no OCI image layout`, {
      hint: "it must hold oci-layout, index.json and blobs",
    })
  return bytes
}

/** What index.json leads to. Throws ToyboxError where there is no layout. */
export function layoutContent(files: ImageFiles): readonly Descriptor[] {
  const index = readManifest(readIndex(files), `index.json of ${files.name}`, OCI_INDEX)
  return index.kind === "index" ? index.manifests : []
}

/** What a layout has under a tag, or, without one, all that it has: some write the platforms of one image side by side. */
function chosen(files: ImageFiles, tag: string | undefined): Descriptor {
  const all = layoutContent(files)
  const tagged = all.filter(({ annotations }) => annotations?.[REF_NAME] !== undefined)
  const tags = tagged.flatMap(({ annotations }) => annotations?.[REF_NAME] ?? [])
  // Skopeo and podman leave there, without a tag, what had the tag before.
  const untagged = tagged.length === 1 ? tagged : all
  const found = tag === undefined ? untagged : tagged.filter(({ annotations }) => annotations?.[REF_NAME] === tag)
  const [only, ...more] = found
  if (only !== undefined && (more.length === 0 || tag !== undefined)) return only
  if (only !== undefined && tags.length === 0 && found.every(({ platform }) => platform !== undefined)) {
    const data = readIndex(files)
    return { mediaType: OCI_INDEX, digest: digestOf(data), size: data.length, data }
  }
  const what = tag === undefined ? (only ? "several images" : "no image") : `no image "${tag}"`
  throw new ToyboxError(`${files.name} has ${what}`, {
    hint: tags.length > 0 ? `it has ${tags.join(", ")}: give one after a colon` : undefined,
  })
}

/** The image of a layout that a descriptor of it leads to. */
export function layoutImage(files: ImageFiles, choose: () => Descriptor): ImageOrigin {
  const raw = ({ digest, mediaType, data }: Descriptor): RawManifest => ({
    bytes: data ?? readLayoutBlob(files, digest, MAX_MANIFEST),
    digest,
    mediaType,
  })
  return {
    digest: async () => choose().digest,
    manifest: async (digest) =>
      digest === undefined
        ? raw(choose())
        : { bytes: readLayoutBlob(files, digest, MAX_MANIFEST), digest, mediaType: undefined },
    blob: async (descriptor) => descriptor.data ?? readLayoutBlob(files, descriptor.digest, MAX_CONFIG),
    stream: (descriptor) => streamBlob(files, descriptor),
  }
}

/** The image of a layout that has a tag, or is the only one. */
export const taggedImage = (files: ImageFiles, tag: string | undefined): ImageOrigin =>
  layoutImage(files, () => chosen(files, tag))
