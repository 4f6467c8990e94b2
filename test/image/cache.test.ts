/** toybox cache: what is there, who uses it, and that only what nobody uses goes. */
import { afterAll, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeArchive } from "../helpers/archive.ts"
import { ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

const cache = (...words: string[]) => toybox(["cache", ...words])
const layers = () => readdirSync(join(stateRoot(), "layers/sha256"))

interface Row {
  digest: string
  sources: { kind: string; name: string }[]
  usedBy: string[]
  size: number
}

const rows = async (): Promise<Row[]> =>
  (await cache("ls", "--json")).stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))

describe.skipIf(!isRoot)("toybox cache", () => {
  const files = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(Bun.file(served)) })
  afterAll(() => files.stop(true))
  let served = ""

  test("what a kept container stands on is there after the next boot: another run took it from under it", async () => {
    const path = makeArchive("kept.tar")
    const ofLayer = () => join(stateRoot(), "layers/sha256", layers()[0] ?? "", "layer.json")
    const facts = () => JSON.parse(readFileSync(ofLayer(), "utf8"))
    expect((await toybox(ownRun("--rm", "-q", path, "true"))).exitCode).toBe(0)
    // Nothing is waited for where nothing stays.
    expect(facts().boot).toBeString()
    const command = "[ -e /again ] || { touch /again; exit; }; sleep 1000"
    expect((await toybox(ownRun("--name", "stays", path, "sh", "-c", command))).exitCode).toBe(0)
    // As after a boot.
    if (facts().boot) writeFileSync(ofLayer(), JSON.stringify({ ...facts(), boot: "another" }))
    expect((await toybox(["start", "stays"])).exitCode).toBe(0)
    expect((await toybox(ownRun("--rm", "-q", path, "cat", "/srv/name"))).stdout).toBe("kept.tar")
    expect((await toybox(["exec", "stays", "cat", "/srv/name"])).stdout).toBe("kept.tar")
    await toybox(["rm", "--force", "stays"])
    expect((await cache("prune")).exitCode).toBe(0)

    // One that was only made stays until it has run, also with --rm.
    const { stdout: made } = await toybox(["create", "--rm", makeArchive("made.tar"), "true"])
    expect(facts().boot).toBeUndefined()
    expect((await toybox(["rm", made.trim()])).exitCode).toBe(0)
    expect((await cache("prune")).exitCode).toBe(0)
  }, 30_000)

  test("ls tells layers, where they are from and who uses them", async () => {
    const path = makeArchive("listed.tar")
    served = path
    const address = `http://127.0.0.1:${files.port}/a/listed.tar?x=1`
    expect((await toybox(ownRun("--name", "keeper", path, "true"))).exitCode).toBe(0)
    expect((await toybox(ownRun("--rm", "-q", address, "true"))).exitCode).toBe(0)
    const [row, ...others] = await rows()
    expect(others).toEqual([])
    expect(row?.sources.filter(({ kind }) => kind !== "digest").map(({ name }) => name)).toEqual(
      expect.arrayContaining([path, address]),
    )
    expect(row?.usedBy).toHaveLength(1)
    expect(row?.size).toBe(Bun.file(path).size)
    const text = (await cache("ls")).stdout
    expect(text).toMatch(/^ID +SIZE +LAST USED +USED BY +FROM\n/)
    expect(text).toContain(row?.digest.slice(7, 19) ?? "?")
    expect(text).toContain(row?.usedBy[0]?.slice(0, 12) ?? "?")
    expect((await cache("ls", "-q")).stdout).toBe(`${row?.digest.slice(7, 19)}\n`)
  })

  test("rm and prune keep what a kept container stands on", async () => {
    const [row] = await rows()
    const id = row?.digest.slice(7, 19) ?? ""
    const refused = await cache("rm", id)
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toContain(`${id} is in use by container ${row?.usedBy[0]?.slice(0, 12)}`)
    expect(refused.stderr).toContain("hint: remove it first: toybox rm")
    expect((await cache("prune")).stdout).toBe("removed: 0, 0 B\n")
    expect(layers()).toHaveLength(1)
    await toybox(["rm", "keeper"])
    expect((await cache("rm", id)).stdout).toBe(`${id}\n`)
    expect(layers()).toEqual([])
    expect(readdirSync(join(stateRoot(), "sources"))).toEqual([])
  })

  test("rm and prune keep what a running container stands on, also with --rm", async () => {
    const path = makeArchive("running.tar")
    const running = await startToybox(ownRun("--rm", path, "sh", "-c", "echo started; read line; cat /srv/name"))
    await running.waitFor("started")
    const refused = await cache("rm", path)
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toContain("is in use by")
    await cache("prune")
    running.stdin.write("go\n")
    running.stdin.end()
    expect((await running.wait()).stdout).toBe("started\nrunning.tar")
    expect((await cache("prune")).stdout).toMatch(/\nremoved: 1, \d/)
    expect(layers()).toEqual([])
  })

  test("rm takes a path, relative ones too, an address, and the beginning of an id", async () => {
    const paths = ["one.tar", "two.tar", "three.tar"].map((name) => makeArchive(name))
    for (const path of paths) await toybox(ownRun("--rm", "-q", path, "true"))
    served = makeArchive("four.tar")
    const address = `http://127.0.0.1:${files.port}/four.tar`
    await toybox(ownRun("--rm", "-q", address, "true"))
    expect(layers()).toHaveLength(4)
    expect((await toybox(["cache", "rm", "./one.tar"], { cwd: join(paths[0] ?? "", "..") })).exitCode).toBe(0)
    expect((await cache("rm", address)).exitCode).toBe(0)
    const [first, second] = await rows()
    expect((await cache("rm", first?.digest.slice(7, 15) ?? "")).exitCode).toBe(0)
    expect((await cache("rm", second?.digest ?? "")).exitCode).toBe(0)
    expect(layers()).toEqual([])
    expect((await cache("rm", "0123456789ab")).stderr).toContain("is not in the cache")
    expect((await cache("rm", "-f", "0123456789ab")).exitCode).toBe(0)
  })

  test("removes what killed commands have left", async () => {
    const left = join(stateRoot(), "layers/new/1.0/root")
    mkdirSync(left, { recursive: true })
    const sources = join(stateRoot(), "sources")
    for (const name of ["file-x.lock", "file-x.json.999999999.new"]) writeFileSync(join(sources, name), "")
    expect((await cache("ls", "-q")).exitCode).toBe(0)
    expect(existsSync(join(left, ".."))).toBe(false)
    expect(readdirSync(sources)).toEqual([])
  })

  test.each([[[]], [["lost"]], [["ls", "x"]], [["rm"]], [["prune", "x"]], [["ls", "--all"]]])(
    "%j is a usage error",
    async (words) => {
      const { exitCode, stderr } = await cache(...words)
      expect(exitCode).toBe(125)
      expect(stderr).toMatch(/^toybox: /)
    },
  )
})
