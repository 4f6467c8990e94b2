/** The executable for arm64, in a machine of that kind. Where the emulator for it is installed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { vmUnavailable } from "./machine.ts"
import { session } from "./session.ts"

const missing = vmUnavailable("arm64")
if (missing !== undefined) console.log(`arm64 test skipped: ${missing}`)

describe.skipIf(missing !== undefined)("on arm64", () => {
  const dir = mkdtempSync(join(tmpdir(), "toybox-arm64-"))
  const binary = join(dir, "toybox")
  afterAll(() => rmSync(dir, { recursive: true, force: true }))
  beforeAll(() => {
    const compile = [process.execPath, "build/compile.ts", "--target", "linux-arm64", "--output", binary]
    const { exitCode, stderr } = Bun.spawnSync(["timeout", "-k", "5", "120", ...compile], {
      cwd: resolve(import.meta.dir, "../.."),
    })
    if (exitCode !== 0) throw new Error(`${compile.join(" ")}: ${stderr}`)
  }, 130_000)
  const { section, lines } = session({
    arch: "arm64",
    binary,
    timeoutSeconds: 240,
    script: `
      section run
      toybox run --rm --cpu 10% --mem 50M --hostname arm base sh -c '
        uname -m; hostname; echo $$; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max; grep CapEff /proc/self/status'
      echo $?
      section oom; toybox run --rm --mem 50M base tail /dev/zero; echo $?
      section devices
      toybox run --rm --cap-add MKNOD base sh -c 'mknod /kmsg c 1 11 && echo x 2>&1 >/kmsg; head -c 3 /dev/zero | wc -c'
      section left; left`,
  })

  test("runs a container with its limits", () => {
    const expected = ["aarch64", "arm", "1", "52428800", "10000 100000", "CapEff:\t00000000800405fb", "0"]
    expect(lines("run")).toEqual(expected)
    expect(lines("oom")).toEqual(["toybox: killed: out of memory (limit 50 MiB)", "137"])
  })

  test("limits devices, and leaves nothing", () => {
    expect(lines("devices")).toEqual(["sh: can't create /kmsg: Operation not permitted", "3"])
    expect(section("left")).toBe("")
  })
})
