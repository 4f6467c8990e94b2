/** What GNU tar, bsdtar and busybox write is unpacked as GNU tar does it: every format, odd names, every kind of file. */
import { beforeAll, describe, expect, test } from "bun:test"
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { call } from "../../ffi/call.ts"
import { unpackLayer } from "../../src/image/layer/unpack.ts"
import { listing } from "../helpers/listing.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { chunked } from "../helpers/tar.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const CAPABILITY = Uint8Array.from([1, 0, 0, 2, 0, 0x20, 0, 0, ...Array.from({ length: 12 }, () => 0)])

function run(cmd: string[], cwd = "/"): void {
  const { exitCode, stderr } = Bun.spawnSync(cmd, { cwd, timeout: 30_000, env: { ...process.env, LC_ALL: "C" } })
  if (exitCode !== 0) throw new Error(`${cmd.join(" ")}: ${stderr}`)
}

const bytePath = (dir: string, name: string) => Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name, "latin1")])

/** The names that formats and programs stumble on; binary strings. */
const NAMES = [
  "new\nline",
  "tab\tand \"quotes\" and 'more'",
  "back\\slash",
  "latin-\xe9-alone",
  "\xff\xfe\x80",
  "utf-\xc3\xa9",
  " leading and trailing ",
  "-dash",
  "*glob?",
  "a=b\x01",
  "x".repeat(99),
  "x".repeat(100),
  "x".repeat(101),
  "y".repeat(255),
]

/** A file with data at both ends and holes between. */
function makeSparse(path: string, pieces: number): void {
  const fd = openSync(path, "w")
  for (let i = 0; i < pieces; i++) writeSync(fd, Buffer.from(`piece ${i} `), 0, undefined, i * 100_000)
  closeSync(fd)
  truncateSync(path, pieces * 100_000 + 50_000)
}

function makeTree(): string {
  const dir = temporaryDirectory("source")
  const at = (name: string) => `${dir}/${name}`
  for (const name of NAMES) writeFileSync(bytePath(dir, name), name)
  mkdirSync(at("empty"))
  mkdirSync(at("deep"))
  // 4,000 bytes in all, relative to the root.
  let deep = "deep"
  while (deep.length + 201 < 3900) {
    deep += `/${"d".repeat(200)}`
    mkdirSync(at(deep))
  }
  writeFileSync(at(`${deep}/${"f".repeat(4000 - deep.length - 1)}`), "far down")
  writeFileSync(at("big"), Buffer.alloc(3 * 2 ** 20 + 17, "big content "))
  linkSync(at("big"), at("zz hard link"))
  linkSync(at("big"), at("empty/inner hard link"))
  symlinkSync("big", at("symlink"))
  symlinkSync("t".repeat(300), at("long symlink"))
  symlinkSync(Buffer.from("\xe9/../..", "latin1"), at("odd symlink"))
  makeSparse(at("sparse"), 3)
  makeSparse(at("very sparse"), 60)
  writeFileSync(at("all hole"), "")
  truncateSync(at("all hole"), 1_000_000)
  writeFileSync(at("setuid"), "x")
  chownSync(at("setuid"), 1000, 65534)
  chmodSync(at("setuid"), 0o6751)
  writeFileSync(at("large ids"), "x")
  chownSync(at("large ids"), 3_000_000, 4_000_000_000)
  mkdirSync(at("sticky"))
  chmodSync(at("sticky"), 0o1777)
  mkdirSync(at("closed"))
  writeFileSync(at("closed/inner"), "x")
  chmodSync(at("closed"), 0)
  run(["mknod", "-m", "0620", at("null"), "c", "1", "3"])
  run(["mknod", at("block"), "b", "259", "70000"])
  run(["mkfifo", at("pipe")])
  call("lsetxattr", at("sticky"), "user.note", Buffer.from("a\0note=\n\xff", "latin1"), 8, 0)
  call("lsetxattr", at("setuid"), "security.capability", CAPABILITY, CAPABILITY.length, 0)
  call("lsetxattr", at("symlink"), "trusted.on-a-link", Buffer.from("x"), 1, 0)
  utimesSync(at("big"), 1e9, 1e9 + 0.25)
  utimesSync(at("setuid"), 1e9, 0)
  utimesSync(at("empty"), 1e9, 123456789.5)
  lutimesSync(at("symlink"), 1e9, 1e9 + 1)
  return dir
}

/** Times before 1970 only where the format has them. */
const addOldTime = (dir: string) => {
  writeFileSync(`${dir}/old`, "x")
  run(["touch", "-d", "1969-12-31 23:59:57.25 UTC", `${dir}/old`])
}

const GNU = ["tar", "--xattrs", "--xattrs-include=*"]
const FORMATS: readonly (readonly [name: string, command: readonly string[], excluded: readonly string[]])[] = [
  ["GNU tar, pax", [...GNU, "--format=pax", "-cf"], []],
  ["GNU tar, pax, sparse 1.0", [...GNU, "--format=pax", "-S", "-cf"], []],
  ["GNU tar, pax, sparse 0.1", [...GNU, "--format=pax", "-S", "--sparse-version=0.1", "-cf"], []],
  ["GNU tar, pax, sparse 0.0", [...GNU, "--format=pax", "-S", "--sparse-version=0.0", "-cf"], []],
  ["GNU tar, gnu", ["tar", "--format=gnu", "-cf"], []],
  ["GNU tar, gnu, sparse", ["tar", "--format=gnu", "-S", "-cf"], []],
  ["GNU tar, oldgnu, sparse", ["tar", "--format=oldgnu", "-S", "-cf"], []],
  ["GNU tar, ustar", ["tar", "--format=ustar", "-cf"], ["deep", "large ids", "long symlink", "old", "x*", "y*"]],
  [
    "GNU tar, v7",
    ["tar", "--format=v7", "-cf"],
    ["deep", "large ids", "long symlink", "old", "null", "block", "pipe", "[xy]*"],
  ],
  ["bsdtar, pax", ["bsdtar", "--format=pax", "-cf"], []],
  ["bsdtar, gnutar", ["bsdtar", "--format=gnutar", "-cf"], []],
  ["bsdtar, ustar", ["bsdtar", "--format=ustar", "-cf"], ["deep", "large ids", "long symlink", "old", "x*", "y*"]],
  [
    "bsdtar, v7",
    ["bsdtar", "--format=v7tar", "-cf"],
    ["deep", "large ids", "long symlink", "old", "null", "block", "pipe", "[xy]*"],
  ],
  ["busybox tar", ["busybox", "tar", "-cf"], ["large ids", "old", "latin-\xe9-alone", "\xff\xfe\x80"]],
]

describe.skipIf(!isRoot)("unpacked as GNU tar does it", () => {
  let source: string

  beforeAll(() => {
    source = makeTree()
    addOldTime(source)
  })

  function archive(command: readonly string[], excluded: readonly string[]): string {
    const file = `${temporaryDirectory("archives")}/archive.tar`
    // Busybox leaves nothing out: it is told what to take.
    const kept = readdirSync(source, { encoding: "buffer" }).filter(
      (name) => !excluded.includes(name.toString("latin1")),
    )
    if (command[0] === "busybox") run(["busybox", "tar", "-cf", file, ...kept.map((name) => `./${name}`)], source)
    else run([...command, file, ...excluded.map((name) => `--exclude=./${name}`), "."], source)
    return file
  }

  function byGnuTar(file: string): string[] {
    const target = temporaryDirectory("gnu")
    run([...GNU, "--numeric-owner", "--delay-directory-restore", "-xpf", file, "-C", target])
    return listing(target)
  }

  test.each(FORMATS)("%s", async (_, command, excluded) => {
    const file = archive(command, excluded)
    const target = temporaryDirectory("ours")
    const bytes = readFileSync(file)
    const result = await unpackLayer(chunked(bytes), { name: file, target, whiteouts: "none" })
    const found = listing(target)
    // Without an entry for the root, that is left to whoever unpacks.
    const first = command[0] === "busybox" ? 1 : 0
    expect(found.slice(first)).toEqual(byGnuTar(file).slice(first))
    expect(found.length).toBeGreaterThan(20)
    expect(result.diffId).toBe(`sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`)
    expect(result.bytes).toBe(bytes.length)
    if (command.includes("-S")) {
      for (const name of ["sparse", "very sparse", "all hole"]) {
        const { blocks, size } = lstatSync(`${target}/${name}`)
        expect(blocks * 512).toBeLessThan(size)
      }
    }
  })

  test("the whole tree arrives: what PAX keeps is what was there", async () => {
    const target = temporaryDirectory("ours")
    const file = archive([...GNU, "--format=pax", "-S", "-cf"], [])
    await unpackLayer(chunked(readFileSync(file)), { name: file, target, whiteouts: "none" })
    expect(listing(target)).toEqual(listing(source))
  })

  test.each([1, 7, 511, 512, 513, 100_003])("in chunks of %i bytes", async (size) => {
    const excluded = ["big", "zz*", "empty", "very*", "deep"]
    const bytes = readFileSync(archive([...GNU, "--format=pax", "-S", "-cf"], excluded))
    const target = temporaryDirectory("ours")
    await unpackLayer(chunked(bytes, size), { name: "archive", target, whiteouts: "none" })
    const other = temporaryDirectory("ours")
    await unpackLayer(chunked(bytes, 2 ** 24), { name: "archive", target: other, whiteouts: "none" })
    expect(listing(target)).toEqual(listing(other))
  })

  test.each([
    ["gzip", (bytes: Buffer) => gzipSync(bytes)],
    [
      "gzip of several members",
      (bytes: Buffer) => Buffer.concat([gzipSync(bytes.subarray(0, 9999)), gzipSync(bytes.subarray(9999))]),
    ],
    ["zstd", (bytes: Buffer) => zstdCompressSync(bytes)],
    [
      "zstd of several frames",
      (bytes: Buffer) =>
        Buffer.concat([
          zstdCompressSync(bytes.subarray(0, 9999)),
          Buffer.from("502a4d1803000000616263", "hex"),
          zstdCompressSync(bytes.subarray(9999)),
        ]),
    ],
  ])("%s", async (_, compress) => {
    const bytes = readFileSync(archive([...GNU, "--format=pax", "-cf"], []))
    const target = temporaryDirectory("ours")
    const progress: number[] = []
    const result = await unpackLayer(chunked(compress(bytes)), {
      name: "archive",
      target,
      whiteouts: "none",
      progress: (done) => progress.push(done),
    })
    expect(result).toMatchObject({ bytes: bytes.length })
    expect(progress.at(-1)).toBe(bytes.length)
    expect(listing(target).length).toBe(listing(source).length)
  })
})
