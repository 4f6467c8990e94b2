/** What is written is what was there: for GNU tar, bsdtar and ourselves; and always the same bytes. */
import { beforeAll, describe, expect, test } from "bun:test"
import {
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { call } from "../../ffi/call.ts"
import { unpackLayer } from "../../src/image/layer/unpack.ts"
import { type WriteOptions, writeLayer, writeTree } from "../../src/image/layer/writer.ts"
import { listing } from "../helpers/listing.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { chunked, type HandMade, paxHeader, tarArchive } from "../helpers/tar.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

function run(...cmd: string[]): string {
  const { exitCode, stderr, stdout } = Bun.spawnSync(cmd, {
    timeout: 30_000,
    env: { ...process.env, LC_ALL: "C.UTF-8" },
  })
  if (exitCode !== 0) throw new Error(`${cmd.join(" ")}: ${stderr}`)
  return stdout.toString("latin1")
}

const write = (source: string, options: Partial<WriteOptions> = {}): Buffer =>
  Buffer.concat([...writeLayer({ source, whiteouts: "none", ...options })])

function makeTree(): string {
  const dir = temporaryDirectory("tree")
  const at = (name: string) => `${dir}/${name}`
  mkdirSync(at("a/b/c"), { recursive: true })
  for (const name of ["plain", "new\nline", "x".repeat(100), "y".repeat(101), "z".repeat(255), " blank ", "utf-é"]) {
    writeFileSync(at(name), name)
  }
  writeFileSync(Buffer.concat([Buffer.from(at("latin-")), Buffer.from([0xe9])]), "latin")
  const deep = `${"d".repeat(150)}/${"e".repeat(90)}`
  mkdirSync(at(deep), { recursive: true })
  writeFileSync(at(`${deep}/short`), "prefix")
  writeFileSync(at(`${deep}/${"f".repeat(120)}`), "pax")
  linkSync(at("plain"), at("a/b/hard link"))
  linkSync(at(`${deep}/${"f".repeat(120)}`), at("link to a long name"))
  symlinkSync("t".repeat(101), at("long symlink"))
  symlinkSync("/nowhere", at("symlink"))
  linkSync(at("symlink"), at("twice"))
  run("mknod", "-m", "0604", at("device"), "b", "259", "70000")
  run("mkfifo", "-m", "0622", at("fifo"))
  run("chown", "-h", "5:6", at("symlink"))
  run("chown", "2097151:2097152", at("plain"))
  run("chown", "4294967294:4294967294", at("fifo"))
  run("chmod", "6751", at("plain"))
  run("chmod", "1777", at("a"))
  const value = Buffer.from("a\0b=\n\xff", "latin1")
  for (const name of ["user.note", "trusted.other"]) call("lsetxattr", at("plain"), name, value, value.length, 0)
  call("lsetxattr", at("symlink"), "trusted.link", value, value.length, 0)
  const fd = openSync(at("sparse"), "w")
  writeSync(fd, "end", 1_000_000)
  closeSync(fd)
  truncateSync(at("sparse"), 3_000_001)
  utimesSync(at("plain"), 1, 123456789.5)
  for (const [time, name] of [
    ["1969-12-31 23:59:59.75", "old"],
    ["1960-01-01 00:00:00", "older"],
    ["2500-01-01 00:00:00.5", "far"],
  ]) {
    writeFileSync(at(name as string), "")
    run("touch", "-d", `${time} UTC`, at(name as string))
  }
  return dir
}

describe.skipIf(!isRoot)("a tree as an archive", () => {
  let source: string
  let archive: string

  beforeAll(() => {
    source = makeTree()
    archive = `${temporaryDirectory("archive")}/archive.tar`
    writeFileSync(archive, write(source))
  })

  test("GNU tar makes the same tree of it", () => {
    const target = temporaryDirectory("gnu")
    run(
      "tar",
      "--xattrs",
      "--xattrs-include=*",
      "--numeric-owner",
      "--delay-directory-restore",
      "-xpf",
      archive,
      "-C",
      target,
    )
    expect(listing(target)).toEqual(listing(source))
  })

  test("so does bsdtar", () => {
    const target = temporaryDirectory("bsd")
    run("bsdtar", "--numeric-owner", "--no-fflags", "-xpf", archive, "-C", target)
    // libarchive 3.6 loses the sign of -0.25 s, and the time of the root.
    const told = (dir: string) => listing(dir).filter((line) => !/^"(old|\.)" /.test(line))
    expect(told(target)).toEqual(told(source))
  })

  test("so do we", async () => {
    const target = temporaryDirectory("own")
    const bytes = write(source)
    await unpackLayer(chunked(bytes), { name: "x", target, whiteouts: "none" })
    expect(listing(target)).toEqual(listing(source))
    // And it is written again to the last bit.
    expect(write(target).equals(bytes)).toBe(true)
  })

  test("holes can be left out, and GNU tar, bsdtar and we make them again", async () => {
    const dir = temporaryDirectory("holes")
    const fd = openSync(`${dir}/both ends`, "w")
    writeSync(fd, "start", 0)
    writeSync(fd, "middle", 20_000_000)
    writeSync(fd, "end", 39_999_997)
    closeSync(fd)
    writeFileSync(`${dir}/only-é`, "")
    truncateSync(`${dir}/only-é`, 50_000_000)
    writeFileSync(`${dir}/none`, "dense")
    const bytes = write(dir, { sparse: true })
    expect(bytes.length).toBeLessThan(100_000)
    const file = `${temporaryDirectory("archive")}/holes.tar`
    writeFileSync(file, bytes)
    const [gnu, bsd, own] = [temporaryDirectory("gnu"), temporaryDirectory("bsd"), temporaryDirectory("own")]
    run("tar", "--numeric-owner", "-xpf", file, "-C", gnu)
    run("bsdtar", "--numeric-owner", "-xpf", file, "-C", bsd)
    await unpackLayer(chunked(bytes), { name: "x", target: own, whiteouts: "none" })
    for (const target of [gnu, bsd, own]) {
      expect(listing(target).filter((line) => !line.startsWith('"."'))).toEqual(
        listing(dir).filter((line) => !line.startsWith('"."')),
      )
      for (const name of ["both ends", "only-é"])
        expect(statSync(`${target}/${name}`).blocks * 512).toBeLessThan(1_000_000)
    }
  })

  test("what is open can be written, and what is omitted is not", () => {
    const file = `${temporaryDirectory("archive")}/part.tar`
    const names = (
      start: { path: string; name: string; from?: string },
      omits?: (stat: { ino: number }) => boolean,
    ) => {
      const dirFd = openSync(start.from ?? source, constants.O_RDONLY)
      try {
        const options = { whiteouts: "none" as const, ...(omits ? { omits } : {}) }
        writeFileSync(file, Buffer.concat([...writeTree({ dirFd, ...start }, options)]))
      } finally {
        closeSync(dirFd)
      }
      return run("tar", "-tf", file)
    }
    expect(names({ name: "a", path: "renamed" })).toBe("renamed/\nrenamed/b/\nrenamed/b/c/\nrenamed/b/hard link\n")
    expect(names({ name: "", path: "new name", from: `${source}/plain` })).toBe("new name\n")
    expect(run("tar", "-xOf", file)).toBe("plain")
    const { ino } = statSync(`${source}/a/b`)
    expect(names({ name: "a", path: "x" }, (stat) => stat.ino === ino)).toBe("x/\n")
  })

  test("what needs no PAX header has none", () => {
    const simple = temporaryDirectory("simple")
    writeFileSync(`${simple}/file`, "x")
    utimesSync(`${simple}/file`, 1, 1)
    utimesSync(simple, 1, 1)
    expect(write(simple).length).toBe(512 + 512 + 512 + 1024)
  })

  test("times after the latest one are that", async () => {
    const clamped = write(source, { latestTime: 1_000_000_000 })
    const target = temporaryDirectory("clamped")
    await unpackLayer(chunked(clamped), { name: "x", target, whiteouts: "none" })
    expect(listing(target).find((line) => line.startsWith('"plain" '))).toContain(" 123456789500000000 ")
    expect(listing(target).find((line) => line.startsWith('"far" '))).toContain(" 1000000000000000000 ")
    run("touch", `${source}/new`)
    const before = write(source, { latestTime: 1_000_000_000 })
    run("touch", `${source}/new`, source)
    expect(write(source, { latestTime: 1_000_000_000 }).equals(before)).toBe(true)
  })

  test("sockets are left out", () => {
    const dir = temporaryDirectory("sockets")
    const listener = Bun.listen({ unix: `${dir}/socket`, socket: { data() {} } })
    try {
      expect(write(dir).length).toBeLessThan(4096)
    } finally {
      listener.stop(true)
    }
  })

  test("nothing is followed out of the tree", () => {
    const dir = temporaryDirectory("links")
    symlinkSync(source, `${dir}/way`)
    const file = `${temporaryDirectory("archive")}/links.tar`
    writeFileSync(file, write(dir))
    expect(run("tar", "-tf", file)).toBe("./\nway\n")
    expect(() => write(`${dir}/way`)).toThrow()
  })
})

describe.skipIf(!isRoot)("an overlay's upper directory", () => {
  test("becomes a layer that says the same, and back", async () => {
    const entries: HandMade[] = [
      { name: "d/", type: "5", mode: 0o755 },
      { name: "d/.wh.gone", content: "" },
      { name: "e/", type: "5", mode: 0o700 },
      { name: "e/.wh..wh..opq", content: "" },
      { name: "e/new", content: "x" },
    ]
    const upper = temporaryDirectory("upper")
    const again = temporaryDirectory("again")
    const bytes = tarArchive(paxHeader([["SCHILY.xattr.user.kept", "y"]]), ...entries)
    await unpackLayer(chunked(bytes), { name: "x", target: upper, whiteouts: "overlay" })
    const layer = write(upper, { whiteouts: "overlay" })
    await unpackLayer(chunked(layer), { name: "x", target: again, whiteouts: "overlay" })
    // A whiteout's own time means nothing.
    expect(listing(again, { times: false })).toEqual(listing(upper, { times: false }))
    const plain = temporaryDirectory("plain")
    await unpackLayer(chunked(layer), { name: "x", target: plain, whiteouts: "none" })
    expect(readdirSync(`${plain}/d`)).toEqual([".wh.gone"])
    expect(readdirSync(`${plain}/e`).sort()).toEqual([".wh..wh..opq", "new"])
  })
})
