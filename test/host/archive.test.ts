/** `run ARCHIVE` and `run ADDRESS`: once unpacked, found again; whatever goes wrong, nothing is left. */
import { afterEach, describe, expect, test } from "bun:test"
import { appendFileSync, mkdirSync, readdirSync, readFileSync, utimesSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { makeCertificates } from "../helpers/certificates.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, type ToyboxOptions, toybox } from "../helpers/toybox.ts"
import { random } from "../src/cgroup/random.ts"
import { nastyServer, ranged } from "../src/image/fetch/server.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const SEED = Number(process.env.TOYBOX_TEST_SEED ?? Date.now() % 1_000_000)

const sha = (algorithm: "sha256" | "sha512", bytes: Uint8Array) =>
  `${algorithm}:${new Bun.CryptoHasher(algorithm).update(bytes).digest("hex")}`

/** An archive of a root with some megabytes that do not compress, by GNU tar. */
function makeArchive(name: string, how: string, megabytes = 1): string {
  const noise = new Uint8Array(megabytes << 20)
  for (let at = 0; at < noise.length; at += 65536) crypto.getRandomValues(noise.subarray(at, at + 65536))
  const root = makeRoot({ files: { "/srv/noise": noise, "/srv/name": name } })
  const path = join(temporaryDirectory("archive"), name)
  const script = `tar -C "$1" --numeric-owner -c . | ${how} > "$2"`
  const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", script, "sh", root, path])
  if (exitCode !== 0) throw new Error(`${stderr}`)
  return path
}

const run = (words: readonly string[], options: ToyboxOptions = {}) => toybox(ownRun("--rm", ...words), options)

/** A state directory of its own. */
function state(): { env: Record<string, string>; root: string; left: () => string[] } {
  const root = join(temporaryDirectory("own-state"), "state")
  const list = (dir: string) => readdirSync(join(root, dir)).map((name) => `${dir}/${name}`)
  const left = () =>
    ["layers/new", "layers/sha256", "sources"].flatMap((dir) => {
      try {
        return list(dir)
      } catch {
        // Never made.
        return []
      }
    })
  return { env: { TOYBOX_ROOT: root }, root, left }
}

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
    const { env, root } = state()
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
      const { env, left } = state()
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
    const { env, left } = state()
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
    const { env, root, left } = state()
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
    const { env, root, left } = state()
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

describe.skipIf(!isRoot)("an address", () => {
  const archive = isRoot ? readFileSync(makeArchive("net.tar.gz", "gzip -1")) : new Uint8Array()
  const ETAG = { etag: '"one"' }
  const right = () =>
    nastyServer((asked) =>
      asked.headers["if-none-match"] === '"one"'
        ? { status: 304, headers: { "content-length": "" } }
        : ranged(asked, archive, ETAG),
    )
  let made: ReturnType<typeof state> | undefined
  afterEach(() => {
    expect(made?.left().filter((name) => /^layers\/new|lock|\.new/.test(name)) ?? []).toEqual([])
    made = undefined
  })

  test("is fetched once, and asked for changes after that", async () => {
    made = state()
    const { env } = made
    const { url, asked } = right()
    const first = await run([url.href, "cat", "/srv/name"], { env })
    expect(first).toMatchObject({ stdout: "net.tar.gz", exitCode: 0 })
    expect(first.stderr).toContain("without encryption and without --checksum")
    expect(first.stderr).toMatch(/2\.\d MB fetched and unpacked in /)
    expect((await run(["-q", url.href, "cat", "/srv/name"], { env })).stderr).toBe("")
    expect(asked.map(({ headers }) => headers["if-none-match"])).toEqual([undefined, '"one"'])
    // Neither asks.
    const sum = sha("sha256", archive)
    expect((await run(["--pull", "missing", url.href, "true"], { env })).stderr).toBe("")
    expect((await run(["--checksum", sum, "--pull", "always", url.href, "true"], { env })).stderr).toBe("")
    expect(
      (await run(["--checksum", sum, "--pull", "never", "http://127.0.0.1:1/other", "true"], { env })).stderr,
    ).toBe("")
    expect(asked).toHaveLength(2)
  })

  test("that cannot be had is taken from the cache with a word, if that is allowed", async () => {
    made = state()
    const { env } = made
    let up = true
    const { url } = nastyServer((asked) => (up ? ranged(asked, archive, ETAG) : { status: 503 }))
    await run([url.href, "true"], { env })
    up = false
    const cached = await run([url.href, "cat", "/srv/name"], { env })
    expect(cached).toMatchObject({ stdout: "net.tar.gz", exitCode: 0 })
    expect(cached.stderr).toMatch(/: what was fetched on \d{4}-\d\d-\d\d is used/)
    // As well where the server dies in the middle of a newer one.
    const middle = nastyServer((asked, n) =>
      n === 1 ? ranged(asked, archive, ETAG) : { body: archive, sent: 9, ending: "cut" },
    )
    await run([middle.url.href, "true"], { env })
    const half = await run([middle.url.href, "cat", "/srv/name"], { env })
    expect(half).toMatchObject({ stdout: "net.tar.gz", exitCode: 0 })
    expect(half.stderr).toContain("is used")
    const never = await run(["--pull", "never", "http://127.0.0.1:1/unknown", "true"], { env })
    expect(never.exitCode).toBe(125)
    expect(never.stderr).toContain("is not in the cache")
  })

  test("is used only if the checksum is right, whatever comes", async () => {
    made = state()
    const { env, left } = made
    const { url } = nastyServer(() => ({ body: archive.map((byte, i) => (i === 500_000 ? byte ^ 1 : byte)) }))
    const { exitCode, stderr } = await run(["--checksum", sha("sha256", archive), url.href, "true"], { env })
    expect(exitCode).toBe(125)
    expect(stderr).toMatch(/its checksum is|is damaged|corrupt/)
    expect(left()).toEqual([])
  })

  test("is resumed, and begun again where the file has changed", async () => {
    made = state()
    const { env } = made
    const other = readFileSync(makeArchive("other.tar.gz", "gzip -1"))
    const { url, asked } = nastyServer((request, n) =>
      n === 1
        ? { ...ranged(request, archive, ETAG), sent: 600_000, ending: "cut" }
        : n === 2
          ? { ...ranged(request, archive, ETAG), sent: 100_000, ending: "cut" }
          : ranged(request, other, { etag: '"two"' }),
    )
    const { stdout, stderr } = await run([url.href, "cat", "/srv/name"], { env })
    expect(stdout).toBe("other.tar.gz")
    expect(stderr).toContain("the file changed while it was being fetched: starting again")
    expect(asked[1]?.headers.range).toMatch(/^bytes=\d+-$/)
  })

  test("of https is verified by --ca", async () => {
    made = state()
    const { env, left } = made
    const { ca, certificate, key } = makeCertificates(temporaryDirectory("tls"), "127.0.0.1")
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") },
      fetch: () => new Response(archive),
    })
    const address = `https://127.0.0.1:${server.port}/root.tar.gz`
    const refused = await run([address, "true"], { env })
    expect(refused).toMatchObject({ exitCode: 125, stdout: "" })
    expect(refused.stderr).toContain("its certificate is not trusted")
    expect(refused.stderr).toContain("--ca FILE")
    expect(left()).toEqual([])
    const trusted = await run(["--ca", ca, address, "cat", "/srv/name"], { env })
    expect(trusted).toMatchObject({ exitCode: 0, stdout: "net.tar.gz" })
    expect(trusted.stderr).not.toContain("encryption")
    server.stop(true)
  })

  test("with a user and password shows them to its server, and to nobody else", async () => {
    made = state()
    const { env, root } = made
    const { url, asked } = right()
    const { stderr } = await run(["--name", "secretive", url.href.replace("//", "//user:secret@"), "true"], { env })
    expect(asked[0]?.headers.authorization).toBe(`Basic ${btoa("user:secret")}`)
    const kept = Bun.spawnSync(["grep", "-r", "secret@", root]).stdout.toString()
    expect(stderr + kept).not.toContain("secret@")
  })

  test("is given up at a signal, and leaves nothing", async () => {
    made = state()
    const { env, left } = made
    const { url } = nastyServer(() => ({ body: archive, sent: 700_000, ending: "stall" }))
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const running = await startToybox(ownRun("--rm", url.href, "true"), { env })
      await running.waitFor("without encryption")
      await Bun.sleep(200)
      running.kill(signal)
      const { exitCode, stderr } = await running.wait()
      expect(exitCode).toBe(signal === "SIGINT" ? 130 : 143)
      expect(stderr).toContain("interrupted")
      expect(left()).toEqual([])
    }
  })

  test("of a wrong kind, or with options that do not fit, is a usage error", async () => {
    mkdirSync(join(stateRoot(), "x"), { recursive: true })
    for (const [words, message] of [
      [["--checksum", "sha256:12", "http://h/x"], "--checksum"],
      [["--checksum", sha("sha256", archive), "base"], "--checksum is for archives and addresses"],
      [["--pull", "often", "http://h/x"], "--pull"],
      [["--ca", "/none", "https://127.0.0.1:1/x"], "--ca: /none"],
      [["http://h:99999/x"], "is not an address"],
    ] as const) {
      const { exitCode, stderr } = await run([...words, "true"])
      expect({ words, exitCode }).toEqual({ words, exitCode: 125 })
      expect(stderr).toContain(message)
    }
  })
})
