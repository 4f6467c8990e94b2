import { expect, test } from "bun:test"
import { placeIn } from "../../../src/cgroup/place.ts"

const handle = {
  version: 2,
  path: "/toybox.slice/c1",
  dirs: { unified: "/sys/fs/cgroup/toybox.slice/c1" },
  parents: [],
} as const

test("a process below its container's cgroup, and one that is not", () => {
  const place = (path: string) => placeIn(handle, `1:name=systemd:/other\n0::${path}\n`)
  expect(place("/toybox.slice/c1/init.scope")).toBe("/sys/fs/cgroup/toybox.slice/c1/init.scope")
  // Only a part of the tree is mounted.
  expect(place("/outer/toybox.slice/c1/a/b")).toBe("/sys/fs/cgroup/toybox.slice/c1/a/b")
  for (const path of ["/toybox.slice/c1", "/toybox.slice/c12/a", "/", ""]) expect(place(path)).toBe(null)
  expect(placeIn({ ...handle, version: 1, dirs: { cpu: "/sys/fs/cgroup/cpu/c1" } }, "0::/toybox.slice/c1/a\n")).toBe(
    null,
  )
})
