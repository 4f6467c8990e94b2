/** Compression of layers: gzip, which every registry and engine takes. */

const LEVEL = 6
const CHUNK = 256 * 1024

export interface Gzipped {
  stream: AsyncGenerator<Uint8Array>
  /** When the stream has ended. */
  result(): { digest: string; size: number }
}

/** Compresses a stream, in the thread pool of node:zlib. The same bytes always give the same. Throws what the source throws. */
export function gzipped(source: AsyncIterable<Uint8Array>): Gzipped {
  const hash = new Bun.CryptoHasher("sha256")
  let size = 0
  let digest = ""
  async function* stream() {
    const { createGzip } = await import("node:zlib")
    const { Readable } = await import("node:stream")
    const gzip = createGzip({ level: LEVEL, chunkSize: CHUNK })
    const from = Readable.from(source, { objectMode: false })
    // pipe() passes no errors on.
    from.on("error", (error) => gzip.destroy(error))
    from.pipe(gzip)
    try {
      for await (const part of gzip) {
        const bytes = part as Uint8Array
        hash.update(bytes)
        size += bytes.length
        yield bytes
      }
      digest = `sha256:${hash.digest("hex")}`
    } finally {
      from.destroy()
      gzip.destroy()
    }
  }
  return { stream: stream(), result: () => ({ digest, size }) }
}
