/** Archives that want out: refused with a reason and nothing left, or contained. */
import { describe, expect, test } from "bun:test"
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import type { UnpackOptions } from "../../src/image/layer/unpack.ts"
import { listing } from "../helpers/listing.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { gnuLong, type HandMade, paxHeader, tarArchive } from "../helpers/tar.ts"
import { dir, file, hard, hostilePlace, link, refusal, unpackBytes } from "../helpers/unpack.ts"
import { random } from "../src/cgroup/random.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const place = hostilePlace()
const unpack = (bytes: Uint8Array, options: Partial<UnpackOptions> = {}) => unpackBytes(bytes, place.target, options)
const refused = (bytes: Uint8Array, options: Partial<UnpackOptions> = {}) => refusal(bytes, place.target, options)

describe.skipIf(!isRoot)("nothing escapes", () => {
  test("absolute names are inside", async () => {
    await unpack(tarArchive(file("/etc/passwd"), file("//tmp///x"), dir("/"), file("./a/./b")))
    expect(readFileSync(`${place.target}/etc/passwd`, "latin1")).toBe("x")
    expect(existsSync(`${place.target}/tmp/x`)).toBe(true)
    expect(existsSync(`${place.target}/a/b`)).toBe(true)
  })

  test.each(["../outside/file", "a/../../outside/file", "..", "/../outside/new", "a/b/../../../x", "./.."])(
    "the name %s is refused",
    async (name) => {
      const text = await refused(tarArchive(file("first"), file(name)))
      expect(text).toBe(`bad.tar is refused: the entry "${name}": its name leads out with ".."`)
    },
  )

  test.each([".", "/", "./", "/.", "", "/./."])("the root (%s) stays a directory: CVE-2021-29136", async (name) => {
    for (const type of ["2", "3", "6"]) {
      const text = await refused(tarArchive({ name, type, link: "/etc", size: 0 }))
      expect(text).toContain("it is the root, but no directory")
    }
  })

  test.each(["../outside", "/outside", "../../../../../../outside", "directory/../../outside"])(
    "a name through a symlink to %s is looked up inside",
    async (to) => {
      const inner = [dir("outside"), dir("outside/directory"), link("way", to), link("directory", "outside/directory")]
      await unpack(tarArchive(...inner, file("way/directory/planted"), file("way/file", "inside")))
      expect(readFileSync(`${place.target}/outside/file`, "latin1")).toBe("inside")
      expect(existsSync(`${place.target}/outside/directory/planted`)).toBe(true)
    },
  )

  test("an absolute symlink to the real outside leads nowhere", async () => {
    const text = await refused(tarArchive(link("way", place.outside), file("way/file", "changed")))
    expect(text).toBe('bad.tar is refused: the entry "way/file": "way" is a symlink to what is not there')
  })

  test("chains and loops of symlinks", async () => {
    expect(await refused(tarArchive(link("a", "b"), link("b", "a"), file("a/x")))).toContain("leads nowhere")
    const chain = [link("a", "b"), link("b", "../c"), link("c", "/../d"), dir("d")]
    await unpack(tarArchive(...chain, file("a/x")))
    expect(existsSync(`${place.target}/d/x`)).toBe(true)
  })

  test("a symlink in the place of a file is replaced, not written through", async () => {
    await unpack(tarArchive(link("file", `${place.outside}/file`), file("file", "new")))
    expect(lstatSync(`${place.target}/file`).isFile()).toBe(true)
  })

  test("owners, modes, times and attributes do not go through a symlink: CVE-2021-32760, CVE-2025-47290", async () => {
    const entry: HandMade = {
      name: "x",
      type: "2",
      link: `${place.outside}/file`,
      mode: 0o777,
      uid: 1,
      gid: 2,
      mtime: 5,
    }
    const attributes = paxHeader([["SCHILY.xattr.trusted.x", "y"]])
    await unpack(tarArchive(attributes, entry, entry))
    const { uid, gid, mtimeMs } = lstatSync(`${place.target}/x`)
    expect({ uid, gid, mtimeMs }).toEqual({ uid: 1, gid: 2, mtimeMs: 5000 })
  })

  test("a symlink in the place of a directory is replaced by it, its mode given at the end to the right one", async () => {
    const late = dir("d", { mode: 0o700, mtime: 7 })
    await unpack(tarArchive(dir("d"), link("d", place.outside), late, file("d/x")))
    expect(lstatSync(`${place.target}/d`).mtimeMs).toBe(7000)
  })

  test("a directory that becomes a symlink keeps its mode to itself", async () => {
    await unpack(tarArchive(dir("d", { mode: 0o777, uid: 9 }), file("d/x"), link("d", place.outside)))
    expect(readlinkSync(`${place.target}/d`)).toBe(place.outside)
  })

  test("hard links reach nothing but earlier files: CVE-2020-10696", async () => {
    for (const to of ["../outside/file", "/../outside/file", "a/../../outside/file"]) {
      expect(await refused(tarArchive(hard("x", to)))).toContain('its target leads out with ".."')
    }
    expect(await refused(tarArchive(hard("x", `${place.outside}/file`)))).toContain(
      "which is not in the archive before it",
    )
    expect(await refused(tarArchive(link("l", place.outside), hard("x", "l/file")))).toContain(
      "is a symlink to what is not",
    )
    expect(await refused(tarArchive(hard("x", "later"), file("later")))).toContain("not in the archive before it")
    expect(await refused(tarArchive(dir("d"), hard("x", "d")))).toContain('a hard link to "d", a directory')
    expect(await refused(tarArchive(hard("x", ".")))).toContain("a directory")
    expect(await refused(tarArchive(hard("x", "/")))).toContain("a directory")
  })

  test("a hard link to a symlink is one to the link itself", async () => {
    await unpack(
      tarArchive(link("l", `${place.outside}/file`), hard("x", "l"), { ...file("x2"), mode: 0o777 }, hard("x", "l")),
    )
    expect(lstatSync(`${place.target}/x`).isSymbolicLink()).toBe(true)
    expect(lstatSync(`${place.target}/x`).nlink).toBe(2)
    expect(await unpackAgain(tarArchive(link("l", `${place.outside}/file`), hard("x", "l"), file("x", "new")))).toBe(
      "new",
    )
  })

  async function unpackAgain(bytes: Uint8Array): Promise<string> {
    const other = `${place.target}/again`
    mkdirSync(other)
    await unpack(bytes, { target: other })
    return readFileSync(`${other}/x`, "latin1")
  }

  test("a hard link to itself, and one in the place of its target's directory", async () => {
    await unpack(tarArchive(file("a", "kept"), hard("a", "a"), hard("./a", "/a")))
    expect(readFileSync(`${place.target}/a`, "latin1")).toBe("kept")
  })

  test("names below what is no directory are refused", async () => {
    expect(await refused(tarArchive(file("a"), file("a/b")))).toContain('"a" is not a directory')
    expect(await refused(tarArchive({ name: "p", type: "6" }, file("p/b")))).toContain('"p" is not a directory')
  })

  test("device nodes are made as they are, with numbers that exist", async () => {
    await unpack(tarArchive({ name: "null", type: "3", major: 1, minor: 3, mode: 0o666, uid: 5 }))
    const { rdev, uid, mode } = lstatSync(`${place.target}/null`)
    expect({ rdev, uid, mode: mode & 0o7777 }).toEqual({ rdev: 259, uid: 5, mode: 0o666 })
    const other = `${place.target}/other`
    mkdirSync(other)
    const huge = tarArchive({ name: "x", type: "4", major: 4096, minor: 0 })
    await expect(unpack(huge, { target: other })).rejects.toThrow("device number 4096:0 is out of range")
  })

  test("what the host's overlay and labels keep for themselves is left out", async () => {
    const records = ["trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.metacopy", "security.selinux"]
    const attributes = [...records, "user.kept"].map((name) => [`SCHILY.xattr.${name}`, "y"] as const)
    await unpack(tarArchive(paxHeader(attributes), file("x"), paxHeader(attributes), dir("d")))
    expect(listing(place.target).filter((line) => / user\.kept=79 /.test(line)).length).toBe(2)
    expect(listing(place.target).join("\n")).not.toMatch(/overlay|selinux/)
  })

  test("names with a NUL, and links without a target", async () => {
    expect(await refused(tarArchive(paxHeader([["path", "a\0b"]]), file("x")))).toContain("its name has a NUL in it")
    expect(await refused(tarArchive(paxHeader([["linkpath", "a\0b"]]), link("x", "y")))).toContain("NUL")
    expect(await refused(tarArchive(link("x", "")))).toContain("a symlink without a target")
    expect(await refused(tarArchive(gnuLong("L", "c".repeat(256)), file("")))).toMatch(/ENAMETOOLONG/)
  })

  test("a name cannot write to the terminal", async () => {
    const text = await refused(tarArchive(file("\x1b]0;owned\x07/../x")))
    expect(text).toContain('"\\x1b]0;owned\\x07/../x"')
  })

  test("any mixture stays inside (seed 31)", async () => {
    const { int, pick, chance } = random(31)
    let unpacked = 0
    const words = ["a", "b", "c", "outside", "file"]
    const ups = ["..", "/", ".", place.outside.slice(1), "directory"]
    for (let round = 0; round < 300; round++) {
      const path = () => Array.from({ length: int(1, 3) }, () => pick(chance(0.02) ? ups : words)).join("/")
      const to = () => Array.from({ length: int(1, 4) }, () => pick(chance(0.5) ? ups : words)).join("/")
      const entries = Array.from({ length: int(1, 12) }, () => {
        const kind = int(0, 4)
        if (kind === 0) return dir(path(), { mode: pick([0o755, 0, 0o777]), uid: int(0, 5) })
        if (kind === 1) return link(path(), pick([to(), place.outside, `${place.outside}/file`, `../../${to()}`]))
        if (kind === 2) return hard(path(), path())
        if (kind === 3) return { name: path(), type: "6", mode: 0o666 }
        return { ...file(path(), "y"), uid: int(0, 5), mode: 0o777 }
      })
      const inner = `${place.target}/${round}`
      mkdirSync(inner)
      const done = await unpack(tarArchive(...entries), { target: inner }).catch((error: Error) => error)
      if (done instanceof Error) {
        expect(done.name).toBe("ToyboxError")
        expect(readdirSync(inner)).toEqual([])
      } else unpacked++
      expect(listing(place.outside)).toEqual(place.before)
    }
    expect(unpacked).toBeGreaterThan(60)
  })
})

describe.skipIf(!isRoot)("later entries win", () => {
  const kinds: Record<string, HandMade> = {
    file: file("x", "file"),
    "another file": file("x", "another"),
    directory: dir("x"),
    symlink: link("x", "y"),
    fifo: { name: "x", type: "6" },
    device: { name: "x", type: "3", major: 1, minor: 3 },
    "hard link": hard("x", "base"),
  }
  const pairs = Object.keys(kinds).flatMap((first) => Object.keys(kinds).map((second) => [first, second] as const))

  test.each(pairs)("%s, then %s", async (first, second) => {
    const [a, b] = [kinds[first] as HandMade, kinds[second] as HandMade]
    const alone = `${place.target}/alone`
    const both = `${place.target}/both`
    mkdirSync(alone)
    mkdirSync(both)
    const start = [dir("."), file("base")]
    await unpack(tarArchive(...start, b), { target: alone })
    await unpack(tarArchive(...start, a, ...(first === "directory" ? [file("x/inner"), dir("x/deep")] : []), b), {
      target: both,
    })
    const kept = first === "directory" && second === "directory"
    expect(listing(both).filter((line) => !kept || !line.startsWith('"x/'))).toEqual(listing(alone))
    expect(existsSync(`${both}/x/inner`)).toBe(kept)
  })
})
