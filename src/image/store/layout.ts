/** An image in a directory: image-layout.md of the OCI image specification. */
import { O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, open, read, readAll, tryReadText } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import { matches, splitDigest } from "../digest.ts"
import { type Descriptor, MAX_CONFIG, MAX_MANIFEST, readManifest } from "../manifest.ts"
import { OCI_INDEX } from "../media-types.ts"
import type { RawManifest } from "../registry/manifests.ts"
import type { ImageOrigin } from "./remote.ts"

const REF_NAME = "org.opencontainers.image.ref.name"

function openBlob(dir: string, digest: string): number {
  const { algorithm, hex } = splitDigest(digest)
  try {
    return open(`${dir}/blobs/${algorithm}/${hex}`, O_RDONLY)
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error
    throw new ToyboxError(`${dir} has no blob ${digest}`, { hint: "the layout is not whole" })
  }
}

function readBlob(dir: string, digest: string, limit: number): Uint8Array {
  const fd = openBlob(dir, digest)
  try {
    const bytes = readAll(fd, limit + 1)
    if (bytes.length > limit) throw new ToyboxError(`${dir}: the blob ${digest} has more than ${limit} bytes`)
    if (!matches(bytes, digest)) throw new ToyboxError(`${dir}: the blob ${digest} is not what its digest says`)
    return bytes
  } finally {
    close(fd)
  }
}

/** Throws only when all has been read and is wrong; the last part is held back until it is known to be right. */
async function* streamBlob(dir: string, { digest, size }: Descriptor): AsyncGenerator<Uint8Array> {
  const { algorithm } = splitDigest(digest)
  const hasher = new Bun.CryptoHasher(algorithm)
  const fd = openBlob(dir, digest)
  let position = 0
  let held: Uint8Array | null = null
  try {
    for (let part = read(fd); part.length > 0; part = read(fd)) {
      hasher.update(part)
      position += part.length
      if (held) yield held
      held = part
    }
  } finally {
    close(fd)
  }
  if (position !== size || `${algorithm}:${hasher.digest("hex")}` !== digest)
    throw new ToyboxError(`${dir}: the blob ${digest} is not what its digest and size say`)
  if (held) yield held
}

/** What the directory has under a tag, or, without one, all that it has. */
function chosen(dir: string, tag: string | undefined): RawManifest {
  const text = tryReadText(`${dir}/index.json`)
  if (text === null || tryReadText(`${dir}/oci-layout`) === null)
    throw new ToyboxError(`${dir} is no OCI image layout`, { hint: "it must hold oci-layout, index.json and blobs" })
  const index = readManifest(new TextEncoder().encode(text), `${dir}/index.json`, OCI_INDEX)
  const all = index.kind === "index" ? index.manifests : []
  const tags = all.flatMap(({ annotations }) => annotations?.[REF_NAME] ?? [])
  const found = tag === undefined ? all : all.filter(({ annotations }) => annotations?.[REF_NAME] === tag)
  const [only] = found
  if (only === undefined || (tags.length > 1 && tag === undefined)) {
    const what = tag === undefined ? (only ? "several images" : "no image") : `no image "${tag}"`
    throw new ToyboxError(`${dir} has ${what}`, {
      hint: tags.length > 0 ? `it has ${tags.join(", ")}: oci:${dir}:TAG` : undefined,
    })
  }
  const bytes = readBlob(dir, only.digest, MAX_MANIFEST)
  return { bytes, digest: only.digest, mediaType: only.mediaType }
}

/** An image of a layout. */
export function layoutImage(dir: string, tag: string | undefined): ImageOrigin {
  return {
    digest: async () => chosen(dir, tag).digest,
    manifest: async (digest) =>
      digest === undefined
        ? chosen(dir, tag)
        : { bytes: readBlob(dir, digest, MAX_MANIFEST), digest, mediaType: undefined },
    blob: async (descriptor) => descriptor.data ?? readBlob(dir, descriptor.digest, MAX_CONFIG),
    stream: (descriptor) => streamBlob(dir, descriptor),
  }
}
