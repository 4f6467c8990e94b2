/** Archives that want too much, or are broken, and the whiteouts of image layers. */
import { describe, expect, test } from "bun:test"
import { lstatSync, readdirSync, writeFileSync } from "node:fs"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { type UnpackOptions, unpackLayer } from "../../src/image/layer/unpack.ts"
import { listing } from "../helpers/listing.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { END, gnuLong, type HandMade, padded, paxHeader, tarArchive, tarEntry } from "../helpers/tar.ts"
import { dir, file, hostilePlace, link, refusal, unpackBytes } from "../helpers/unpack.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const place = hostilePlace()
const unpack = (bytes: Uint8Array, options: Partial<UnpackOptions> = {}) => unpackBytes(bytes, place.target, options)
const refused = (bytes: Uint8Array, options: Partial<UnpackOptions> = {}) => refusal(bytes, place.target, options)

describe.skipIf(!isRoot)("limits", () => {
  const zerosOf = (size: number) => tarArchive(file("zeros", "\0".repeat(size)))

  test("bytes, entries, names, holes, ratio, free disk", async () => {
    const tooMuch = await refused(zerosOf(3_000_000), { limits: { bytes: 2_000_000 } })
    expect(tooMuch).toBe("bad.tar is refused: it unpacks to more than 1.9 MiB")
    const entries = tarArchive(...Array.from({ length: 11 }, (_, i) => file(`${i}`)))
    expect(await refused(entries, { limits: { entries: 10 } })).toContain("it has more than 10 entries")
    const long = tarArchive(gnuLong("L", `${"n/".repeat(2049)}x`), file(""))
    expect(await refused(long)).toContain("it has a name of 4099 bytes, where 4096 are allowed")
    const hole = tarArchive({ name: "hole", type: "S", magic: "ustar  \0", size: 0, over: [[483, "77777777777\0"]] })
    expect(await refused(hole, { limits: { logicalBytes: 2 ** 32 } })).toContain(
      "with their holes, have more than 4 GiB",
    )
    expect(await refused(zerosOf(100), { limits: { freeBytes: 2 ** 60 } })).toContain("the disk is nearly full")
  })

  test.each([
    ["gzip", gzipSync],
    ["zstd", zstdCompressSync],
  ] as const)("a %s bomb ends at the ratio", async (_, compress) => {
    const start = compress(tarEntry({ name: "zeros", size: 2 ** 33 - 512 }))
    const zeros = compress(Buffer.alloc(2 ** 24))
    const bomb = Buffer.concat([start, ...Array.from({ length: 100 }, () => zeros)])
    const text = await refused(bomb, { limits: { ratioFrom: 2 ** 26 } })
    expect(text).toBe("bad.tar is refused: it unpacks to more than 500 times its size")
    // Up to there it is an archive like others.
    const small = compress(zerosOf(2 ** 25))
    expect((await unpack(small, { limits: { ratioFrom: 2 ** 26 } })).bytes).toBeGreaterThan(2 ** 25)
  })

  test("what is kept in memory: attributes of directories, and what global headers say", async () => {
    const large = "x".repeat(4_000_000)
    const directories = Array.from({ length: 17 }, (_, i) => [paxHeader([["SCHILY.xattr.user.x", large]]), dir(`${i}`)])
    expect(await refused(tarArchive(...directories.flat()))).toBe(
      "bad.tar is refused: its directories have more than 64 MiB of extended attributes",
    )
    const two = ["a", "b"].map((keyword) => paxHeader([[keyword, large]], "g"))
    expect(await refused(tarArchive(...two, file("x")))).toContain("has global headers with more than 100 records, or")
    const many = Array.from({ length: 101 }, (_, i) => [`k${i}`, "x"] as const)
    expect(await refused(tarArchive(paxHeader(many, "g"), file("x")))).toContain(
      "has global headers with more than 100",
    )
    await unpack(tarArchive(paxHeader(many.slice(1), "g"), file("x")))
  })

  test("an attribute that is too large for the kernel is told as that", async () => {
    for (const [name, value] of [
      ["user.x", "x".repeat(65537)],
      [`user.${"x".repeat(256)}`, "y"],
    ] as const)
      for (const entry of [file("f"), dir("d")]) {
        const text = await refused(tarArchive(paxHeader([[`SCHILY.xattr.${name}`, value]]), entry))
        expect(text).toContain("an extended attribute")
        expect(text).toContain("that the kernel refuses")
      }
  })

  test("what follows the end of the archive counts, too", async () => {
    const bytes = Buffer.concat([tarArchive(file("x")), Buffer.alloc(3_000_000)])
    expect(await refused(bytes, { limits: { bytes: 2_000_000 } })).toContain("more than 1.9 MiB")
  })

  test("an existing tree is not touched", async () => {
    writeFileSync(`${place.target}/mine`, "x")
    await expect(unpack(tarArchive(file("../x")))).rejects.toThrow("is not empty")
    expect(readdirSync(place.target)).toEqual(["mine"])
  })
})

describe.skipIf(!isRoot)("broken archives are told exactly", () => {
  const archive = () =>
    tarArchive(dir("d"), file("d/first", "a".repeat(1000)), paxHeader([["path", "second"]]), file("x"))

  test.each([
    [0, "bad.tar is empty"],
    [100, "bad.tar is truncated: it ends at byte 100, in a header"],
    [512, 'bad.tar is truncated: it ends at byte 512, without the end of an archive after "d"'],
    [600, 'bad.tar is truncated: it ends at byte 600, in a header after "d"'],
    [1500, 'bad.tar is truncated: it ends at byte 1500, in the content of "d/first", 524 bytes before its end'],
    [2030, 'bad.tar is truncated: it ends at byte 2030, in what follows the content after "d/first"'],
    [2565, 'bad.tar is truncated: it ends at byte 2565, in a header after "d/first"'],
    [4096, 'bad.tar is truncated: it ends at byte 4096, without the end of an archive after "second"'],
  ] as const)("cut at byte %i", async (length, text) => {
    expect(await refused(archive().subarray(0, length))).toBe(text)
  })

  test("cut anywhere, plain or compressed, nothing is left", async () => {
    for (const bytes of [archive().subarray(0, 4096), gzipSync(archive()), zstdCompressSync(archive())]) {
      for (let length = 1; length < bytes.length; length += bytes.length > 1000 ? 97 : 3) {
        expect(await refused(bytes.subarray(0, length))).toMatch(/^bad\.tar is (truncated|no tar|corrupt)/)
      }
    }
  })

  test("checksums, types, numbers", async () => {
    expect(await refused(tarArchive({ name: "x", wrongBy: 1 }))).toBe("bad.tar is no tar archive")
    expect(await refused(Buffer.from("no archive at all, but text".repeat(100)))).toBe("bad.tar is no tar archive")
    expect(await refused(Buffer.from("short"))).toBe("bad.tar is no tar archive")
    expect(await refused(tarArchive(file("ok"), { name: "x", wrongBy: 1 }))).toBe(
      'bad.tar is corrupt: a header with a wrong checksum, at byte 1024 after "ok"',
    )
    expect(await refused(tarArchive({ type: "M" }))).toContain('an entry of the unknown type "M"')
    expect(await refused(tarArchive({ over: [[124, "12x4567"]] }))).toContain("whose size is no number")
    expect(await refused(tarArchive({ over: [[108, "\x80\0\0\x01\0\0\0\0"]] }))).toContain(
      "owner 4294967296 is out of range",
    )
    expect(await refused(tarArchive(paxHeader([["size", "-5"]]), file("x")))).toContain("size -5")
    expect(await refused(tarArchive({ type: "x", content: "12 broken" }, file("x")))).toContain("malformed PAX header")
    expect(await refused(tarArchive({ type: "x", size: 2 ** 30 }))).toContain("an extended header of 1073741824 bytes")
    expect(await refused(Buffer.concat([tarEntry(file("x")), Buffer.alloc(512), tarEntry(file("y")), END]))).toContain(
      "has a header after its end",
    )
  })

  test("sparse maps that lie", async () => {
    const sparse = (map: string, stored: string) =>
      tarArchive(
        paxHeader([
          ["GNU.sparse.size", "100"],
          ["GNU.sparse.map", map],
        ]),
        file("x", stored),
      )
    expect(await refused(sparse("0,50,40,10", "x".repeat(60)))).toContain("contradicts itself")
    expect(await refused(sparse("90,20", "x".repeat(20)))).toContain("contradicts itself")
    expect(await refused(sparse("0,10", "x".repeat(20)))).toContain("a sparse map of 10 bytes, where 20 are stored")
    expect(await refused(sparse("0,x", "x"))).toContain("malformed sparse map")
    const version1 = paxHeader([
      ["GNU.sparse.major", "1"],
      ["GNU.sparse.realsize", "100"],
    ])
    expect(await refused(tarArchive(version1, file("x", padded(Buffer.from("9\n0\n")).toString("latin1"))))).toContain(
      "malformed sparse map",
    )
  })

  test("compressed streams", async () => {
    const flipped = Buffer.from(gzipSync(archive()))
    flipped[flipped.length - 6] = (flipped[flipped.length - 6] as number) ^ 1
    expect(await refused(flipped)).toContain("is corrupt: its gzip stream")
    expect(await refused(Buffer.concat([gzipSync(archive()), Buffer.from("garbage")]))).toContain("is corrupt")
    const zstd = zstdCompressSync(archive())
    expect(await refused(Buffer.concat([zstd, Buffer.from("garbage")]))).toContain("something that is no zstd frame")
    expect(await refused(Buffer.from("fd377a585a000000", "hex"))).toContain("is compressed with xz")
    // As tapes and block devices leave it.
    await unpack(Buffer.concat([gzipSync(archive()), Buffer.alloc(1000)]))
    expect(readdirSync(place.target).sort()).toEqual(["d", "second"])
  })

  test("a source that fails in the middle is told as it is, and nothing is left", async () => {
    async function* failing() {
      yield gzipSync(archive()).subarray(0, 60)
      throw new Error("the network is gone")
    }
    const done = unpackLayer(failing(), { name: "x", target: place.target, whiteouts: "none" })
    await expect(done).rejects.toThrow("the network is gone")
    await done.catch(() => {})
    expect(readdirSync(place.target)).toEqual([])
  })
})

describe.skipIf(!isRoot)("whiteouts of image layers", () => {
  const layer = (...entries: HandMade[]) => unpack(tarArchive(...entries), { whiteouts: "overlay" })
  const isWhiteout = (name: string) => {
    const stat = lstatSync(`${place.target}/${name}`)
    return stat.isCharacterDevice() && stat.rdev === 0
  }
  const isOpaque = (name: string) =>
    listing(place.target).some((line) => line.startsWith(`"${name}" `) && line.includes("trusted.overlay.opaque=79"))

  test("hide files, or all of a directory", async () => {
    await layer(
      dir("d"),
      file("d/.wh.gone"),
      file("e/.wh..wh..opq"),
      file("e/new"),
      file(".wh..wh.plnk/x"),
      file(".wh..wh.aufs"),
    )
    expect(isWhiteout("d/gone")).toBe(true)
    expect(isOpaque("e")).toBe(true)
    expect(isOpaque("d")).toBe(false)
    expect(readdirSync(`${place.target}/e`)).toEqual(["new"])
    expect(readdirSync(place.target)).not.toContain(".wh..wh.aufs")
  })

  test("do not hide what is in the same layer, in either order", async () => {
    await layer(
      file("a"),
      file(".wh.a"),
      file(".wh.b"),
      file("b"),
      dir("c"),
      file("c/x"),
      file(".wh.c"),
      file(".wh.e"),
      dir("e"),
      file(".wh.f"),
      file("f/x"),
    )
    for (const name of ["a", "b"]) expect(lstatSync(`${place.target}/${name}`).isFile()).toBe(true)
    expect(["c", "e", "f"].map(isOpaque)).toEqual([true, true, true])
    expect(readdirSync(`${place.target}/c`)).toEqual(["x"])
  })

  test("of no name, or through links, stay inside", async () => {
    for (const name of [".wh.", ".wh..", ".wh..."]) {
      expect(await refused(tarArchive(file(name)), { whiteouts: "overlay" })).toContain("a whiteout of no name")
    }
    await refused(tarArchive(link("way", place.outside), file("way/.wh.file")), { whiteouts: "overlay" })
    await refused(tarArchive(link("way", place.outside), file("way/.wh..wh..opq")), { whiteouts: "overlay" })
  })

  test("are files of plain archives", async () => {
    await unpack(tarArchive(file(".wh.x"), file(".wh..wh..opq")))
    expect(readdirSync(place.target).sort()).toEqual([".wh..wh..opq", ".wh.x"])
  })
})
