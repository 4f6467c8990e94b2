/** `run ARCHIVE`: once unpacked, found again; whatever goes wrong, nothing is left. */
import { describe, expect, test } from "bun:test"
import { appendFileSync, readdirSync, readFileSync, utimesSync } from "node:fs"
import { join } from "node:path"
import { makeArchive, ownState } from "../helpers/archive.ts"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { stateRoot, type ToyboxOptions, toybox } from "../helpers/toybox.ts"
import { random } from "../src/cgroup/random.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const SEED = Number(process.env.TOYBOX_TEST_SEED ?? Date.now() % 1_000_000)

const sha = (algorithm: "sha256" | "sha512", bytes: Uint8Array) =>
  `${algorithm}:${new Bun.CryptoHasher(algorithm).update(bytes).digest("hex")}`

const run = (words: readonly string[], options: ToyboxOptions = {}) => toybox(ownRun("--rm", ...words), options)

describe.skipIf(!isRoot)("an archive file", () => {
  const archives: [string, string][] = [
    ["plain.tar", "cat"],
    ["packed.tar.gz", "gzip -1"],
    ["packed.tar.zst", "zstd -1 -q"],
    ["gzip-without-name", "gzip -1"],
  ]

  test.each(archives)("%s is run, and the second time not read", async (name, how) => {
    const path = makeArchive(name, how)
    const first = await run([path, "cat", "/srv/name"])
    expect(first).toMatchObject({ stdout: name, exitCode: 0 })
    expect(first.stderr).toMatch(/^toybox: .*: unpacked in \d+\.\d s\n$/)
    const trace = join(temporaryDirectory("trace"), "calls")
    const strace = ["strace", "-f", "-o", trace, "-e", "trace=openat,open,mkdirat"]
    const watched = Bun.spawnSync([...strace, toyboxBinary(), ...ownRun("--rm", path, "cat", "/srv/name")], {
      env: { ...process.env, TOYBOX_ROOT: stateRoot() },
    })
    expect(watched.stdout.toString()).toBe(name)
    const calls = readFileSync(trace, "utf8")
    expect(calls).toContain("/sources/file-")
    expect(calls).not.toContain(`"${path}"`)
    expect(calls).not.toContain("layers/new/")
  })

  test("that changes is unpacked anew; the same content is kept once", async () => {
    const path = makeArchive("first.tar", "cat")
    const { env, root } = ownState()
    await run([path, "true"], { env })
    utimesSync(path, 1, 1)
    expect((await run([path, "true"], { env })).stderr).toContain("unpacked")
    expect(readdirSync(join(root, "layers/sha256"))).toHaveLength(1)
    appendFileSync(path, new Uint8Array(512))
    expect((await run([path, "true"], { env })).stderr).toContain("unpacked")
    expect((await run([path, "true"], { env })).stderr).toBe("")
  })

  test("is used only if the checksum is right", async () => {
    const path = makeArchive("sum.tar.gz", "gzip -1")
    const bytes = readFileSync(path)
    for (const algorithm of ["sha256", "sha512"] as const) {
      const { env, left } = ownState()
      const wrong = sha(algorithm, new Uint8Array())
      const { exitCode, stderr } = await run(["--checksum", wrong, path, "true"], { env })
      expect(exitCode).toBe(125)
      expect(stderr).toContain(`its checksum is ${sha(algorithm, bytes)}, not ${wrong}`)
      expect(left()).toEqual([])
      expect((await run(["--checksum", sha(algorithm, bytes), path, "true"], { env })).exitCode).toBe(0)
      // What is in the cache is no excuse.
      expect((await run(["--checksum", wrong, path, "true"], { env })).exitCode).toBe(125)
      expect((await run(["--checksum", sha(algorithm, bytes), path, "true"], { env })).stderr).toBe("")
    }
  })

  test("that is none, or half of one, is told and leaves nothing", async () => {
    const { env, left } = ownState()
    const whole = readFileSync(makeArchive("whole.tar.gz", "gzip -1"))
    const dir = temporaryDirectory("broken")
    for (const [name, bytes] of [
      ["half.tar.gz", whole.subarray(0, whole.length >> 1)],
      ["text", Buffer.from("no archive at all\n".repeat(100))],
      ["empty", new Uint8Array()],
    ] as const) {
      const path = join(dir, name)
      await Bun.write(path, bytes)
      const { exitCode, stderr } = await run([path, "true"], { env })
      expect({ name, exitCode }).toEqual({ name, exitCode: 125 })
      expect(stderr).toContain(path)
      expect(left()).toEqual([])
    }
  })

  test("by two at once is unpacked once, and the second says that it waits", async () => {
    const { env, root, left } = ownState()
    const path = makeArchive("twice.tar.gz", "gzip -1", 24)
    const results = await Promise.all([1, 2, 3].map(() => run([path, "cat", "/srv/name"], { env })))
    for (const { stdout } of results) expect(stdout).toBe("twice.tar.gz")
    const said = results.map(({ stderr }) => stderr)
    expect(said.filter((text) => text.includes(": unpacked in"))).toHaveLength(1)
    expect(said.filter((text) => text.includes("waiting for another toybox"))).toHaveLength(2)
    expect(readdirSync(join(root, "layers/sha256"))).toHaveLength(1)
    expect(left().filter((name) => !/^(layers\/sha256|sources\/file)/.test(name))).toEqual([])
  })

  test("on a full disk is one clear error, and leaves nothing", async () => {
    const path = makeArchive("large.tar.gz", "gzip -1", 24)
    const dir = temporaryDirectory("full")
    const script = [
      `mount -t tmpfs -o size=16m,mode=700 full ${dir}`,
      `${toyboxBinary()} run --rm --root ${dir} ${path} true; echo "exit $?"`,
      `find ${dir}/layers ${dir}/sources -mindepth 1 | sort`,
    ].join("\n")
    const { stdout, stderr } = await toybox(["-m", "sh", "-c", script], { binary: "/usr/bin/unshare" })
    expect(stdout).toBe(`exit 125\n${dir}/layers/new\n${dir}/layers/sha256\n`)
    expect(stderr).toContain("large.tar.gz")
    expect(stderr).toContain("disk")
    expect(stderr.trim().split("\n").length).toBeLessThanOrEqual(2)
  })

  test(`killed at any instant leaves what the next run puts right (seed ${SEED})`, async () => {
    const { env, root, left } = ownState()
    const path = makeArchive("killed.tar.gz", "gzip -1", 4)
    const { int } = random(SEED)
    for (let round = 0; round < 12; round++) {
      const child = Bun.spawn([toyboxBinary(), ...ownRun("--rm", path, "true")], {
        env: { ...process.env, ...env },
        stdio: ["ignore", "ignore", "ignore"],
      })
      await Bun.sleep(int(2, 160))
      child.kill("SIGKILL")
      await child.exited
      if (round % 3 !== 2) continue
      expect(await run([path, "cat", "/srv/name"], { env })).toMatchObject({ stdout: "killed.tar.gz", exitCode: 0 })
      expect(readdirSync(join(root, "layers/new"))).toEqual([])
      expect((await toybox(["cache", "ls", "-q"], { env })).stdout.trim().split("\n")).toHaveLength(1)
      expect(left().filter((name) => /lock|\.new/.test(name))).toEqual([])
      expect((await toybox(["cache", "prune"], { env })).exitCode).toBe(0)
      expect(left()).toEqual([])
    }
    expect(await ownLeftovers({ root })).toEqual([])
  }, 60_000)
})
