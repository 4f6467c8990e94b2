import { expect, test } from "bun:test"
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { listDir, listEntries, readDir } from "../../ffi/directory.ts"
import { close, open } from "../../ffi/fs.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { random } from "../src/cgroup/random.ts"

cleanUpAfterAll()

test("listDir has every name, however many (seed 7)", () => {
  const dir = temporaryDirectory()
  const { int, pick } = random(7)
  const names = new Set(["...", ".hidden", "..x", "x".repeat(255)])
  while (names.size < 1500)
    names.add(Array.from({ length: int(1, 60) }, () => pick(["a", ".", "ü", "容", " ", "\n"])).join(""))
  for (const dots of [".", ".."]) names.delete(dots)
  for (const name of names) writeFileSync(`${dir}/${name}`, "")
  expect(listDir(dir).sort()).toEqual([...names].sort())
})

test("listEntries of a directory that is removed while it is open is empty", () => {
  const dir = join(temporaryDirectory(), "gone")
  mkdirSync(dir)
  const fd = open(dir, O_RDONLY)
  rmdirSync(dir)
  expect(listEntries(fd)).toEqual([])
  close(fd)
})

test("listDir of nothing is empty, of a file an error", () => {
  expect(listDir("/nonexistent")).toEqual([])
  expect(() => listDir("/dev/null")).toThrow("ENOTDIR")
})

const readAll = (path: string, suffix: string) => {
  const found = new Map<string, string | null>()
  readDir(path, suffix, (name, text) => found.set(name, text))
  return found
}

test("readDir has the texts of those that are wanted, however many and large", () => {
  const dir = temporaryDirectory()
  const wanted = new Map<string, string | null>()
  for (let i = 0; i < 700; i++) {
    const name = `${"n".repeat(i % 90)}${i}${i % 3 ? ".json" : ".new"}`
    const text = `${i} ü`.repeat(i === 4 ? 60_000 : i % 40)
    writeFileSync(`${dir}/${name}`, text)
    wanted.set(name, i % 3 ? text : null)
  }
  expect(readAll(dir, ".json")).toEqual(wanted)
})

test("readDir of nothing finds nothing; a directory in it is an error", () => {
  expect(readAll("/nonexistent", "").size).toBe(0)
  const dir = temporaryDirectory()
  mkdirSync(`${dir}/sub.json`)
  expect(() => readAll(dir, ".json")).toThrow("EISDIR")
})
