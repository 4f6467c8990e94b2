import { describe, expect, test } from "bun:test"
import { parseAddress, splitPath } from "../../../src/copy/address.ts"

describe("the words of cp", () => {
  test("a container's path begins after the first colon, and is of its root", () => {
    expect(parseAddress("web:/etc/a:b")).toEqual({ kind: "container", container: "web", path: "/etc/a:b" })
    expect(parseAddress("web:etc")).toEqual({ kind: "container", container: "web", path: "/etc" })
    expect(parseAddress("web:/")).toEqual({ kind: "container", container: "web", path: "/" })
    expect(parseAddress("web:é")).toEqual({ kind: "container", container: "web", path: "/\xc3\xa9" })
    expect(() => parseAddress("web:")).toThrow("has no path")
  })

  test("paths of this machine have no colon, or begin as paths do", () => {
    for (const path of ["a", "./a:b", "/a:b", "../x:y", ":x", "a/b"])
      expect(parseAddress(path)).toEqual({ kind: "host", path })
    expect(parseAddress("-")).toEqual({ kind: "stream" })
    expect(() => parseAddress("")).toThrow("empty path")
  })
})

test("paths are taken apart", () => {
  const parts = (path: string) => {
    const { whole, parent, base, wants } = splitPath(path)
    return [whole, parent, base, wants]
  }
  expect(parts("/a/b")).toEqual(["/a/b", "/a", "b", "any"])
  expect(parts("/a")).toEqual(["/a", "/", "a", "any"])
  expect(parts("a")).toEqual(["a", ".", "a", "any"])
  expect(parts("a/b//")).toEqual(["a/b", "a", "b", "directory"])
  expect(parts("/a/.")).toEqual(["/a", "/", "a", "contents"])
  expect(parts("a/./")).toEqual(["a", ".", "a", "contents"])
  expect(parts("/")).toEqual(["/", "/", "", "contents"])
  expect(parts("//.")).toEqual(["/", "/", "", "contents"])
  expect(parts(".")).toEqual([".", ".", ".", "contents"])
  expect(parts("./.")).toEqual([".", ".", ".", "contents"])
  expect(parts("..")).toEqual(["..", ".", "..", "directory"])
  expect(parts("a/.hidden")).toEqual(["a/.hidden", "a", ".hidden", "any"])
})
