/** An archive on its way: unpacked and verified in one pass, then put into the cache. */
import { exists } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { abandonLayer, beginLayer, finishLayer } from "./cache/layers.ts"
import { removeSource, type SourceRecord, writeSource } from "./cache/sources.ts"
import { unpackLayer } from "./layer/unpack.ts"
import type { Progress } from "./progress.ts"
import type { ArchiveSource } from "./source.ts"

export interface ArchiveOptions {
  quiet: boolean
  /** Gives up, and removes what there is. */
  signal: AbortSignal
}

/** The bytes of an archive on their way, with what is known of them in the end. */
export interface Incoming {
  bytes: AsyncIterable<Uint8Array>
  size: number | null
  /** SHA-256 of all bytes, where it is known without counting it here. */
  sha256?: () => string
  /** What is written down about the source, when all has been read. */
  record: () => { identity?: string; etag?: string | null; lastModified?: string | null }
}

/** Everything that a part of this needs to know. */
export interface Job extends ArchiveOptions {
  source: ArchiveSource
  paths: Paths
  progress: Progress
}

/** Counts, hashes and lets through. */
async function* passing(
  incoming: Incoming,
  job: Job,
  hasher: Bun.CryptoHasher | null,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const part of incoming.bytes) {
    job.signal.throwIfAborted()
    hasher?.update(part)
    count(part.length)
    job.progress.add(part.length)
    yield part
  }
}

function checksumError(source: ArchiveSource, actual: string): ToyboxError {
  return new ToyboxError(`${source.name}: its checksum is ${actual}, not ${source.checksum?.text}`, {
    hint:
      source.kind === "file"
        ? "it is damaged, or another file than was meant"
        : "what the address gives has been changed, or another checksum was meant",
  })
}

/** Archives of images have none of a root file system's directories. */
function refuseImages({ kind, name }: ArchiveSource, root: string): void {
  const has = (path: string) => exists(`${root}/${path}`)
  const isSaved = has("manifest.json") || (has("oci-layout") && has("index.json"))
  if (!isSaved || ["bin", "etc", "usr"].some(has)) return
  const how = has("manifest.json") ? "docker-archive" : "oci-archive"
  throw new ToyboxError(`${name} is an archive of images, and no root file system`, {
    hint:
      kind === "file" ? `toybox load -i ${name}, or toybox run ${how}:${name}` : "fetch it, then toybox load -i FILE",
  })
}

/** Unpacks what comes, and puts it into the cache if it is what it should be. Returns the root. */
export async function unpackIncoming(job: Job, incoming: Incoming): Promise<string> {
  const { source, paths, progress } = job
  const { checksum } = source
  const known = incoming.sha256
  const counted = checksum !== null && (checksum.algorithm !== "sha256" || !known)
  const hasher = counted ? new Bun.CryptoHasher(checksum.algorithm) : null
  const layer = beginLayer(paths)
  const written: SourceRecord[] = []
  try {
    let size = 0
    progress.restart(incoming.size)
    const bytes = passing(incoming, job, hasher, (count) => (size += count))
    const unpacked = await unpackLayer(bytes, { name: source.name, target: `${layer.path}/root`, whiteouts: "overlay" })
    refuseImages(source, `${layer.path}/root`)
    if (incoming.size !== null && size !== incoming.size)
      throw new ToyboxError(`${source.name}: ${size} of ${incoming.size} bytes were read`, { hint: "try again" })
    const digests = [
      ...(known ? [`sha256:${known()}`] : []),
      ...(hasher ? [`${checksum?.algorithm}:${hasher.digest("hex")}`] : []),
    ]
    if (checksum !== null && !digests.includes(checksum.text))
      throw checksumError(source, digests.find((digest) => digest.startsWith(checksum.algorithm)) ?? "not known")
    const created = new Date().toISOString()
    const facts = { diffId: unpacked.diffId, digests, size, created }
    const records: SourceRecord[] = [
      ...digests.map((name): SourceRecord => ({ kind: "digest", name, ...facts })),
      { kind: source.kind, name: source.name, ...facts, ...incoming.record() },
    ]
    job.signal.throwIfAborted()
    // First, because a record without its layer is as good as none, and a layer without a record is lost space.
    for (const record of records) {
      writeSource(paths, record)
      written.push(record)
    }
    // What was fetched may be hard to get again.
    const settled = source.kind === "file" ? "until boot" : "to be"
    return finishLayer(
      paths,
      layer,
      unpacked.diffId,
      { bytes: unpacked.bytes, entries: unpacked.entries, created },
      settled,
    )
  } catch (error) {
    for (const { kind, name } of written) removeSource(paths, kind, name)
    abandonLayer(layer)
    throw error
  }
}
