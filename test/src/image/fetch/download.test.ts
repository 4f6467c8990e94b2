import { describe, expect, test } from "bun:test"
import { errorChain } from "../../../../src/errors.ts"
import { type DownloadOptions, download } from "../../../../src/image/fetch/download.ts"
import { ChangedError } from "../../../../src/image/fetch/failure.ts"
import { DEFAULT_PATIENCE } from "../../../../src/image/fetch/retry.ts"
import { random } from "../../cgroup/random.ts"
import { nastyServer, ranged, type Script } from "./server.ts"

const PATIENCE = { ...DEFAULT_PATIENCE, answer: 300, idle: 300, pause: 4, longestPause: 5000 }
const FILE = new Uint8Array(300_000).map((_, i) => (i * 7 + (i >> 8)) & 255)
const OTHER = FILE.map((byte) => byte ^ 1)
const ETAG = { etag: '"one"' }

const sha256 = (bytes: Uint8Array) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex")

async function read(url: URL, options: Partial<DownloadOptions> = {}) {
  const notices: string[] = []
  const found = await download(url, {
    certificates: null,
    patience: PATIENCE,
    notice: (text) => notices.push(text),
    ...options,
  })
  if (found === null) return { bytes: null, notices, found }
  const parts: Uint8Array[] = []
  for await (const part of found.bytes) parts.push(part)
  return { bytes: Buffer.concat(parts), notices, found }
}

/** The error of a download in one line. */
async function fails(script: Script, options: Partial<DownloadOptions> = {}) {
  const { url, asked } = nastyServer(script)
  try {
    await read(url, options)
  } catch (error) {
    return { error, text: errorChain(error), asked }
  }
  throw new Error("the download did not fail")
}

describe("a whole file", () => {
  test("comes with its size, digest and validators, asked for as it is", async () => {
    const { url, asked } = nastyServer(() => ({
      body: FILE,
      headers: { etag: 'W/"a"', "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT" },
    }))
    const { bytes, found, notices } = await read(url)
    expect(bytes?.equals(FILE)).toBe(true)
    expect(found?.size).toBe(FILE.length)
    expect(found?.validators()).toEqual({ etag: 'W/"a"', lastModified: "Thu, 01 Jan 2026 00:00:00 GMT" })
    expect(found?.sha256()).toBe(sha256(FILE))
    expect(notices).toEqual([])
    expect(asked[0]?.headers).toMatchObject({ "accept-encoding": "identity", host: url.host })
    expect(asked[0]?.headers["user-agent"]).toMatch(/^toybox\/\d/)
  })

  test("stays as it is under a Content-Encoding label", async () => {
    const packed = Bun.gzipSync(FILE)
    const { url } = nastyServer(() => ({ body: packed, headers: { "content-encoding": "gzip" } }))
    expect((await read(url)).bytes?.equals(packed)).toBe(true)
  })

  test("may be slow as long as it is alive", async () => {
    const { url } = nastyServer(() => ({ body: FILE.subarray(0, 1000), slowly: [60, 100] }))
    const start = performance.now()
    expect((await read(url)).bytes?.length).toBe(1000)
    expect(performance.now() - start).toBeGreaterThan(PATIENCE.idle * 1.5)
  })

  test("is not sent again where the validators know it", async () => {
    const { url, asked } = nastyServer(({ headers }) =>
      headers["if-none-match"] === '"one"' ? { status: 304, headers: { "content-length": "" } } : { body: FILE },
    )
    expect((await read(url, { known: { etag: '"one"', lastModified: "x" } })).found).toBeNull()
    expect(asked[0]?.headers).toMatchObject({ "if-none-match": '"one"', "if-modified-since": "x" })
    expect((await read(url, { known: { etag: '"two"', lastModified: null } })).bytes?.equals(FILE)).toBe(true)
  })
})

describe("a broken transfer", () => {
  test.each(["cut", "reset", "stall"] as const)("%s is resumed where it ended", async (ending) => {
    const { url, asked } = nastyServer((request, count) => ({
      ...ranged(request, FILE, ETAG),
      ...(count < 3 ? { sent: 100_000, ending } : {}),
    }))
    const { bytes, notices, found } = await read(url)
    expect(bytes?.equals(FILE)).toBe(true)
    expect(found?.sha256()).toBe(sha256(FILE))
    expect(asked.map(({ headers }) => headers.range)).toEqual([undefined, "bytes=100000-", "bytes=200000-"])
    expect(asked[1]?.headers["if-range"]).toBe('"one"')
    expect(notices).toHaveLength(2)
  })

  test("is begun anew, and compared, where there are no ranges or nothing tells the state of the file", async () => {
    for (const headers of [{}, ETAG, { etag: 'W/"weak"' }]) {
      const { url, asked } = nastyServer((_, count) => ({
        body: FILE,
        headers,
        ...(count === 1 ? { sent: 123_456, ending: "cut" } : {}),
      }))
      const { bytes, found } = await read(url)
      expect(bytes?.equals(FILE)).toBe(true)
      expect(found?.sha256()).toBe(sha256(FILE))
      expect(asked[1]?.headers.range).toBe("etag" in headers && headers.etag === '"one"' ? "bytes=123456-" : undefined)
    }
  })

  test.each<[string, Script]>([
    [
      "another file of the same length without ranges",
      (_, n) => ({ body: n === 1 ? FILE : OTHER, ...(n === 1 ? { sent: 9, ending: "cut" } : {}) }),
    ],
    [
      "a longer file",
      (_, n) => ({
        body: n === 1 ? FILE : Buffer.concat([FILE, FILE]),
        ...(n === 1 ? { sent: 9, ending: "cut" } : {}),
      }),
    ],
    ["a shorter file", (_, n) => (n === 1 ? { body: FILE, headers: ETAG, sent: 9, ending: "cut" } : { status: 416 })],
    [
      "a range of the new file in spite of If-Range",
      (_, n) =>
        n === 1
          ? { body: FILE, headers: ETAG, sent: 9, ending: "cut" }
          : {
              status: 206,
              body: OTHER.subarray(9),
              headers: { etag: '"two"', "content-range": `bytes 9-${FILE.length - 1}/${FILE.length}` },
            },
    ],
    [
      "the new file whole, as If-Range has it",
      (request, n) =>
        n === 1 ? { body: FILE, headers: ETAG, sent: 9, ending: "cut" } : ranged(request, OTHER, { etag: '"two"' }),
    ],
  ])("of a file that has changed meanwhile is never mixed: %s", async (_, script) => {
    const { error } = await fails(script)
    expect(error).toBeInstanceOf(ChangedError)
  })

  test("that began anew has the validators of what was read in the end", async () => {
    const { url } = nastyServer((request, n) => ({
      ...ranged(request, FILE, n === 1 ? ETAG : { etag: '"mirror"' }),
      ...(n === 1 ? { sent: 5000, ending: "cut" } : {}),
    }))
    const { bytes, found } = await read(url)
    expect(bytes?.equals(FILE)).toBe(true)
    expect(found?.validators().etag).toBe('"mirror"')
  })

  test("is not glued to another part than was asked for", async () => {
    const { text } = await fails((_, n) =>
      n === 1
        ? { body: FILE, headers: ETAG, sent: 50, ending: "cut" }
        : {
            status: 206,
            body: FILE.subarray(40),
            headers: { ...ETAG, "content-range": `bytes 40-${FILE.length - 1}/${FILE.length}` },
          },
    )
    expect(text).toContain("another part of the file")
  })

  test("ends after so many tries without progress", async () => {
    const { text, asked } = await fails((request, n) => ({
      ...ranged(request, FILE, ETAG),
      sent: n === 1 ? 10 : 0,
      ending: "cut",
    }))
    expect(text).toMatch(/^127\.0\.0\.1:\d+: the connection broke/)
    expect(asked).toHaveLength(PATIENCE.attempts)
  })

  test("at any byte, any number of times, gives the same file", async () => {
    const { int } = random(Date.now() % 1_000_000)
    for (let round = 0; round < 8; round++) {
      const { url } = nastyServer((request, n) => {
        const whole = ranged(request, FILE, round % 2 ? ETAG : {})
        return n > 6 ? whole : { ...whole, sent: int(1, FILE.length), ending: int(0, 1) ? "cut" : "reset" }
      })
      const { bytes } = await read(url, { patience: { ...PATIENCE, attempts: 9 } })
      expect(bytes?.equals(FILE)).toBe(true)
    }
  })

  test("is closed when its reader gives up", async () => {
    const { url } = nastyServer(() => ({ body: FILE, sent: 1000, ending: "stall" }))
    const found = await download(url, { certificates: null, patience: PATIENCE })
    for await (const part of found?.bytes ?? []) {
      expect(part.length).toBe(1000)
      break
    }
    const abort = new AbortController()
    setTimeout(() => abort.abort(new Error("interrupted")), 30)
    expect(read(url, { signal: abort.signal, patience: DEFAULT_PATIENCE })).rejects.toThrow("interrupted")
  })
})

describe("an answer that is none", () => {
  test("is waited for so long, so many times", async () => {
    const { text, asked } = await fails(() => "silence", { patience: { ...PATIENCE, answer: 50, attempts: 3 } })
    expect(text).toMatch(/^127\.0\.0\.1:\d+ has not answered for 0\.1 s$/)
    expect(asked).toHaveLength(3)
  })

  test("of a busy server is asked for again", async () => {
    for (const status of [408, 429, 500, 502, 503, 504]) {
      const { url, asked } = nastyServer((_, n) => (n < 3 ? { status } : { body: FILE }))
      expect((await read(url)).bytes?.equals(FILE)).toBe(true)
      expect(asked).toHaveLength(3)
    }
  })

  test("with Retry-After is waited for that long, unless it is too long", async () => {
    const { url } = nastyServer((_, n) => (n === 1 ? { status: 429, headers: { "retry-after": 1 } } : { body: "x" }))
    const start = performance.now()
    const { notices } = await read(url)
    expect(performance.now() - start).toBeGreaterThan(990)
    expect(notices[0]).toContain("status 429")
    expect(notices[0]).toContain("trying again in 1 s")
    const { text, asked } = await fails(() => ({ status: 503, headers: { "retry-after": 3600 } }))
    expect(text).toContain("asks to come again in 3600 s")
    expect(asked).toHaveLength(1)
  })

  test.each([[404], [403], [401], [410], [206], [304], [204]])("of status %i is final", async (status) => {
    const { text, asked } = await fails(() => ({ status }))
    expect(text).toContain(`answers with status ${status} for /file`)
    expect(asked).toHaveLength(1)
  })

  test("is told where nobody listens", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } })
    const url = new URL(`http://127.0.0.1:${listener.port}/`)
    listener.stop(true)
    expect(read(url, { patience: { ...PATIENCE, attempts: 2 } })).rejects.toThrow(
      "the connection is refused (ECONNREFUSED)",
    )
    expect(read(new URL("http://nowhere.invalid/"), { patience: { ...PATIENCE, attempts: 1 } })).rejects.toThrow(
      "the host is not known",
    )
  })
})
