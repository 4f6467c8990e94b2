/** `run ADDRESS`: fetched once, asked for changes; whatever goes wrong, nothing is left. */
import { afterEach, describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { makeArchive, ownState } from "../helpers/archive.ts"
import { toyboxBinary } from "../helpers/binary.ts"
import { makeCertificates } from "../helpers/certificates.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, type ToyboxOptions, toybox } from "../helpers/toybox.ts"
import { random } from "../src/cgroup/random.ts"
import { nastyServer, ranged } from "../src/image/fetch/server.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const SEED = Number(process.env.TOYBOX_TEST_SEED ?? Date.now() % 1_000_000)

const sha = (algorithm: "sha256" | "sha512", bytes: Uint8Array) =>
  `${algorithm}:${new Bun.CryptoHasher(algorithm).update(bytes).digest("hex")}`

const run = (words: readonly string[], options: ToyboxOptions = {}) => toybox(ownRun("--rm", ...words), options)

describe.skipIf(!isRoot)("an address", () => {
  const archive = isRoot ? readFileSync(makeArchive("net.tar.gz", "gzip -1")) : new Uint8Array()
  const ETAG = { etag: '"one"' }
  const right = () =>
    nastyServer((asked) =>
      asked.headers["if-none-match"] === '"one"'
        ? { status: 304, headers: { "content-length": "" } }
        : ranged(asked, archive, ETAG),
    )
  let made: ReturnType<typeof ownState> | undefined
  afterEach(() => {
    expect(made?.left().filter((name) => /^layers\/new|lock|\.new/.test(name)) ?? []).toEqual([])
    made = undefined
  })

  test("is fetched once, and asked for changes after that", async () => {
    made = ownState()
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

  test("whose server tells neither size nor state is fetched each time, with a word about that", async () => {
    made = ownState()
    const { env, root } = made
    const { url, asked } = nastyServer(() => ({ body: archive, headers: { "content-length": "" }, ending: "cut" }))
    const first = await run([url.href, "true"], { env })
    expect(first.stderr).toMatch(/: 2\.\d MB fetched and unpacked in /)
    const second = await run([url.href, "cat", "/srv/name"], { env })
    expect(second).toMatchObject({ stdout: "net.tar.gz", exitCode: 0 })
    expect(second.stderr).toContain("its server does not tell whether it has changed")
    expect(asked).toHaveLength(2)
    expect(readdirSync(join(root, "layers/sha256"))).toHaveLength(1)
  })

  test("that cannot be had is taken from the cache with a word, if that is allowed", async () => {
    made = ownState()
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
    made = ownState()
    const { env, left } = made
    const { url } = nastyServer(() => ({ body: archive.map((byte, i) => (i === 500_000 ? byte ^ 1 : byte)) }))
    const { exitCode, stderr } = await run(["--checksum", sha("sha256", archive), url.href, "true"], { env })
    expect(exitCode).toBe(125)
    expect(stderr).toMatch(/its checksum is|is damaged|corrupt/)
    expect(left()).toEqual([])
  })

  test("is resumed, and begun again where the file has changed", async () => {
    made = ownState()
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
    made = ownState()
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
    made = ownState()
    const { env, root } = made
    const { url, asked } = right()
    const { stderr } = await run(["--name", "secretive", url.href.replace("//", "//user:secret@"), "true"], { env })
    expect(asked[0]?.headers.authorization).toBe(`Basic ${btoa("user:secret")}`)
    const kept = Bun.spawnSync(["grep", "-r", "secret@", root]).stdout.toString()
    expect(stderr + kept).not.toContain("secret@")
  })

  test("is given up at a signal, and leaves nothing", async () => {
    made = ownState()
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

  test(`killed at any instant leaves what the next run puts right (seed ${SEED})`, async () => {
    made = ownState()
    const { env, root, left } = made
    const { url } = right()
    const { int } = random(SEED)
    for (let round = 0; round < 12; round++) {
      const child = Bun.spawn([toyboxBinary(), ...ownRun("--rm", url.href, "true")], {
        env: { ...process.env, ...env },
        stdio: ["ignore", "ignore", "ignore"],
      })
      await Bun.sleep(int(2, 250))
      child.kill("SIGKILL")
      await child.exited
      if (round % 3 !== 2) continue
      expect(await run([url.href, "cat", "/srv/name"], { env })).toMatchObject({ stdout: "net.tar.gz", exitCode: 0 })
      expect(readdirSync(join(root, "layers/new"))).toEqual([])
      expect((await toybox(["cache", "prune"], { env })).exitCode).toBe(0)
      expect(left()).toEqual([])
    }
    expect(await ownLeftovers({ root })).toEqual([])
  }, 60_000)

  test("of a wrong kind, or with options that do not fit, is a usage error", async () => {
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
