import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { baseDirectory } from "../../build/base-image.ts"
import { compile } from "../../build/compile.ts"
import { HOST_ARCH } from "../../build/debian.ts"
import { REMOVED_VARIABLES } from "../../build/env-patch.ts"
import { ROOT } from "../../build/paths.ts"
import { findTarget } from "../../build/targets.ts"
import packageJson from "../../package.json"

const directory = mkdtempSync(join(tmpdir(), "toybox-compile-"))
const program = join(directory, "program")
const unpatched = join(directory, "unpatched")
const preload = join(directory, "preload.js")
const mark = join(directory, "mark")

beforeAll(async () => {
  const entry = join(ROOT, "test/build/fixtures/program.ts")
  await compile(findTarget(`linux-${HOST_ARCH}`), entry, program)
  // What Bun does by itself: without it, a test could pass because nothing happens anyway.
  const plain = ["build", entry, "--compile", "--bytecode", "--format=esm", `--outfile=${unpatched}`]
  expect(Bun.spawnSync([process.execPath, ...plain], { cwd: directory }).exitCode).toBe(0)
  writeFileSync(preload, `require("node:fs").writeFileSync(${JSON.stringify(mark)}, "ran")`)
}, 60_000)

afterAll(() => rmSync(directory, { recursive: true, force: true }))

function start(path: string, env: Record<string, string>, cwd = directory, args = ["--version"]) {
  const child = Bun.spawnSync([path, ...args], { cwd, env: { PATH: "/usr/bin:/bin", ...env }, timeout: 2_000 })
  return { status: child.exitCode, output: child.stdout.toString() + child.stderr.toString() }
}

/** Whether the program printed its own answer, and nobody anything else. */
function isAnswer(output: string): boolean {
  try {
    return JSON.parse(output).arguments?.[0] === "--version"
  } catch {
    return false
  }
}

const undisturbed = { arguments: ["--version"], runtime: [], connected: false, version: packageJson.version }

describe("variables that rule a compiled Bun program", () => {
  const values: Record<string, string> = {
    BUN_BE_BUN: "1",
    BUN_OPTIONS: `--preload ${preload}`,
    BUN_INSPECT: "127.0.0.1:0?wait=1",
    BUN_BYTECODE_ORDER_OUT: mark,
    BUN_BYTECODE_DIGEST_OUT: mark,
    JSC_SIGNAL_FOR_GC: "9",
    BUN_JSC_dumpOptions: "1",
    SIMDUTF_FORCE_IMPLEMENTATION: "none",
  }

  test.each(Object.entries(values).filter(([name]) => HOST_ARCH === "x64" || !name.startsWith("SIMD")))(
    "%s does nothing",
    (name, value) => {
      const before = start(unpatched, { [name]: value })
      const disturbed = before.status !== 0 || !isAnswer(before.output) || existsSync(mark)
      rmSync(mark, { force: true })
      expect(disturbed, "the unpatched program obeys").toBe(true)

      const { status, output } = start(program, { [name]: value })
      expect(status).toBe(0)
      expect(JSON.parse(output)).toMatchObject(undisturbed)
      expect(existsSync(mark)).toBe(false)
    },
    10_000,
  )

  test.each(["NODE_OPTIONS", "NODE_REPL_EXTERNAL_MODULE", "NODE_V8_COVERAGE", "NODE_COMPILE_CACHE"])(
    "%s, which is kept, has no effect",
    (name) => {
      for (const value of [preload, `--require ${preload}`, mark]) {
        expect(JSON.parse(start(program, { [name]: value }).output)).toMatchObject(undisturbed)
        expect(existsSync(mark)).toBe(false)
      }
    },
  )

  test("none of the names is left in the executable's read-only data", () => {
    const executable = readFileSync(program)
    for (const name of ["BUN_BE_BUN", "BUN_OPTIONS", "BUN_BYTECODE_ORDER_OUT", "JSC_SIGNAL_FOR_GC"]) {
      expect(REMOVED_VARIABLES).toHaveProperty(name)
      expect(executable.includes(`\0${name}\0`), name).toBe(false)
    }
  })

  test("no variable turns certificate checks off or prints requests", async () => {
    const key = join(directory, "key.pem")
    const certificate = join(directory, "certificate.pem")
    const request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split(" ")
    expect(Bun.spawnSync(["openssl", ...request, "-keyout", key, "-out", certificate]).exitCode).toBe(0)
    const tls = { key: Bun.file(key), cert: Bun.file(certificate) }
    using server = Bun.serve({ port: 0, tls, fetch: () => new Response("answer") })
    const fetchWith = async (path: string, env: Record<string, string>) => {
      const command = [path, "fetch", `https://localhost:${server.port}/`]
      const child = Bun.spawn(command, { env, stdout: "pipe", stderr: "pipe" })
      return (await new Response(child.stdout).text()) + (await new Response(child.stderr).text())
    }
    const insecure = { NODE_TLS_REJECT_UNAUTHORIZED: "0", BUN_CONFIG_VERBOSE_FETCH: "curl" }
    expect(await fetchWith(unpatched, insecure)).toContain("answer")
    expect(await fetchWith(program, insecure)).toBe("TypeError: self signed certificate\n")
    expect(await fetchWith(program, { ...insecure, NODE_EXTRA_CA_CERTS: certificate })).toBe("answer\n")
  })
})

describe("files beside a compiled program", () => {
  test(".env, bunfig.toml, tsconfig.json and package.json of the directory are not read", () => {
    const stranger = mkdtempSync(join(directory, "stranger-"))
    for (const name of ["bunfig.toml", ".bunfig.toml"])
      writeFileSync(join(stranger, name), `preload = ["${preload}"]\n`)
    writeFileSync(join(stranger, ".env"), "BUN_OPTIONS=--version\nTOYBOX_ROOT=/nowhere\n")
    for (const name of ["tsconfig.json", "package.json"]) writeFileSync(join(stranger, name), "not JSON")
    const { status, output } = start(program, { HOME: stranger, XDG_CONFIG_HOME: stranger }, stranger)
    expect(status).toBe(0)
    expect(JSON.parse(output)).toMatchObject(undisturbed)
    expect(existsSync(mark)).toBe(false)
  })

  test("the executable can be copied and renamed", () => {
    const copy = join(directory, "copy")
    copyFileSync(program, copy)
    expect(start(copy, {}).status).toBe(0)
  })
})

test("the base image is embedded, for the architecture of the target", () => {
  const { digest, busybox, base } = JSON.parse(start(program, {}).output)
  expect(digest).toMatch(/^[0-9a-f]{64}$/)
  expect(busybox).toBeGreaterThan(1_000_000)
  expect(base.length).toBeGreaterThan(200)
})

const emulator = Bun.which("qemu-aarch64")

test.skipIf(HOST_ARCH !== "x64" || emulator === null)(
  "an executable for arm64 holds that architecture's base image and obeys no variable either",
  async () => {
    const foreign = join(directory, "foreign")
    await compile(findTarget("linux-arm64"), join(ROOT, "test/build/fixtures/program.ts"), foreign)
    const env = { BUN_BE_BUN: "1", BUN_OPTIONS: "--version", BUN_JSC_dumpOptions: "1", PATH: "/usr/bin:/bin" }
    const command = [emulator ?? "", "-L", "/usr/aarch64-linux-gnu", foreign, "--version"]
    const child = Bun.spawnSync(command, { env, stderr: "pipe" })
    expect(child.stderr.toString()).toBe("")
    const answer = JSON.parse(child.stdout.toString())
    expect(answer).toMatchObject(undisturbed)
    expect(answer.busybox).toBe(statSync(join(baseDirectory("arm64"), "busybox")).size)
  },
  120_000,
)

test("a failing build leaves nothing behind", async () => {
  const broken = join(directory, "broken.ts")
  writeFileSync(broken, "import './missing.ts'")
  const output = join(directory, "never")
  await expect(compile(findTarget(`linux-${HOST_ARCH}`), broken, output)).rejects.toThrow("missing.ts")
  expect(existsSync(output)).toBe(false)
})

test("an unknown target is refused with the known ones", () => {
  expect(() => findTarget("linux-mips")).toThrow("linux-x64, linux-x64-musl, linux-arm64, linux-arm64-musl")
})
