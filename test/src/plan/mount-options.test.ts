import { describe, expect, test } from "bun:test"
import * as mount from "../../../ffi/constants/mount.ts"
import { isMountOption, parseMountOptions, propagationFlag } from "../../../src/plan/mount-options.ts"
import { random } from "../cgroup/random.ts"

const NOTHING = { set: 0, clear: 0, recursiveSet: 0, recursiveClear: 0, propagation: 0 }
const ATIME = mount.MOUNT_ATTR__ATIME

/** Option, what it sets, what it clears: mount_setattr(2). */
const ROWS: readonly (readonly [string, number, number])[] = [
  ["ro", 1, 0],
  ["rw", 0, 1],
  ["nosuid", 2, 0],
  ["suid", 0, 2],
  ["nodev", 4, 0],
  ["dev", 0, 4],
  ["noexec", 8, 0],
  ["exec", 0, 8],
  ["nosymfollow", 0x200000, 0],
  ["symfollow", 0, 0x200000],
  ["noatime", 0x10, ATIME],
  ["relatime", 0, ATIME],
  ["strictatime", 0x20, ATIME],
  ["nodiratime", 0x80, 0],
  ["diratime", 0, 0x80],
]

describe.each(ROWS)("%s", (option, set, clear) => {
  test("applies to the mount, with r before it to the whole tree", () => {
    expect(parseMountOptions([option]).attributes).toEqual({ ...NOTHING, set, clear })
    expect(parseMountOptions([`r${option}`]).attributes).toEqual({
      ...NOTHING,
      recursiveSet: set,
      recursiveClear: clear,
    })
    expect([isMountOption(option), parseMountOptions([option]).data]).toEqual([true, []])
  })
})

test("the later one wins over the earlier one", () => {
  expect(parseMountOptions(["ro", "rw"]).attributes).toEqual({ ...NOTHING, clear: 1 })
  expect(parseMountOptions(["rw", "ro"]).attributes).toEqual({ ...NOTHING, set: 1 })
  expect(parseMountOptions(["noatime", "strictatime"]).attributes).toEqual({ ...NOTHING, set: 0x20, clear: ATIME })
  expect(parseMountOptions(["strictatime", "relatime"]).attributes).toEqual({ ...NOTHING, set: 0, clear: ATIME })
  expect(parseMountOptions(["rro", "rrw"]).attributes).toEqual({ ...NOTHING, recursiveClear: 1 })
  expect(parseMountOptions(["rbind", "bind"])).toMatchObject({ bind: true, recursive: false })
  expect(parseMountOptions(["rslave", "rprivate"]).attributes.propagation).toBe(mount.MS_PRIVATE)
})

test("nothing is both set and cleared, but for the times of access (seed 13)", () => {
  const { pick, int, chance } = random(13)
  for (let round = 0; round < 1000; round++) {
    const options = Array.from({ length: int(0, 8) }, () => `${chance(0.3) ? "r" : ""}${pick(ROWS)[0]}`)
    const { set, clear, recursiveSet, recursiveClear } = parseMountOptions(options).attributes
    expect([set & clear & ~ATIME, recursiveSet & recursiveClear & ~ATIME]).toEqual([0, 0])
    // The kernel takes a new atime setting only where all of the old one is cleared.
    for (const [on, off] of [
      [set, clear],
      [recursiveSet, recursiveClear],
    ] as const) {
      if (on & ATIME) expect(off & ATIME).toBe(ATIME)
    }
  }
})

test.each([
  ["private", mount.MS_PRIVATE],
  ["rprivate", mount.MS_PRIVATE],
  ["slave", mount.MS_SLAVE],
  ["rslave", mount.MS_SLAVE],
  ["shared", mount.MS_SHARED],
  ["rshared", mount.MS_SHARED],
  ["unbindable", mount.MS_UNBINDABLE],
  ["runbindable", mount.MS_UNBINDABLE],
])("%s is a propagation", (option, flag) => {
  expect(parseMountOptions([option]).attributes).toEqual({ ...NOTHING, propagation: flag })
  expect([propagationFlag(option), isMountOption(option)]).toEqual([flag, true])
})

test("the rest is the file system's, in order", () => {
  const { data, attributes } = parseMountOptions([
    "defaults",
    "mode=755",
    "newinstance",
    "size=1=2",
    "gid=",
    "toString",
    "constructor",
  ])
  expect(data).toEqual([
    ["mode", "755"],
    ["newinstance", null],
    ["size", "1=2"],
    ["gid", ""],
    ["toString", null],
    ["constructor", null],
  ])
  expect(attributes).toEqual(NOTHING)
  for (const word of ["defaults", "mode=755", "toString", "rbindx", "r", ""]) expect(isMountOption(word)).toBe(false)
  expect(propagationFlag("toString")).toBeUndefined()
})
