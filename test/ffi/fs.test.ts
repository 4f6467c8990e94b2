import { describe, expect, test } from "bun:test"
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { call, callResult } from "../../ffi/call.ts"
import { O_RDONLY, O_RDWR } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import * as fs from "../../ffi/fs.ts"
import { tryLock } from "../../ffi/lock.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

/** The errno of what `attempt` throws. */
function errnoOf(attempt: () => unknown): string | undefined {
  try {
    attempt()
  } catch (error) {
    return isErrno(error, "ENOENT", "ENOTDIR", "EISDIR", "EEXIST", "ELOOP", "ENOTEMPTY") ? error.errno : String(error)
  }
  return undefined
}

describe("files", () => {
  test.each([0, 1, 65_535, 65_536, 65_537, 1_048_576, 3_500_001])("%i bytes are written and read whole", (size) => {
    const path = `${temporaryDirectory()}/file`
    const bytes = Uint8Array.from({ length: size }, (_, i) => i * 7 + (i >> 8))
    fs.writeFile(path, bytes)
    expect(Buffer.compare(readFileSync(path), bytes)).toBe(0)
    const fd = fs.open(path, O_RDONLY)
    expect(Buffer.compare(fs.readAll(fd), bytes)).toBe(0)
    fs.close(fd)
  })

  test("readAll stops at the limit", () => {
    const path = `${temporaryDirectory()}/file`
    writeFileSync(path, "x".repeat(200_000))
    for (const limit of [0, 1, 65_536, 70_000, 200_000, 300_000]) {
      const fd = fs.open(path, O_RDONLY)
      expect(fs.readAll(fd, limit).length).toBe(Math.min(limit, 200_000))
      fs.close(fd)
    }
  })

  test("readAll reads what tells no size", () => {
    expect(fs.readText("/proc/self/status")).toContain("Name:")
    expect(fs.readText("/proc/self/mountinfo").endsWith("\n")).toBe(true)
  })

  test("tryReadText is null where there is none, and throws otherwise", () => {
    expect(fs.tryReadText("/nonexistent/x")).toBeNull()
    expect(fs.tryReadText("/dev/null/x")).toBeNull()
    expect(errnoOf(() => fs.tryReadText("/proc"))).toBe("EISDIR")
    expect(errnoOf(() => fs.readText("/nonexistent"))).toBe("ENOENT")
  })

  test("writeFile does not follow a symlink that somebody planted", () => {
    const dir = temporaryDirectory()
    writeFileSync(`${dir}/victim`, "kept")
    symlinkSync("victim", `${dir}/link`)
    expect(errnoOf(() => fs.writeFile(`${dir}/link`, "x"))).toBe("ELOOP")
    expect(readFileSync(`${dir}/victim`, "utf8")).toBe("kept")
  })

  test("writeText writes into what exists, and makes nothing", () => {
    const dir = temporaryDirectory()
    expect(errnoOf(() => fs.writeText(`${dir}/none`, "x"))).toBe("ENOENT")
    writeFileSync(`${dir}/file`, "longer than that")
    fs.writeText(`${dir}/file`, "short")
    expect(readFileSync(`${dir}/file`, "utf8")).toBe("shortr than that")
  })

  test("replaceFile is a new file under the old name, private unless said", () => {
    const dir = temporaryDirectory()
    const path = `${dir}/état`
    fs.replaceFile(path, "one")
    const reader = fs.open(path, O_RDONLY)
    fs.replaceFile(path, "two", 0o644)
    expect(new TextDecoder().decode(fs.readAll(reader))).toBe("one")
    fs.close(reader)
    expect(readFileSync(path, "utf8")).toBe("two")
    expect(statSync(path).mode & 0o777).toBe(0o644)
    expect(readdirSync(dir)).toEqual(["état"])
    // What a kill in the middle left behind is no hindrance.
    writeFileSync(`${path}.${process.pid}.new`, "half of something that was longer")
    fs.replaceFile(path, "three")
    expect([readFileSync(path, "utf8"), readdirSync(dir)]).toEqual(["three", ["état"]])
  })

  test("createExclusive makes it once", () => {
    const path = `${temporaryDirectory()}/file`
    const fd = fs.createExclusive(path)
    expect(fd).toBeGreaterThan(2)
    expect(callResult("fcntl", fd, 1)).toBe(1)
    expect(fs.createExclusive(path)).toBeNull()
    expect(errnoOf(() => fs.createExclusive("/nonexistent/file"))).toBe("ENOENT")
    fs.close(fd as number)
  })
})

describe("stat", () => {
  test("tells what node:fs tells", () => {
    const dir = temporaryDirectory()
    const path = `${dir}/file`
    writeFileSync(path, "12345")
    chmodSync(path, 0o4751)
    linkSync(path, `${dir}/second`)
    utimesSync(path, 1_000_000_000.25, 1_600_000_000.125)
    const found = fs.stat(path)
    const expected = statSync(path)
    const { mode, uid, gid, nlink, size, ino } = expected
    expect(found).toMatchObject({ mode, uid, gid, nlink, size, ino, mtime: 1_600_000_000_125 })
    expect(fs.stat(`${dir}/second`)?.ino).toBe(ino)
    expect(fs.isDirectory(found)).toBe(false)
    expect(fs.isDirectory(fs.stat(dir))).toBe(true)
  })

  test("tells device numbers", () => {
    expect(fs.stat("/dev/null")).toMatchObject({ rdevMajor: 1, rdevMinor: 3 })
    expect((fs.stat("/dev/null")?.mode ?? 0) & 0o170000).toBe(0o020000)
  })

  test("follows a symlink, lstat does not", () => {
    const dir = temporaryDirectory()
    symlinkSync("/dev", `${dir}/link`)
    symlinkSync("nowhere", `${dir}/broken`)
    expect(fs.isDirectory(fs.stat(`${dir}/link`))).toBe(true)
    expect(fs.lstat(`${dir}/link`)?.ino).toBe(lstatSync(`${dir}/link`).ino)
    expect(fs.stat(`${dir}/broken`)).toBeNull()
    expect(fs.lstat(`${dir}/broken`)).not.toBeNull()
    expect([fs.readLink(`${dir}/broken`), fs.readLink(dir), fs.readLink("/nonexistent")]).toEqual([
      "nowhere",
      null,
      null,
    ])
  })

  test("is null only where there is nothing", () => {
    expect(fs.stat("/nonexistent")).toBeNull()
    expect(fs.stat("/dev/null/x")).toBeNull()
    expect(() => fs.stat(`/${"x".repeat(300)}`)).toThrow("ENAMETOOLONG")
  })
})

describe("directories", () => {
  test("mkdir tells whether it made it; mkdirAll makes what is above", () => {
    const dir = temporaryDirectory()
    expect(fs.mkdir(`${dir}/a`, 0o711)).toBe(true)
    expect(fs.mkdir(`${dir}/a`)).toBe(false)
    expect(statSync(`${dir}/a`).mode & 0o777).toBe(0o711)
    fs.mkdirAll(`${dir}/b/c/d`, 0o700)
    fs.mkdirAll(`${dir}/b/c/d`, 0o700)
    expect(statSync(`${dir}/b`).mode & 0o777).toBe(0o700)
    expect(statSync(`${dir}/b/c/d`).isDirectory()).toBe(true)
    expect(errnoOf(() => fs.mkdir(`${dir}/x/y`))).toBe("ENOENT")
    writeFileSync(`${dir}/file`, "")
    expect(errnoOf(() => fs.mkdirAll(`${dir}/file/y`))).toBe("ENOTDIR")
  })

  test("unlink and symlink tell whether they did something; rmdir throws", () => {
    const dir = temporaryDirectory()
    expect([fs.symlink("a", `${dir}/l`), fs.symlink("b", `${dir}/l`), fs.readLink(`${dir}/l`)]).toEqual([
      true,
      false,
      "a",
    ])
    expect([fs.unlink(`${dir}/l`), fs.unlink(`${dir}/l`)]).toEqual([true, false])
    mkdirSync(`${dir}/full/x`, { recursive: true })
    expect(errnoOf(() => fs.rmdir(`${dir}/full`))).toBe("ENOTEMPTY")
    expect(errnoOf(() => fs.unlink(`${dir}/full`))).toBe("EISDIR")
    expect(fs.exists(`${dir}/full`) && !fs.exists(`${dir}/none`)).toBe(true)
  })
})

test("a lock excludes every other open file, until it is closed", () => {
  const path = `${temporaryDirectory()}/lock`
  writeFileSync(path, "")
  const [first, second] = [fs.open(path, O_RDWR), fs.open(path, O_RDWR)]
  expect([tryLock(first), tryLock(second), tryLock(first)]).toEqual([true, false, true])
  fs.close(first)
  expect(tryLock(second)).toBe(true)
  fs.close(second)
  expect(callResult("close", call("dup", 0))).toBe(0)
})
