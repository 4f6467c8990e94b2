/** What is told while an archive comes: a bar on a terminal, lines elsewhere. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"
import { type Terminal, terminal, terminalUnavailable } from "../helpers/tty.ts"
import { nastyServer } from "../src/image/fetch/server.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** An archive that takes about three seconds to come. */
function slowArchive(): URL {
  const path = join(temporaryDirectory("archive"), "root.tar")
  Bun.spawnSync(["tar", "-C", makeRoot(), "-cf", path, "."])
  const body = readFileSync(path)
  const { url } = nastyServer(() => ({ body, slowly: [60, Math.ceil(body.length / 50)] }))
  return new URL("/a-root-with-a-long-name.tar", url)
}

describe.skipIf(!isRoot || terminalUnavailable() !== undefined)("on a terminal", () => {
  test("a bar shows bytes, rate and time left, follows the width, and goes away", async () => {
    let open: Terminal | undefined
    try {
      const cmd = [toyboxBinary(), ...ownRun("--rm", slowArchive().href, "echo", "it", "runs")]
      open = await terminal({ cmd, cols: 110, rows: 10 })
      const bar =
        /^a-root-with-a-long-name\.tar {2}\[#+ *\] {2} ?\d+ % {2}[\d.]+ [kM]B of \d\.\d MB {2}[\d.]+ [kM]B\/s, \d\.\d s left$/m
      await open.waitFor(bar)
      open.resize(60, 10)
      const narrow = await open.waitFor(/^[^\n]*%[^\n]* left$/m)
      for (const line of narrow.split("\n")) expect(line.length).toBeLessThanOrEqual(60)
      expect(await open.exited()).toBe(0)
      expect(open.screen()).toContain("it runs")
      expect(open.screen()).not.toContain(" left")
    } finally {
      await open?.close()
    }
  }, 30_000)
})

describe.skipIf(!isRoot)("elsewhere", () => {
  test("plain lines, and nothing with --quiet", async () => {
    const plain = await toybox(ownRun("--rm", slowArchive().href, "true"))
    expect(plain.stderr).toMatch(
      /^toybox: .* without --checksum: .*\ntoybox: http:.*: 2\.\d MB fetched and unpacked in \d\.\d s\n$/,
    )
    const quiet = await toybox(ownRun("--rm", "--quiet", slowArchive().href, "true"))
    expect(quiet).toMatchObject({ stdout: "", stderr: "", exitCode: 0 })
  }, 30_000)
})
