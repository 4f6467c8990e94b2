import { expect, test } from "bun:test"
import { ancestors, cgroupPath, ownParents } from "../../../src/cgroup/path.ts"

test.each([
  ["a", "/a"],
  ["/a/b", "/a/b"],
  ["a//b/", "/a/b"],
  ["./a", "/a"],
])("%s is %s", (text, path) => {
  expect(cgroupPath("--cgroup-parent", text)).toBe(path)
})

test.each(["", "/", "..", "/a/../../b", "a\nb", "a\0b", `/${"x".repeat(256)}`])("refuses %j", (text) => {
  expect(() => cgroupPath("--cgroup-parent", text)).toThrow("--cgroup-parent: ")
})

test("ancestors, and those that are toybox's", () => {
  expect(ancestors("/a/b/c")).toEqual(["/a", "/a/b"])
  expect(ancestors("/a")).toEqual([])
  expect(ownParents("/m", "/toybox.slice/x/y")).toEqual(["/m/toybox.slice/x", "/m/toybox.slice"])
  expect(ownParents("/m", "/toybox.slices/x")).toEqual([])
  expect(ownParents("/m", "/system.slice/x")).toEqual([])
})
