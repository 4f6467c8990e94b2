import { expect, test } from "bun:test"
import { parseDevice } from "../../../../src/cgroup/devices.ts"

test.each([
  ["/dev/fuse", "/dev/fuse", "/dev/fuse", "rwm"],
  ["/dev/fuse:r", "/dev/fuse", "/dev/fuse", "r"],
  ["/dev/sda:/dev/xvda", "/dev/sda", "/dev/xvda", "rwm"],
  ["/dev/sda:/dev/xvda:rw", "/dev/sda", "/dev/xvda", "rw"],
])("%s", (text, hostPath, containerPath, access) => {
  expect(parseDevice("--device", text)).toEqual({ hostPath, containerPath, access })
})

test.each([
  "",
  "fuse",
  "/dev/fuse:rr",
  "/dev/fuse:x",
  "/dev/a:/dev/b:",
  "/dev/a:b",
  "/dev/a:/dev/b:r:w",
  "/dev/",
  "/dev/a:/dev/../b",
])("refuses %j", (text) => {
  expect(() => parseDevice("--device", text)).toThrow(
    `--device: ${JSON.stringify(text)} is not a device (use /dev/fuse`,
  )
})
