import { beforeAll, describe, expect, test } from "bun:test"
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { BASE_DIGEST } from "#base/digest.js"
import { basePath, ensureBase } from "../../../src/image/base.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../helpers/scratch.ts"

cleanUpAfterAll()

const DEAD_PID = 2 ** 22 + 1

/** Every entry below a directory with its kind, mode and content. */
function contents(dir: string, prefix = ""): string[] {
  return readdirSync(join(dir, prefix))
    .sort()
    .flatMap((name) => {
      const path = `${prefix}/${name}`
      const stat = lstatSync(join(dir, path))
      if (stat.isSymbolicLink()) return [`${path} -> ${readlinkSync(join(dir, path))}`]
      const mode = (stat.mode & 0o7777).toString(8)
      if (stat.isDirectory()) return [`${path}/ ${mode}`, ...contents(dir, path)]
      return [`${path} ${mode} ${Bun.hash(readFileSync(join(dir, path)))}`]
    })
}

describe("ensureBase", () => {
  let bases: string
  let path: string

  beforeAll(async () => {
    bases = temporaryDirectory("bases")
    const before = process.umask(0o077)
    path = await ensureBase(bases)
    process.umask(before)
  })

  test("lays a userland out, whatever the umask", () => {
    const found = new Set(contents(path))
    const modeOf = (name: string) => lstatSync(join(path, name)).mode & 0o7777
    expect(modeOf("")).toBe(0o755)
    expect(modeOf("tmp")).toBe(0o1777)
    expect(modeOf("bin/busybox") & 0o111).toBe(0o111)
    expect(found.size).toBeGreaterThan(200)
    const { stdout } = Bun.spawnSync([join(path, "bin/busybox"), "echo", "hi"])
    expect(stdout.toString()).toBe("hi\n")
    expect(readFileSync(join(path, "etc/passwd"), "utf8")).toMatch(/^root:[^:]*:0:0:/m)
    expect(existsSync(join(path, "bin/sh"))).toBe(true)
  })

  test("its place is named by its digest", () => {
    expect(path).toBe(basePath(bases))
    expect(BASE_DIGEST).toMatch(/^[0-9a-f]{64}$/)
    expect(path).toBe(`${bases}/${BASE_DIGEST.slice(0, 16)}`)
    expect(readdirSync(bases)).toEqual([BASE_DIGEST.slice(0, 16)])
  })

  test("is done once", async () => {
    const inode = lstatSync(path).ino
    writeFileSync(`${path}/marker`, "")
    expect(await ensureBase(bases)).toBe(path)
    expect([lstatSync(path).ino, existsSync(`${path}/marker`)]).toEqual([inode, true])
  })

  test("several at once make one whole image", async () => {
    const shared = temporaryDirectory("bases")
    // Each removes it, or passes on.
    const half = join(shared, `.${BASE_DIGEST.slice(0, 16)}.${DEAD_PID}`)
    mkdirSync(half)
    for (let i = 0; i < 3000; i++) writeFileSync(join(half, `${i}`), "")
    const program = `
      const { ensureBase } = await import(${JSON.stringify(import.meta.resolve("../../../src/image/base.ts"))})
      console.log(await ensureBase(${JSON.stringify(shared)}))`
    const file = `${temporaryDirectory()}/program.ts`
    writeFileSync(file, program)
    const running = Array.from({ length: 5 }, () => Bun.spawn([process.execPath, file], { stderr: "inherit" }))
    const results = await Promise.all(
      running.map(async (child) => [await child.exited, (await new Response(child.stdout).text()).trim()]),
    )
    expect(results).toEqual(Array(5).fill([0, basePath(shared)]))
    expect(readdirSync(shared)).toEqual([BASE_DIGEST.slice(0, 16)])
    expect(contents(basePath(shared))).toEqual(contents(path).filter((line) => !line.startsWith("/marker")))
  })

  test("what a killed toybox left half done goes, what a live one is making stays", async () => {
    const fresh = temporaryDirectory("bases")
    const half = (pid: number) => join(fresh, `.${BASE_DIGEST.slice(0, 16)}.${pid}`)
    for (const pid of [DEAD_PID, 1]) mkdirSync(`${half(pid)}/bin`, { recursive: true })
    writeFileSync(`${half(DEAD_PID)}/bin/busybox`, "half")
    expect(await ensureBase(fresh)).toBe(basePath(fresh))
    expect(
      readdirSync(fresh)
        .map((name) => join(fresh, name))
        .sort(),
    ).toEqual([half(1), basePath(fresh)])
  })

  test("a place where nothing can be made is told", async () => {
    expect(ensureBase("/proc/nowhere")).rejects.toThrow("cannot lay out the base image in /proc/nowhere")
  })
})
