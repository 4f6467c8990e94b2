import { describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { call, scratch } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { RLIMIT_NAMES } from "../../ffi/constants/resource.ts"
import { close } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { rlimit } from "../../ffi/structs.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { type Random, random } from "../src/cgroup/random.ts"

cleanUpAfterAll()

const RLIMIT_NOFILE = RLIMIT_NAMES.indexOf("RLIMIT_NOFILE")

const openDirectory = (at: number, name: string | Uint8Array) =>
  call("openat", at, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)

/** Makes `depth` directories inside each other: their path is longer than any call takes. */
function nest(path: string, depth: number): void {
  mkdirSync(path)
  let fd = openDirectory(AT_FDCWD, path)
  for (let i = 0; i < depth; i++) {
    call("mkdirat", fd, "d", 0o755)
    call("symlinkat", "/", fd, "file")
    const next = openDirectory(fd, "d")
    close(fd)
    fd = next
  }
  close(fd)
}

/** Runs `action` with few descriptors to spare. */
function withFewDescriptors(spare: number, action: () => void): void {
  call("prlimit64", 0, RLIMIT_NOFILE, null, scratch.address)
  const [soft, hard] = [scratch.word(0), scratch.word(8)]
  const highest = Math.max(...readdirSync("/proc/self/fd").map(Number))
  call("prlimit64", 0, RLIMIT_NOFILE, rlimit(highest + spare, hard), null)
  try {
    action()
  } finally {
    call("prlimit64", 0, RLIMIT_NOFILE, rlimit(soft, hard), null)
  }
}

test("a tree goes, with everything in it", () => {
  const dir = `${temporaryDirectory()}/tree`
  mkdirSync(`${dir}/a/b/c`, { recursive: true })
  mkdirSync(`${dir}/empty`)
  writeFileSync(`${dir}/a/b/file`, "x")
  call("mknodat", AT_FDCWD, `${dir}/a/fifo`, 0o010600, 0)
  removeTree(dir)
  expect(existsSync(dir)).toBe(false)
  removeTree(dir)
})

test("names that are no UTF-8 go, too", () => {
  const dir = `${temporaryDirectory()}/tree`
  mkdirSync(dir)
  const fd = openDirectory(AT_FDCWD, dir)
  for (const bytes of [
    [0xff, 0],
    [0xc3, 0x28, 0],
    [0x80, 0x2e, 0],
    [0x0a, 0],
  ]) {
    const name = Uint8Array.from(bytes)
    call("mkdirat", fd, name, 0o755)
    const inner = openDirectory(fd, name)
    call("mkdirat", inner, name, 0o755)
    call("symlinkat", "x", inner, Uint8Array.from([0xfe, ...bytes]))
    close(inner)
  }
  close(fd)
  removeTree(dir)
  expect(existsSync(dir)).toBe(false)
})

test("nothing outside is reached through a symlink", () => {
  const parent = temporaryDirectory()
  mkdirSync(`${parent}/kept/deep`, { recursive: true })
  writeFileSync(`${parent}/kept/file`, "kept")
  mkdirSync(`${parent}/tree/sub`, { recursive: true })
  symlinkSync("../kept", `${parent}/tree/link`)
  symlinkSync(`${parent}/kept`, `${parent}/tree/sub/absolute`)
  symlinkSync("..", `${parent}/tree/sub/up`)
  removeTree(`${parent}/tree`)
  expect(readdirSync(parent)).toEqual(["kept"])
  expect(readdirSync(`${parent}/kept`).sort()).toEqual(["deep", "file"])
})

test("a symlink in the place of the tree is refused", () => {
  const parent = temporaryDirectory()
  mkdirSync(`${parent}/kept`)
  writeFileSync(`${parent}/kept/file`, "kept")
  symlinkSync("kept", `${parent}/link`)
  expect(() => removeTree(`${parent}/link`)).toThrow()
  expect(readFileSync(`${parent}/kept/file`, "utf8")).toBe("kept")
})

describe("deep trees", () => {
  test.each([3000, 20_000])("%i levels take neither descriptors nor stack", (depth) => {
    // In memory: a disk would take seconds to make it.
    const dir = mkdtempSync("/dev/shm/toybox-deep-")
    nest(`${dir}/deep`, depth)
    withFewDescriptors(8, () => removeTree(dir))
    expect(existsSync(dir)).toBe(false)
  })
})

function anyTree({ int, chance, pick }: Random, path: string, depth: number): number {
  mkdirSync(path)
  let count = 0
  for (let n = int(0, 6); n > 0; n--) {
    // Few names, so that the same ones come at many levels.
    const name = `${path}/${pick(["a", "b", "0", "1", "2", ".removed", ".0", ".1"])}`
    if (existsSync(name)) continue
    count++
    if (depth > 0 && chance(0.6)) count += anyTree({ int, chance, pick }, name, depth - 1)
    else writeFileSync(name, "")
  }
  return count
}

test("any tree goes (seed 8)", () => {
  const source = random(8)
  const parent = temporaryDirectory()
  let entries = 0
  for (let round = 0; round < 60; round++) {
    entries += anyTree(source, `${parent}/tree`, 6)
    removeTree(`${parent}/tree`)
    expect(readdirSync(parent)).toEqual([])
  }
  expect(entries).toBeGreaterThan(1000)
})
