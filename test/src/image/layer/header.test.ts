import { describe, expect, test } from "bun:test"
import { type TarEntry, TarError } from "../../../../src/image/layer/tar/entry.ts"
import { isChecksumRight, readNumber } from "../../../../src/image/layer/tar/header.ts"
import { addPaxRecords, type PaxRecords, paxNumber, paxTime, paxXattrs } from "../../../../src/image/layer/tar/pax.ts"
import { createTarReader } from "../../../../src/image/layer/tar/reader.ts"
import { END_OF_ARCHIVE, type WrittenEntry, writeHeader } from "../../../../src/image/layer/tar/write-header.ts"
import { gnuLong, paxHeader, paxRecord, tarArchive, tarEntry } from "../../../helpers/tar.ts"
import { random } from "../../cgroup/random.ts"

const field = (text: string) => readNumber(Buffer.from(text, "latin1"), 0, text.length, "field")

/** The entries of an archive. */
function read(bytes: Uint8Array): TarEntry[] {
  const entries: TarEntry[] = []
  const reader = createTarReader({ entry: (entry) => entries.push(entry), data() {}, end() {} })
  reader.push(bytes)
  reader.finish()
  return entries
}

describe("numbers", () => {
  test.each([
    ["0000644\0", 0o644],
    ["   644 \0", 0o644],
    ["00000644", 0o644],
    ["\0\0\0\0\0\0\0\0", 0],
    ["        ", 0],
    ["77777777777\0", 8 ** 11 - 1],
    ["\x80\0\0\0\0\0\x01\0", 256],
    ["\x80\0\0\0\0\x02\0\0\0\0\0\0", 2 * 2 ** 48],
    ["\xff\xff\xff\xff\xff\xff\xff\xff", -1],
    ["\xff\xff\xff\xff\xff\xff\xff\0", -256],
  ])("%j is %d", (text, value) => expect(field(text)).toBe(value))

  test.each(["12x", "9", "-1", "0644\x01", "\x80\x01\0\0\0\0\0\0\0\0\0\0"])("%j is none", (text) =>
    expect(() => field(text)).toThrow(TarError),
  )
})

test("checksums, as written by those that count signed bytes, too", () => {
  const plain = tarEntry({ name: "x" })
  const high = tarEntry({ name: "\xe9\xff" })
  const signed = tarEntry({ name: "\xe9\xff", wrongBy: -512 })
  expect([plain, high, signed].map((block) => isChecksumRight(block.subarray(0, 512)))).toEqual([true, true, true])
  expect(isChecksumRight(tarEntry({ name: "x", wrongBy: -512 }).subarray(0, 512))).toBe(false)
})

describe("PAX records", () => {
  const records = (text: string) => {
    const found: PaxRecords = new Map()
    addPaxRecords(text, found)
    return found
  }

  test("values keep blanks, equals signs, newlines and bytes", () => {
    const values = ["a b", "a=b", "a\nb\n", "\xff\0", "", "x".repeat(12345)]
    const text = values.map((value, i) => paxRecord(`k${i}`, value)).join("")
    expect([...records(text).values()]).toEqual(values)
  })

  test.each(["5 a=b\n", "7 a=b\n", "x a=b\n", "6 a b\n", "0 a=b\n", "-6 a=b\n", "99999999999 a=b\n", "6 a=bx"])(
    "%j is malformed",
    (text) => expect(() => records(text)).toThrow(TarError),
  )

  test("numbers and times", () => {
    expect(paxNumber(records(paxRecord("size", "8589934592")), "size")).toBe(2 ** 33)
    expect(paxNumber(records(paxRecord("size", "")), "size")).toBeUndefined()
    expect(() => paxNumber(records(paxRecord("size", "0x1")), "size")).toThrow("size is no number")
    const time = (text: string) => paxTime(records(paxRecord("mtime", text)), "mtime")
    expect(time("1.5")).toEqual({ seconds: 1, nanoseconds: 5e8 })
    expect(time("1.0000000019")).toEqual({ seconds: 1, nanoseconds: 1 })
    expect(time("-1.25")).toEqual({ seconds: -2, nanoseconds: 75e7 })
    expect(time("-0.25")).toEqual({ seconds: -1, nanoseconds: 75e7 })
    expect(time("-3")).toEqual({ seconds: -3, nanoseconds: 0 })
    expect(() => time("1e9")).toThrow("no time")
  })

  test("attributes of both forms", () => {
    const text = [
      ["SCHILY.xattr.user.a", "\xff="],
      ["LIBARCHIVE.xattr.user.b%20c", "/w"],
      ["SCHILY.xattr.user.b%20c", "wrong name"],
    ] as const
    const found = paxXattrs(records(text.map(([keyword, value]) => paxRecord(keyword, value)).join("")))
    expect([...(found ?? [])]).toEqual([
      ["user.a", "\xff="],
      ["user.b c", "\xff"],
    ])
  })
})

describe("what headers before an entry say", () => {
  test("global ones hold until they are taken back, and the entry's own go before them", () => {
    const bytes = tarArchive(
      paxHeader(
        [
          ["uid", "7"],
          ["mtime", "5.5"],
        ],
        "g",
      ),
      { name: "a" },
      paxHeader([["uid", "8"]]),
      { name: "b" },
      { name: "c" },
      paxHeader([["uid", ""]], "g"),
      { name: "d", uid: 3 },
    )
    expect(read(bytes).map(({ path, uid, mtime }) => [path, uid, mtime])).toEqual([
      ["a", 7, 5],
      ["b", 8, 5],
      ["c", 7, 5],
      ["d", 3, 5],
    ])
  })

  test("long names of GNU, prefixes of ustar but not of GNU's own format, star", () => {
    const bytes = tarArchive(
      gnuLong("L", "n".repeat(300)),
      gnuLong("K", "k".repeat(300)),
      { name: "short", type: "2", link: "short" },
      { name: "name", prefix: "prefix" },
      { name: "gnu", prefix: "12345670123", magic: "ustar  \0" },
      {
        name: "star",
        prefix: "p",
        over: [
          [476, "14000000000\0"],
          [508, "tar\0"],
        ],
      },
      { name: "v7", magic: "", prefix: "rubbish" },
    )
    const [long, ...rest] = read(bytes)
    expect([long?.path, long?.link]).toEqual(["n".repeat(300), "k".repeat(300)])
    expect(rest.map(({ path }) => path)).toEqual(["prefix/name", "gnu", "p/star", "v7"])
  })

  test("a file whose name ends with a slash is a directory; labels are nothing", () => {
    const bytes = tarArchive(
      { type: "V", name: "label" },
      { name: "old/", type: "0" },
      { name: "D", type: "D", content: "Yx\0\0" },
      { name: "x" },
    )
    expect(read(bytes).map(({ path, type }) => [path, type])).toEqual([
      ["old/", "directory"],
      ["D", "directory"],
      ["x", "file"],
    ])
  })

  test("links and directories have no content, whatever their size says", () => {
    const bytes = tarArchive(
      { name: "l", type: "1", link: "x", size: 512 },
      { name: "d/", type: "5", size: 4096 },
      { name: "x" },
    )
    expect(read(bytes).map(({ path, size }) => [path, size])).toEqual([
      ["l", 0],
      ["d/", 0],
      ["x", 0],
    ])
  })
})

test("what is written is read again (seed 12)", () => {
  const { int, pick, chance } = random(12)
  const name = (most: number) => {
    const alphabet = pick(["abc", "a/b", "\x01\x7f\xff\xe9 =\n", "é/"])
    return Array.from({ length: int(1, most) }, () => pick([...alphabet]))
      .join("")
      .replaceAll("\u0100", "")
  }
  const number = (most: number) => (chance(0.5) ? int(0, 1000) : int(0, most))
  for (let round = 0; round < 3000; round++) {
    const type = pick(["file", "symlink", "hardlink", "character", "directory", "fifo"] as const)
    const entry = {
      type,
      path: `${Buffer.from(name(400), "latin1").toString("latin1")}${type === "directory" ? "/" : "x"}`,
      link: type === "symlink" || type === "hardlink" ? name(300) : "",
      mode: int(0, 0o7777),
      uid: number(2 ** 32 - 2),
      gid: number(2 ** 32 - 2),
      size: 0,
      mtime: chance(0.2) ? -number(2 ** 40) : number(2 ** 40),
      mtimeNanoseconds: chance(0.5) ? 0 : int(0, 999_999_999),
      major: type === "character" ? int(0, 4095) : 0,
      minor: type === "character" ? int(0, 2 ** 20 - 1) : 0,
      xattrs: chance(0.2) ? [["user.x", name(20)] as const] : [],
    } satisfies WrittenEntry
    const [found] = read(Buffer.concat([writeHeader(entry), END_OF_ARCHIVE]))
    const { sparse: _, xattrs, ...rest } = found as TarEntry
    expect({ ...rest, xattrs: [...(xattrs ?? [])] } as unknown).toEqual({
      ...entry,
      xattrs: entry.xattrs.map((pair) => [...pair]),
    })
  }
})
