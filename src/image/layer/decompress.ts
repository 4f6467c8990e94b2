/**
 * Compressed streams, known by their first bytes. Decompression runs in the thread pool of node:zlib, beside what consumes
 * it. Several gzip members or zstd frames are one stream, as for gzip(1) and zstd(1); NULs after a gzip stream are padding.
 */
import { ToyboxError } from "../../errors.ts"
import { BadBytes } from "../digest.ts"
import { StreamError } from "./errors.ts"
import { createFrameWalker, type FrameWalker } from "./zstd-frames.ts"

// Measured: from here on larger pieces are not faster, and take more memory.
const OUTPUT_CHUNK = 1024 * 1024
// What an error can be told of: bytes of the input are given in pieces of this size.
const INPUT_CHUNK = 128 * 1024

/** Formats by their magic numbers, in hexadecimal: file(1). */
const MAGICS = [
  { format: "gzip", magic: /^1f8b/ },
  // Or a skippable frame.
  { format: "zstd", magic: /^(?:28b52ffd|5.2a4d18)/ },
  { format: "xz", magic: /^fd377a585a00/ },
  { format: "bzip2", magic: /^425a683[1-9]/ },
  { format: "lzip", magic: /^4c5a4950/ },
  { format: "lz4", magic: /^04224d18/ },
  { format: "zip", magic: /^504b0304/ },
] as const

type Format = (typeof MAGICS)[number]["format"] | "plain"

const LONGEST_MAGIC = 6

function formatOf(bytes: Uint8Array): Format {
  const start = Buffer.from(bytes.subarray(0, LONGEST_MAGIC)).toString("hex")
  return MAGICS.find(({ magic }) => magic.test(start))?.format ?? "plain"
}

/** Whether bytes are the beginning of something compressed, in whatever form. */
export const isCompressed = (bytes: Uint8Array): boolean => formatOf(bytes) !== "plain"

/** The first bytes, enough to know a format by, and all the rest. */
async function begin(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let start = new Uint8Array(0)
  while (start.length < LONGEST_MAGIC) {
    const { done, value } = await iterator.next()
    if (done) break
    start = start.length === 0 ? (value as Uint8Array<ArrayBuffer>) : Buffer.concat([start, value])
  }
  return start
}

async function* resumed(start: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (start.length > 0) yield start
  for (;;) {
    const { done, value } = await iterator.next()
    if (done) return
    yield value
  }
}

/**
 * gzip, zstd or plain, by content. Throws ToyboxError, with `name` for the file or address, for what is truncated, corrupt
 * or compressed otherwise, and what the source throws.
 */
export async function* decompress(source: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  try {
    const start = await begin(iterator)
    const format = formatOf(start)
    const bytes = resumed(start, iterator)
    if (format === "plain") yield* bytes
    else if (format === "gzip" || format === "zstd") yield* inflate(bytes, format)
    else
      throw new ToyboxError(`${name} is compressed with ${format}; gzip, zstd and no compression are known`, {
        hint: format === "zip" ? undefined : `decompress it first: ${format} -dc`,
      })
  } catch (error) {
    throw error instanceof StreamError ? new BadBytes(`${name} ${error.message}`) : error
  } finally {
    // Not awaited: a source that waits for its network would hold up the error.
    iterator.return?.()?.catch(() => {})
  }
}

type Zlib = import("node:zlib").Gunzip | import("node:zlib").ZstdDecompress

/** Waits until a stream takes more, or never will. */
const roomIn = (stream: Zlib) =>
  new Promise<void>((resolve) => {
    const done = () => {
      stream.off("drain", done)
      stream.off("close", done)
      resolve()
    }
    stream.on("drain", done)
    stream.on("close", done)
  })

/** Feeds a decompressor; failures end up in it. */
async function feed(stream: Zlib, source: AsyncIterable<Uint8Array>, given: { bytes: number }, frames?: FrameWalker) {
  try {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length; at += INPUT_CHUNK) {
        const part = chunk.subarray(at, at + INPUT_CHUNK)
        frames?.push(part)
        given.bytes += part.length
        if (!stream.write(part)) await roomIn(stream)
        if (stream.destroyed) return
      }
    }
    frames?.finish()
    stream.end()
  } catch (error) {
    stream.destroy(error as Error)
  }
}

/** What a decompressor's error means. */
function explained(error: unknown, format: Format, given: number): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : ""
  if (code === "Z_BUF_ERROR") return new StreamError(`is truncated: its gzip stream goes on after byte ${given}`)
  if (!code.startsWith("Z_") && !code.startsWith("ZSTD_")) return error
  return new StreamError(`is corrupt: its ${format} stream, before byte ${given}: ${(error as Error).message}`)
}

async function* inflate(source: AsyncIterable<Uint8Array>, format: "gzip" | "zstd"): AsyncGenerator<Uint8Array> {
  const { createGunzip, createZstdDecompress } = await import("node:zlib")
  const stream: Zlib = (format === "gzip" ? createGunzip : createZstdDecompress)({ chunkSize: OUTPUT_CHUNK })
  const given = { bytes: 0 }
  const fed = feed(stream, source, given, format === "zstd" ? createFrameWalker() : undefined)
  try {
    for await (const chunk of stream) yield chunk as Uint8Array
    await fed
  } catch (error) {
    throw explained(error, format, given.bytes)
  } finally {
    stream.destroy()
  }
}
