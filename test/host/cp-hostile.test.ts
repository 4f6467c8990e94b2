/** What is put into a tree that others have made, and are changing: nothing outside of it is reached. */
import { describe, expect, test } from "bun:test"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { call } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { SyscallError } from "../../ffi/errno.ts"
import { close } from "../../ffi/fs.ts"
import { createCopyPlacer } from "../../src/copy/place.ts"
import { EntryError } from "../../src/image/layer/errors.ts"
import { createTarReader } from "../../src/image/layer/tar/reader.ts"
import { listing } from "../helpers/listing.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { type HandMade, tarArchive } from "../helpers/tar.ts"
import { dir, file, hard, hostilePlace, link } from "../helpers/unpack.ts"
import { random } from "../src/cgroup/random.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const place = hostilePlace()

/** Puts an archive into `directory` of the target; the error, or null. */
function put(bytes: Uint8Array, directory: string, follow: boolean): Error | null {
  const top = follow ? place.target : `${place.target}/${directory}`
  const rootFd = call("openat", AT_FDCWD, top, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
  const placer = createCopyPlacer({ rootFd, directory: follow ? directory : "", follow }, (entry) => entry)
  try {
    const reader = createTarReader(placer)
    reader.push(bytes)
    reader.finish()
    placer.finish()
    return null
  } catch (error) {
    if (error instanceof EntryError || error instanceof SyscallError) return error
    throw error
  } finally {
    placer.close()
    close(rootFd)
  }
}

/** A tree with links that lead out, if they are followed by others than the container. */
function prepare(): void {
  mkdirSync(`${place.target}/in/real`, { recursive: true })
  writeFileSync(`${place.target}/in/real/kept`, "kept")
  symlinkSync(place.outside, `${place.target}/in/abs`)
  symlinkSync(`../../${place.outside.split("/").at(-1)}`, `${place.target}/in/rel`)
  symlinkSync("/in/real", `${place.target}/in/own`)
  symlinkSync(`${place.outside}/file`, `${place.target}/in/out`)
}

describe.skipIf(!isRoot)("a copy into a tree with symlinks", () => {
  test("follows those to its own directories, where that is wanted, and no others", () => {
    prepare()
    expect(put(tarArchive(file("own/new"), dir("own/deeper"), file("own/deeper/x")), "in", true)).toBeNull()
    expect(listing(`${place.target}/in/real`).filter((line) => /^"(new|deeper\/x)"/.test(line))).toHaveLength(2)
    for (const name of ["abs/x", "rel/x", "abs/directory/x"]) {
      expect(put(tarArchive(file(name)), "in", true)).toBeInstanceOf(EntryError)
      expect(put(tarArchive(file(name)), "in", false)).toBeInstanceOf(EntryError)
    }
    expect(put(tarArchive(file("own/x")), "in", false)).toBeInstanceOf(EntryError)
    expect(put(tarArchive(dir("own")), "in", false)).toBeInstanceOf(EntryError)
  })

  test("replaces a symlink by a file, and links to nothing outside", () => {
    prepare()
    expect(put(tarArchive(file("out", "mine"), hard("twin", "out")), "in", true)).toBeNull()
    expect(put(tarArchive(hard("x", "abs/file")), "in", true)).toBeInstanceOf(EntryError)
    expect(put(tarArchive(hard("x", `${place.outside}/file`)), "in", false)).toBeInstanceOf(EntryError)
    expect(put(tarArchive(hard("x", "../../outside/file")), "in", true)).toBeInstanceOf(EntryError)
    for (const name of ["../x", "/../x", "a/../../x"]) expect(put(tarArchive(file(name)), "in", true)).not.toBeNull()
  })

  test("replaces no directory, and nothing by a directory", () => {
    prepare()
    expect(put(tarArchive(file("real")), "in", true)).toBeInstanceOf(EntryError)
    expect(put(tarArchive(link("real", "x")), "in", true)).toBeInstanceOf(EntryError)
    expect(put(tarArchive(dir("real/kept")), "in", true)).toBeInstanceOf(EntryError)
    expect(put(tarArchive(dir("real", { mode: 0o700 }), link("real/kept", "x")), "in", true)).toBeNull()
    expect(listing(`${place.target}/in/real`).join("\n")).toMatch(/"\." 40700 .*\n"kept" 120777 /)
  })

  test("any mixture, again and again into the same tree, stays inside (seed 7)", () => {
    prepare()
    const { int, pick, chance } = random(7)
    const words = ["a", "b", "real", "own", "abs", "rel", "out", "kept", "in"]
    const ups = ["..", "/", ".", place.outside.slice(1), "directory", "outside"]
    let done = 0
    for (let round = 0; round < 400; round++) {
      const path = () => Array.from({ length: int(1, 3) }, () => pick(chance(0.03) ? ups : words)).join("/")
      const to = () => Array.from({ length: int(1, 4) }, () => pick(chance(0.5) ? ups : words)).join("/")
      const entries = Array.from({ length: int(1, 6) }, (): HandMade => {
        const kind = int(0, 4)
        if (kind === 0) return dir(path(), { mode: pick([0o755, 0, 0o777]), uid: int(0, 5) })
        if (kind === 1) return link(path(), pick([to(), place.outside, `${place.outside}/file`, `../../${to()}`]))
        if (kind === 2) return hard(path(), path())
        if (kind === 3) return { name: path(), type: "6", mode: 0o666 }
        return { ...file(path(), "y"), uid: int(0, 5), mode: 0o777 }
      })
      if (put(tarArchive(...entries), "in", chance(0.5)) === null) done++
    }
    expect(done).toBeGreaterThan(15)
    expect(listing(place.outside)).toEqual(place.before)
  })
})
