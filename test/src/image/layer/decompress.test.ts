import { describe, expect, test } from "bun:test"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { decompress } from "../../../../src/image/layer/decompress.ts"
import { createFrameWalker } from "../../../../src/image/layer/zstd-frames.ts"
import { chunked } from "../../../helpers/tar.ts"
import { random } from "../../cgroup/random.ts"

async function all(bytes: Uint8Array, size = 65536): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of decompress(chunked(bytes, size), "a file")) parts.push(part.slice())
  return Buffer.concat(parts)
}

const zstd = (bytes: Uint8Array, ...options: string[]): Buffer => {
  const { stdout, exitCode, stderr } = Bun.spawnSync(["zstd", "-q", "-c", ...options], { stdin: bytes })
  if (exitCode !== 0) throw new Error(String(stderr))
  return stdout
}

/** Partly compressible. */
function sample(size: number): Buffer {
  const { int } = random(5)
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; at++) bytes[at] = at % 5000 < 2500 ? int(0, 255) : at >> 8
  return bytes
}

const CONTENT = sample(700_000)
const SKIPPABLE = Buffer.from("5a2a4d180400000001020304", "hex")

describe("what comes out is what went in", () => {
  const forms: readonly (readonly [string, () => Buffer])[] = [
    ["plain", () => CONTENT],
    ["gzip", () => gzipSync(CONTENT)],
    [
      "gzip, three members",
      () => Buffer.concat([0, 1, 2].map((i) => gzipSync(CONTENT.subarray(i * 250_000, (i + 1) * 250_000)))),
    ],
    ["gzip, an empty member", () => Buffer.concat([gzipSync(""), gzipSync(CONTENT)])],
    ["gzip, padded with NULs", () => Buffer.concat([gzipSync(CONTENT), Buffer.alloc(300_000)])],
    ["gzip of level 0", () => gzipSync(CONTENT, { level: 0 })],
    ["zstd", () => zstdCompressSync(CONTENT)],
    ["zstd with checksum", () => zstd(CONTENT, "--check")],
    ["zstd without, level 19", () => zstd(CONTENT, "--no-check", "-19")],
    ["zstd, 128 MiB window", () => zstd(CONTENT, "--ultra", "--long=27")],
    ["zstd of a known size", () => zstd(CONTENT, `--stream-size=${CONTENT.length}`)],
    [
      "zstd, frames and skippable ones",
      () =>
        Buffer.concat([
          SKIPPABLE,
          zstd(CONTENT.subarray(0, 300_000)),
          SKIPPABLE,
          zstd(Buffer.alloc(0)),
          zstd(CONTENT.subarray(300_000)),
          SKIPPABLE,
        ]),
    ],
  ]

  test.each(forms)("%s", async (_, make) => {
    const bytes = make()
    for (const size of [1 << 20, 4093]) expect((await all(bytes, size)).equals(CONTENT)).toBe(true)
  })

  test("byte by byte", async () => {
    for (const make of [gzipSync, zstdCompressSync]) {
      expect((await all(make(CONTENT.subarray(0, 5000)), 1)).equals(CONTENT.subarray(0, 5000))).toBe(true)
    }
  })

  test.each(["", "x", "\x1f", "12345"])("what is too short for a magic number is plain: %j", async (text) => {
    expect((await all(Buffer.from(text, "latin1"))).toString("latin1")).toBe(text)
  })
})

describe("damage is told", () => {
  const compressed = { gzip: gzipSync(CONTENT), zstd: zstd(CONTENT, "--check") }

  test.each(["gzip", "zstd"] as const)("%s cut anywhere", async (format) => {
    const bytes = compressed[format]
    for (const length of [7, 9, 20, 1000, 70_000, bytes.length - 8, bytes.length - 1]) {
      await expect(all(bytes.subarray(0, length))).rejects.toThrow(/^a file is truncated: it/)
    }
  })

  test.each(["gzip", "zstd"] as const)("%s with a flipped bit, anywhere", async (format) => {
    const { int } = random(9)
    for (let round = 0; round < 30; round++) {
      const bytes = Buffer.from(compressed[format])
      const at = int(30, bytes.length - 1)
      bytes[at] = (bytes[at] as number) ^ (1 << int(0, 7))
      await expect(all(bytes)).rejects.toThrow(/^a file (is (corrupt|truncated)|has something)/)
    }
  })

  test("what follows a zstd frame must be one", async () => {
    await expect(all(Buffer.concat([compressed.zstd, Buffer.from("rest")]))).rejects.toThrow("no zstd frame at byte")
  })

  test.each([
    ["xz", "fd377a585a0000"],
    ["bzip2", "425a6839314159"],
    ["zip", "504b0304140000"],
    ["lz4", "04224d18644000"],
  ])("%s is told by name", async (format, hex) => {
    await expect(all(Buffer.from(hex, "hex"))).rejects.toThrow(`a file is compressed with ${format};`)
  })
})

test("who stops early lets go of the source", async () => {
  let returned = false
  async function* endless() {
    try {
      for (;;) yield gzipSync(CONTENT)
    } finally {
      returned = true
    }
  }
  for await (const part of decompress(endless(), "a file")) if (part.length > 0) break
  await Bun.sleep(20)
  expect(returned).toBe(true)
})

test("frames are followed to their end in chunks of any size", () => {
  const bytes = Buffer.concat([SKIPPABLE, zstd(CONTENT, "--check"), zstd(CONTENT, "--no-check", "-1"), SKIPPABLE])
  for (const size of [1, 2, 3, 1000, bytes.length]) {
    const walker = createFrameWalker()
    for (let at = 0; at < bytes.length; at += size) walker.push(bytes.subarray(at, at + size))
    expect(() => walker.finish()).not.toThrow()
  }
  const walker = createFrameWalker()
  walker.push(bytes.subarray(0, -1))
  expect(() => walker.finish()).toThrow(`is truncated: it ends at byte ${bytes.length - 1}, in a zstd frame`)
})
