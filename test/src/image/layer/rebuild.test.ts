/** Whatever stream is unpacked, the same is made again of what is kept of it. */
import { describe, expect, test } from "bun:test"
import { appendFileSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { gzipSync } from "node:zlib"
import { ToyboxError } from "../../../../src/errors.ts"
import { digestOf } from "../../../../src/image/digest.ts"
import { rebuildTar } from "../../../../src/image/layer/rebuild.ts"
import { unpackLayer } from "../../../../src/image/layer/unpack.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"
import { chunked, gnuLong, type HandMade, padded, paxHeader, tarArchive, tarEntry } from "../../../helpers/tar.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

async function unpackTo(dir: string, bytes: Uint8Array, size?: number): Promise<string> {
  mkdirSync(`${dir}/root`)
  const options = { name: "it", target: `${dir}/root`, whiteouts: "overlay", skeleton: dir } as const
  return (await unpackLayer(chunked(bytes, size), options)).diffId
}

async function rebuild(dir: string, diffId: string): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of rebuildTar({ dir, diffId, name: "it" })) parts.push(part)
  return Buffer.concat(parts)
}

/** Unpacked and made again; the layer's directory. */
async function survives(bytes: Uint8Array, size?: number): Promise<string> {
  const dir = temporaryDirectory("layer")
  const diffId = await unpackTo(dir, bytes, size)
  expect(diffId).toBe(digestOf(bytes))
  expect((await rebuild(dir, diffId)).equals(bytes)).toBe(true)
  return dir
}

const file = (name: string, content = name, more: HandMade = {}): HandMade => ({ name, content, ...more })
const dir = (name: string): HandMade => ({ name, type: "5", mode: 0o755 })
const link = (name: string, to: string): HandMade => ({ name, type: "2", link: to })
const hard = (name: string, to: string): HandMade => ({ name, type: "1", link: to })

const noise = (size: number) => Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 7919) >> 5))

const STREAMS: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ["empty files and directories", tarArchive(dir("d/"), file("d/empty", ""), file("last", ""))],
  ["a file of some blocks", tarArchive(file("f", noise(100_000).toString("latin1")))],
  ["one block of zeros for an end", tarArchive(file("a")).subarray(0, -512)],
  ["a tail of zeros", Buffer.concat([tarArchive(file("a")), Buffer.alloc(9000)])],
  ["a tail of rubbish", Buffer.concat([tarArchive(file("a")), noise(70_001)])],
  ["rubbish in the padding", tarArchive(tarEntry(file("a", "")), tarEntry({ ...file("b"), size: 1 }).fill("p", 513))],
  ["rubbish in unused fields", tarArchive(file("a", "x", { over: [[500, "junk"]] }))],
  ["a file twice", tarArchive(file("a", "first"), file("b"), file("a", "second, which is longer"))],
  ["a file many times", tarArchive(...Array.from({ length: 50 }, (_, i) => file("a", `${i}`)), file("b"))],
  ["a file and a directory by turns", tarArchive(file("a", "1"), dir("a"), file("a/b", "2"), file("a", "3"), dir("a"))],
  [
    "a directory replaced with all that was replaced in it",
    tarArchive(
      dir("d"),
      file("d/x", "1"),
      file("d/x", "2"),
      dir("d/e"),
      file("d/e/y", "3"),
      link("d", "else"),
      dir("else"),
      file("else/x", "4"),
    ),
  ],
  ["a file that becomes a symlink", tarArchive(file("a", "1"), link("a", "b"), file("b", "2"))],
  [
    "files by way of a symlink",
    tarArchive(dir("real"), link("way", "real"), file("way/f", "1"), file("way/g", "2"), file("real/f", "3")),
  ],
  [
    "a symlink that leads elsewhere later",
    tarArchive(dir("x"), dir("y"), link("w", "x"), file("w/f", "1"), link("w", "y"), file("w/f", "2")),
  ],
  ["odd spellings of a name", tarArchive(dir("./d//"), file("/d/./f"), file(".//d/f", "2"))],
  [
    "a hard link, and its first name replaced",
    tarArchive(file("a", "1"), hard("b", "a"), file("a", "2"), hard("b", "a")),
  ],
  [
    "whiteouts with content",
    tarArchive(
      dir("d"),
      file("d/.wh.gone", "content"),
      file(".wh..wh.plnk/x", ""),
      file(".wh..wh.orph", "yy"),
      file("d/.wh..wh..opq", "z"),
      file("d/f"),
    ),
  ],
  ["names that look like whiteouts", tarArchive(dir("a.wh.b"), file("a.wh.b/f", "1"), dir("d"), file("d/f.wh.", "2"))],
  [
    "PAX and GNU headers",
    tarArchive(
      paxHeader([["comment", "x"]], "g"),
      paxHeader([
        ["path", `${"p".repeat(120)}`],
        ["mtime", "1.5"],
      ]),
      file("short"),
      gnuLong("L", "n".repeat(180)),
      file("other"),
    ),
  ],
  ["a PAX size", tarArchive(paxHeader([["size", "5"]]), tarEntry({ ...file("a", "12345"), size: 0 }))],
  [
    "GNU's old sparse form",
    tarArchive({
      name: "s",
      type: "S",
      magic: "ustar  \0",
      content: `${"x".repeat(512)}yyy`,
      over: [
        [386, "00000001000\x0000000001000\x00"],
        [410, "00000010000\x0000000000003\x00"],
        [483, "00000020000\x00"],
      ],
    }),
  ],
  [
    "a sparse file of one hole",
    tarArchive(
      {
        name: "s",
        type: "S",
        magic: "ustar  \0",
        over: [
          [386, "00000020000\x0000000000000\x00"],
          [483, "00000020000\x00"],
        ],
      },
      file("after"),
    ),
  ],
  [
    "PAX sparse 1.0",
    tarArchive(
      paxHeader([
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.name", "s"],
        ["GNU.sparse.realsize", "4096"],
      ]),
      tarEntry(
        file(
          "GNUSparseFile.0/s",
          Buffer.concat([padded(Buffer.from("1\n1024\n3\n")), Buffer.from("abc")]).toString("latin1"),
        ),
      ),
      file("after"),
    ),
  ],
  [
    "a volume label and a dump directory",
    tarArchive({ name: "label", type: "V" }, { name: "dd/", type: "D", content: "Yfile\0\0" }, file("dd/file")),
  ],
]

describe.skipIf(!isRoot)("a stream is made again", () => {
  test.each([...STREAMS])("%s", async (_, bytes) => {
    await survives(bytes)
    // In pieces that cut through everything.
    await survives(bytes, 313)
  })

  test("whatever comes after what, at random", async () => {
    let state = 12345
    const next = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return (state >>> 8) % below
    }
    const names = ["a", "a/b", "a/b/c", "b", "b/a", "l", "l/b", "./a//b", ".wh.a", "a/.wh.b"]
    let taken = 0
    for (let round = 0; round < 300; round++) {
      const entries = Array.from({ length: 8 }, (): HandMade => {
        const name = names[next(names.length)] as string
        const kind = next(10)
        if (kind < 6) return file(name, "x".repeat(next(2000)))
        if (kind < 8) return dir(name)
        return kind < 9 ? link(name, ["a", "b", "a/b"][next(3)] as string) : hard(name, names[next(5)] as string)
      })
      const bytes = tarArchive(...entries)
      try {
        await survives(bytes, 100 + next(5000))
        taken++
      } catch (error) {
        // Much of it is refused, and then there is nothing to be made again.
        if (!(error instanceof ToyboxError) || !/is refused|cannot unpack/.test(error.message)) throw error
      }
    }
    expect(taken).toBeGreaterThan(20)
  })

  test("not where more of its files are replaced, deep down, than memory is to be taken for", async () => {
    const path = `${Array.from({ length: 15 }, () => "x".repeat(250)).join("/")}/f`
    const one = tarArchive(paxHeader([["path", path]]), file("f", "x")).subarray(0, -1024)
    const dir = temporaryDirectory("layer")
    const bytes = Buffer.concat([...Array.from({ length: 18_000 }, () => one), Buffer.alloc(1024)])
    await expect(unpackTo(dir, bytes)).rejects.toThrow("it replaces too many of its own files")
    expect(readdirSync(`${dir}/root`)).toEqual([])
  }, 60_000)

  test("an archive that was never closed, where its digest is known", async () => {
    for (const bytes of [tarEntry(file("a", "")), tarEntry(file("a", "content")).subarray(0, 512 + 7)]) {
      const dir = temporaryDirectory("endless")
      const unpack = (given: Uint8Array, endless: boolean) => {
        rmSync(dir, { recursive: true })
        mkdirSync(`${dir}/root`, { recursive: true })
        const options = { name: "it", target: `${dir}/root`, whiteouts: "overlay", skeleton: dir, endless } as const
        return unpackLayer(chunked(given), options)
      }
      await expect(unpack(bytes, false)).rejects.toThrow("is truncated")
      const { diffId } = await unpack(bytes, true)
      expect((await rebuild(dir, diffId)).equals(bytes)).toBe(true)
      await expect(unpack(bytes.subarray(0, 500), true)).rejects.toThrow("is truncated")
    }
  })

  test("no bytes at all, where their digest is known", async () => {
    const dir = temporaryDirectory("empty")
    mkdirSync(`${dir}/root`)
    const options = { name: "it", target: `${dir}/root`, whiteouts: "overlay", skeleton: dir, endless: true } as const
    const { diffId, entries } = await unpackLayer(chunked(gzipSync("")), options)
    expect({ diffId, entries }).toEqual({ diffId: digestOf(""), entries: 0 })
    expect((await rebuild(dir, diffId)).length).toBe(0)
  })

  test("where nothing is odd, nothing but the skeleton is kept, and that is small", async () => {
    const entries = Array.from({ length: 2000 }, (_, i) =>
      file(`usr/share/things/number-${i}`, `content ${i}`, { mtime: 1_700_000_000 + i * 37 }),
    )
    const made = await survives(tarArchive(dir("usr"), ...entries))
    expect(readdirSync(made).sort()).toEqual(["root", "tar.zst"])
    expect(statSync(`${made}/tar.zst`).size / 2000).toBeLessThan(40)
  })

  test.each([
    ["a changed file", (at: string) => writeFileSync(`${at}/root/f`, "CONTENT")],
    ["a longer file", (at: string) => renameSync(`${at}/root/g`, `${at}/root/f`)],
    ["a shorter file", (at: string) => writeFileSync(`${at}/root/f`, "c")],
    ["a missing file", (at: string) => rmSync(`${at}/root/f`)],
    [
      "a FIFO",
      (at: string) => {
        rmSync(`${at}/root/f`)
        Bun.spawnSync(["mkfifo", `${at}/root/f`])
      },
    ],
    ["no skeleton", (at: string) => rmSync(`${at}/tar.zst`)],
    ["half a skeleton", (at: string) => writeFileSync(`${at}/tar.zst`, "x")],
    ["more of a skeleton", (at: string) => appendFileSync(`${at}/tar.zst`, Bun.zstdCompressSync(Buffer.alloc(512)))],
  ])("%s is found out", async (_, damage) => {
    const bytes = tarArchive(file("f", "content"), file("g", "another"))
    const made = await survives(bytes)
    damage(made)
    const parts: Uint8Array[] = []
    const failing = (async () => {
      for await (const part of rebuildTar({ dir: made, diffId: digestOf(bytes), name: "it" })) parts.push(part)
    })()
    await expect(failing).rejects.toThrow("it cannot be made again as it was")
    // Never all of it.
    expect(Buffer.concat(parts).length).toBeLessThan(bytes.length)
  })
})
