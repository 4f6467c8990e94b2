/** A real root file system, compared completely with what GNU tar makes of it; and disks that are too small for it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { closeSync, mkdirSync, openSync, readdirSync, statfsSync } from "node:fs"
import { errorChain, errorHint } from "../../src/errors.ts"
import { readFile } from "../../src/image/layer/read-file.ts"
import { unpackLayer } from "../../src/image/layer/unpack.ts"
import { listing } from "../helpers/listing.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const XATTRS = ["--xattrs", "--xattrs-include=*"]

const attempt = (cmd: string[], timeout = 300_000): boolean =>
  Bun.spawnSync(cmd, { timeout, stdout: "ignore", stderr: "ignore", env: { ...process.env, LC_ALL: "C" } }).exitCode ===
  0

function run(...cmd: string[]): void {
  if (!attempt(cmd)) throw new Error(`failed: ${cmd.join(" ")}`)
}

/** Of Debian's archive; where that cannot be reached, of what is installed here. Compressed by gzip. */
function makeRootArchive(): { archive: string; tar: string } {
  const dir = temporaryDirectory("root")
  const tar = `${dir}/root.tar`
  // ping has file capabilities.
  const packages = "--include=iputils-ping,libcap2-bin"
  // Nothing of it has to survive a power cut: dpkg's fsync of each file takes most of the time, on a busy disk minutes.
  const options = ["--variant=apt", "--dpkgopt=force-unsafe-io", packages]
  if (!attempt(["mmdebstrap", ...options, "bookworm", tar], 240_000)) {
    console.warn("mmdebstrap failed: parts of this machine's own system are taken instead")
    const parts = ["bin", "etc", "lib", "usr/bin", "usr/sbin", "usr/share/doc", "usr/share/zoneinfo", "var/lib/dpkg"]
    run("tar", ...XATTRS, "--one-file-system", "-C", "/", "-cf", tar, ...parts)
  }
  run("gzip", "-1", "-k", tar)
  return { archive: `${tar}.gz`, tar }
}

async function unpack(file: string, target: string, freeBytes?: number | null) {
  const fd = openSync(file, "r")
  try {
    const limits = freeBytes === undefined ? {} : { limits: { freeBytes } }
    return await unpackLayer(readFile(fd), { name: file, target, whiteouts: "none", ...limits })
  } finally {
    closeSync(fd)
  }
}

describe.skipIf(!isRoot)("a Debian root", () => {
  let made: ReturnType<typeof makeRootArchive>
  const small = () => `${temporaryDirectory("small")}/mount`

  beforeAll(() => {
    made = makeRootArchive()
  }, 600_000)

  test("types, owners, modes, times, attributes, links and content are as GNU tar has them", async () => {
    const target = temporaryDirectory("ours")
    const gnu = temporaryDirectory("gnu")
    const options = [...XATTRS, "--numeric-owner", "--delay-directory-restore"]
    const tar = Bun.spawn(["tar", ...options, "-xpf", made.tar, "-C", gnu], { timeout: 300_000, stderr: "ignore" })
    const { entries } = await unpack(made.archive, target)
    expect(await tar.exited).toBe(0)
    const found = listing(target)
    expect(found).toEqual(listing(gnu))
    expect(found.length).toBeGreaterThan(2000)
    expect(entries).toBeGreaterThanOrEqual(found.length - 1)
  }, 120_000)

  const mounts: string[] = []
  afterAll(() => {
    for (const path of mounts) run("umount", "-l", path)
  })
  function smallDisk(options: string): string {
    const path = small()
    mkdirSync(path)
    run("mount", "-t", "tmpfs", "-o", options, "none", path)
    mounts.push(path)
    return path
  }

  test.each([
    ["bytes", "size=60m", -(2 ** 23), /: write\(.*\): ENOSPC$/],
    [
      "inodes, which are looked at before",
      "size=1g,nr_inodes=3000",
      null,
      /the disk is nearly full: \d+ inodes are free$/,
    ],
    [
      "bytes that are to stay free",
      "size=200m",
      2 ** 27,
      /the disk is nearly full: [\d.]+ MiB are free, and 128 MiB are kept free$/,
    ],
    [
      "a hundredth of which stays free",
      "size=60m",
      null,
      /the disk is nearly full: [\d.]+ (MiB|KiB) are free, and 614.4 KiB are kept free$/,
    ],
  ] as const)("a disk too small: %s", async (_, options, freeBytes, text) => {
    const target = smallDisk(options)
    const free = statfsSync(target).bfree
    const error = await unpack(made.archive, target, freeBytes).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(errorChain(error)).toMatch(text)
    expect(errorHint(error)).toMatch(/disk/)
    expect(readdirSync(target)).toEqual([])
    expect(statfsSync(target).bfree).toBe(free)
  })
})
