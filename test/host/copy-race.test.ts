/** A tree that somebody changes while it is copied: nothing outside of it gets into the copy. */
import { expect, test } from "bun:test"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ToyboxError } from "../../src/errors.ts"
import { copyTree } from "../../src/overlay/copy.ts"
import { listing } from "../helpers/listing.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** Exchanges directories and links of these names for as long as it runs: renameat2(2), RENAME_EXCHANGE. */
const EXCHANGE = `
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.chdir(sys.argv[1])
names = [name.encode() for name in os.listdir("d")]
print("ready", flush=True)
while True:
    for name in names:
        libc.renameat2(-100, b"d/" + name, -100, b"links/" + name, 2)
`

test.skipIf(!isRoot)(
  "a link that takes the place of a directory is not followed, nor one on the way",
  async () => {
    const dir = temporaryDirectory("exchanged")
    const [from, outside] = [join(dir, "from"), join(dir, "outside")]
    const make = `mkdir -p ${from}/d ${from}/links ${outside}/deep && touch ${outside}/secret ${outside}/deep/secret
    for i in $(seq 200); do mkdir -p ${from}/d/$i/deep && touch ${from}/d/$i/deep/own && ln -s ${outside} ${from}/links/$i; done`
    expect(Bun.spawnSync(["sh", "-c", make]).exitCode).toBe(0)
    const exchanging = Bun.spawn(["timeout", "-k", "1", "30", "python3", "-c", EXCHANGE, from], { stdout: "pipe" })
    try {
      await exchanging.stdout.getReader().read()
      for (let i = 0; i < 8; i++) {
        const to = join(dir, `to${i}`)
        copyTree(join(from, "d"), to)
        const found = Bun.spawnSync(["find", to]).stdout.toString().split("\n")
        expect(found.filter((path) => path.endsWith("secret"))).toEqual([])
        expect(found.length).toBeGreaterThan(100)
        rmSync(to, { recursive: true })
      }
    } finally {
      exchanging.kill()
      await exchanging.exited
    }
  },
  40_000,
)

test.skipIf(!isRoot)(
  "a link that takes the place of a directory of the copy is not followed, nor made a way to other files",
  async () => {
    const dir = temporaryDirectory("exchanged")
    const [from, to, outside] = [join(dir, "from"), join(dir, "to"), join(dir, "outside")]
    const make = `mkdir -p ${from}/d ${to}/d ${to}/links ${outside}/deep && echo secret > ${outside}/deep/first && chmod 700 ${outside}/deep
    for i in $(seq 100); do mkdir -p ${from}/d/$i/deep ${to}/d/$i && echo own > ${from}/d/$i/deep/first
      ln ${from}/d/$i/deep/first ${from}/d/$i/second; ln -s ${outside} ${to}/links/$i; done`
    expect(Bun.spawnSync(["sh", "-c", make]).exitCode).toBe(0)
    const before = listing(outside, { times: true })
    const exchanging = Bun.spawn(["timeout", "-k", "1", "30", "python3", "-c", EXCHANGE, to], { stdout: "pipe" })
    try {
      await exchanging.stdout.getReader().read()
      for (let i = 0; i < 20; i++) {
        // What is exchanged at the wrong moment ends it, as it may.
        try {
          copyTree(from, to)
        } catch (error) {
          expect(error).toBeInstanceOf(ToyboxError)
        }
        expect(listing(outside, { times: true })).toEqual(before)
      }
    } finally {
      exchanging.kill()
      await exchanging.exited
    }
    expect(Bun.spawnSync(["grep", "-r", "secret", to]).stdout.toString()).toBe("")
  },
  40_000,
)

test.skipIf(!isRoot)("a tree is copied that is deeper than a path can be long", () => {
  const dir = temporaryDirectory("deep")
  const name = "n".repeat(200)
  mkdirSync(join(dir, "from"))
  writeFileSync(join(dir, "from/first"), "")
  const go = `cd ${dir}/from && for i in $(seq 30); do mkdir ${name} && cd -P ./${name} || exit 1; done; echo kept > file; ln file file2`
  expect(Bun.spawnSync(["bash", "-c", go]).exitCode).toBe(0)
  copyTree(join(dir, "from"), join(dir, "to"))
  const look = `cd ${dir}/to && for i in $(seq 30); do cd -P ./${name} || exit 1; done; cat file file2`
  expect(Bun.spawnSync(["bash", "-c", look]).stdout.toString()).toBe("kept\nkept\n")
})
