import { describe, expect, test } from "bun:test"
import { parseBlkioWeight, parseDeviceRate, parseIoWeight, parsePids } from "../../../../src/cgroup/units.ts"

test("parsePids", () => {
  expect(parsePids("--pids", "1")).toBe(1)
  expect(parsePids("--pids", "4194304")).toBe(4_194_304)
  expect(parsePids("--pids", "-1")).toBe(-1)
  expect(parsePids("--pids", "max")).toBe(-1)
  expect(parsePids("--pids", "0")).toBe(-1)
  for (const text of ["00", "4194305", "-2", "1.5", "", "1e3", "ten", " 5"]) {
    const form = "is not a number of processes (use 1 to 4194304, or -1 for no limit)"
    expect(() => parsePids("--pids", text)).toThrow(`--pids: ${JSON.stringify(text)} ${form}`)
  }
})

test("weights", () => {
  expect(parseIoWeight("--io-weight", "1")).toBe(1)
  expect(parseIoWeight("--io-weight", "10000")).toBe(10_000)
  expect(parseBlkioWeight("--blkio-weight", "10")).toBe(10)
  for (const text of ["0", "10001", "x", ""]) expect(() => parseIoWeight("--io-weight", text)).toThrow("1 to 10000")
  for (const text of ["9", "1001", "x", ""])
    expect(() => parseBlkioWeight("--blkio-weight", text)).toThrow("10 to 1000")
})

describe("parseDeviceRate", () => {
  test.each([
    ["/dev/sda:1mb", "bps", "/dev/sda", 1_048_576],
    ["/dev/disk/by-path/pci-0:1:2:500k", "bps", "/dev/disk/by-path/pci-0:1:2", 512_000],
    ["/dev/sda:1000", "iops", "/dev/sda", 1000],
    ["/dev/sda:4294967295", "iops", "/dev/sda", 4_294_967_295],
    ["/dev/sda:0", "bps", "/dev/sda", 0],
    ["/dev/sda:0", "iops", "/dev/sda", 0],
  ] as const)("%s %s", (text, kind, path, rate) => {
    expect(parseDeviceRate("--x", text, kind)).toEqual({ path, rate })
  })

  test.each([
    "",
    "/dev/sda",
    "/dev/sda:",
    ":1mb",
    "sda:1mb",
    "/dev/sda:0.1",
    "/dev/sda:-1",
    "/dev/sda:1 mb",
    "/dev/sda:fast",
  ])("refuses %j", (text) => {
    const form = "is not a device and its bytes per second (use /dev/sda:1mb, or :0 for no limit)"
    expect(() => parseDeviceRate("--device-read-bps", text, "bps")).toThrow(
      `--device-read-bps: ${JSON.stringify(text)} ${form}`,
    )
  })

  test("operations take no unit and fit the kernel's 32 bits", () => {
    for (const text of ["/dev/sda:1mb", "/dev/sda:4294967296"]) {
      expect(() => parseDeviceRate("--device-read-iops", text, "iops")).toThrow(
        "operations per second (use /dev/sda:1000, or :0 for no limit)",
      )
    }
  })
})
