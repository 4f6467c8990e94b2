/** The executable among strangers: environments, working directories and descriptors that are not made for it. */
import { afterEach, describe, expect, test } from "bun:test"
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const LIBRARIES = ["libc.so.6", "libpthread.so.0", "libdl.so.2", "libm.so.6"]
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const run = (...words: string[]) => ownRun("--rm", ...words)

/** A shell of the host in which `$toybox` is the executable. */
const shell = (script: string, options: { cwd?: string; env?: Record<string, string | undefined> } = {}) =>
  toybox(["-c", script], { ...options, binary: "/bin/bash", env: { toybox: toyboxBinary(), ...options.env } })

const quoted = (...words: string[]) =>
  `"$toybox" ${run(...words)
    .map((word) => `'${word}'`)
    .join(" ")}`

test("needs libc's own libraries and nothing else", async () => {
  const { stdout } = await toybox([toyboxBinary()], { binary: "/usr/bin/ldd" })
  const names = stdout.split("\n").flatMap((line) => /^\s+(\S+) =>/.exec(line)?.[1] ?? [])
  expect(names.sort()).toEqual([...LIBRARIES].sort())
})

describe.skipIf(!isRoot)("the payload's environment", () => {
  afterEach(async () => {
    expect(await ownLeftovers()).toEqual([])
  })

  test("is toybox's own and what was given, and nothing of the host's", async () => {
    const env = {
      HOST_SECRET: "secret",
      LD_PRELOAD: "",
      BUN_OPTIONS: "--version",
      BUN_BE_BUN: "1",
      BUN_INSPECT: "127.0.0.1:0",
      BUN_JSC_useJIT: "0",
      NODE_OPTIONS: "--no-warnings",
      PATH: "/usr/bin:/bin",
    }
    const { stdout, stderr } = await toybox(run("--hostname", "box", "base", "env"), { env })
    expect(stderr).toBe("")
    expect(stdout.trim().split("\n").sort()).toEqual([`HOME=/root`, `HOSTNAME=box`, `PATH=${PATH}`])
    const given = run(
      "--hostname",
      "box",
      "-e",
      "A=1",
      "-e",
      "HOST_SECRET",
      "-e",
      "NOT_SET",
      "-e",
      "PATH=/usr/bin:/x",
      "base",
      "env",
    )
    const { stdout: more } = await toybox(given, { env })
    expect(more.trim().split("\n").sort()).toEqual([
      "A=1",
      "HOME=/root",
      "HOSTNAME=box",
      "HOST_SECRET=secret",
      "PATH=/usr/bin:/x",
    ])
  })

  test("is nowhere else either: not in that of the stages before it", async () => {
    const words = ["base", "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ; :"]
    const { stdout } = await toybox(run("--init", ...words), { env: { HOST_SECRET: "x", TERM: "y" } })
    expect(stdout).toBe("")
  })
})

describe.skipIf(!isRoot)("toybox takes no orders from", () => {
  afterEach(async () => {
    expect(await ownLeftovers()).toEqual([])
  })

  test("Bun's variables", async () => {
    const dir = temporaryDirectory("orders")
    const evil = join(dir, "evil.js")
    writeFileSync(evil, `require("fs").writeFileSync("${dir}/ran", ""); console.log("evil")`)
    for (const env of [
      { BUN_OPTIONS: `--preload ${evil}` },
      { BUN_OPTIONS: "--version" },
      { BUN_BE_BUN: "1" },
      { BUN_INSPECT: "ws://127.0.0.1:0/x" },
      { BUN_INSPECT_PRELOAD: evil },
      { NODE_OPTIONS: `--require ${evil}` },
      { BUN_RUNTIME_TRANSPILER_CACHE_PATH: dir, BUN_CONFIG_VERBOSE_FETCH: "curl" },
      { BUN_JSC_dumpOptions: "2" },
      { NODE_CHANNEL_FD: "1" },
    ]) {
      const result = await toybox(run("base", "sh", "-c", "echo fine; exit 3"), { env, timeoutSeconds: 5 })
      expect({ env, ...result }).toEqual({ env, stdout: "fine\n", stderr: "", exitCode: 3, signal: undefined })
    }
    expect(existsSync(join(dir, "ran"))).toBe(false)
  })

  test("the working directory's .env, bunfig.toml, package.json and tsconfig.json", async () => {
    const cwd = temporaryDirectory("cwd")
    const evil = `require("fs").writeFileSync("${cwd}/ran", "")`
    writeFileSync(join(cwd, "evil.js"), evil)
    for (const name of [".env", ".env.local", ".env.production", ".env.development"]) {
      writeFileSync(join(cwd, name), `TOYBOX_ROOT=${cwd}/other\nFROM_DOTENV=1\n`)
    }
    writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./evil.js"]\n[run]\nshell = "bun"\n')
    writeFileSync(
      join(cwd, "package.json"),
      '{"name": "x", "imports": {"#base/*": "./evil.js"}, "scripts": {"run": "false"}}',
    )
    writeFileSync(
      join(cwd, "tsconfig.json"),
      '{"extends": "./missing.json", "compilerOptions": {"paths": {"*": ["./evil.js"]}}}',
    )
    mkdirSync(join(cwd, "node_modules/citty"), { recursive: true })
    writeFileSync(join(cwd, "node_modules/citty/index.js"), evil)
    const { stdout, stderr, exitCode } = await toybox(run("-e", "FROM_DOTENV", "base", "env"), { cwd })
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 })
    expect(stdout).not.toContain("FROM_DOTENV")
    expect((await toybox(["run", "--help"], { cwd })).stdout).toContain("--cpu")
    // Where the variable is missing altogether, a .env would be the one to give it.
    const ps = await toybox(["ps", "--root", stateRoot()], { cwd, env: { TOYBOX_ROOT: undefined } })
    expect(ps.exitCode).toBe(0)
    expect(existsSync(join(cwd, "ran")) || existsSync(join(cwd, "other"))).toBe(false)
  })
})

describe.skipIf(!isRoot)("toybox runs", () => {
  afterEach(async () => {
    expect(await ownLeftovers()).toEqual([])
  })

  test("with no environment at all", async () => {
    const words = run("--root", stateRoot(), "--net", "none", "base", "sh", "-c", "env | cut -d= -f1 | sort")
    const { stdout, stderr } = await toybox(["-i", toyboxBinary(), ...words], { binary: "/usr/bin/env" })
    // A shell adds its own.
    expect({ stdout: stdout.split("\n").filter((name) => !/^(PWD|SHLVL|OLDPWD|_)$/.test(name)), stderr }).toEqual({
      stdout: ["HOME", "HOSTNAME", "PATH", ""],
      stderr: "",
    })
  })

  test("with its standard descriptors closed", async () => {
    const file = join(temporaryDirectory("closed"), "out")
    const words = run("-v", `${temporaryDirectory("shared")}:/out`, "base", "sh", "-c", "exit 6")
    const command = `"$toybox" ${words.map((word) => `'${word}'`).join(" ")}`
    for (const closed of ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"]) {
      const { stdout } = await shell(`${command} ${closed}; echo $? > ${file}; cat ${file}`)
      expect({ closed, stdout }).toEqual({ closed, stdout: "6\n" })
    }
  })

  test("with more descriptors open than it knows of, and none of them reaches the command", async () => {
    const secret = join(temporaryDirectory("secret"), "file")
    writeFileSync(secret, "secret")
    const open = `exec 3<${secret} 9<${secret} 10</ 63<${secret} 200>/dev/null`
    const { stdout } = await shell(`${open}; ${quoted("base", "sh", "-c", "ls /proc/$$/fd; :")}`)
    expect(stdout.trim().split("\n")).toEqual(["0", "1", "2"])
  })

  test("from a working directory that it may only read, or that is elsewhere", async () => {
    const cwd = temporaryDirectory("readonly")
    chmodSync(cwd, 0o555)
    const bind = `mount --bind ${cwd} ${cwd} && mount -o remount,ro,bind ${cwd} && cd ${cwd} && ! touch x 2>/dev/null`
    const script = `${bind} && ${quoted("base", "pwd")}`
    const inNamespace = ["-m", "--propagation", "private", "bash", "-c", script]
    const { stdout } = await toybox(inNamespace, { binary: "/usr/bin/unshare", env: { toybox: toyboxBinary() } })
    expect(stdout).toBe("/\n")
    const root = makeRoot()
    expect(await toybox(run(`./bin/../../${root.split("/").at(-1)}`, "echo", "near"), { cwd: root })).toMatchObject({
      stdout: "near\n",
    })
  })

  test("under any umask, which is not the container's", async () => {
    const root = makeRoot()
    for (const mask of ["000", "022", "077", "777"]) {
      const script = "umask; stat -c %a / /etc/hosts /dev/shm; cat /etc/hostname; touch /tmp/x && stat -c %a /tmp/x"
      const { stdout, stderr } = await shell(
        `umask ${mask}; ${quoted("-h", "box", "-u", "alice", root, "sh", "-c", script)}`,
      )
      expect({ mask, stdout, stderr }).toEqual({ mask, stdout: "0022\n755\n644\n1777\nbox\n644\n", stderr: "" })
    }
  })

  test("with signals ignored by the caller, and the command has their defaults", async () => {
    const words = quoted("base", "grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status")
    const { stdout } = await shell(`trap '' HUP INT TERM PIPE QUIT USR1 CHLD; ${words}`)
    expect(stdout).toBe(["Blk", "Ign", "Cgt"].map((name) => `Sig${name}:\t0000000000000000\n`).join(""))
  })

  test("as a program of another name, or by a link", async () => {
    const dir = temporaryDirectory("link")
    expect((await shell(`ln -s "$toybox" ${dir}/other; ${dir}/other --version`)).stdout).toMatch(
      /^toybox \d+\.\d+\.\d+\n$/,
    )
  })

  // Bun itself gives up before any of our code: "The current working directory was deleted".
  test.failing("from a working directory that was deleted", async () => {
    const cwd = temporaryDirectory("deleted")
    const { stdout, stderr } = await shell(`cd ${cwd}; rmdir ${cwd}; ${quoted("base", "pwd")}; echo $?`)
    expect({ stdout, stderr }).toEqual({ stdout: "/\n0\n", stderr: "" })
  })
})
