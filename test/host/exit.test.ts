/** Exit codes, and what people are told with them. */
import { afterEach, describe, expect, test } from "bun:test"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** Ends with what it is told to; leaves nothing, not even a container to look at. */
async function ended(...words: string[]) {
  const { stdout, stderr, exitCode, signal } = await toybox(ownRun("--rm", ...words))
  expect(await ownLeftovers()).toEqual([])
  expect(signal).toBeUndefined()
  return { stdout, stderr, exitCode }
}

/** An error of one line, or of two of which the second is the remedy; never a stack trace. */
async function refused(exitCode: number, words: readonly string[], message: RegExp, hint?: RegExp) {
  const result = await ended(...words)
  const [first = "", second, ...more] = result.stderr.replace(/\n$/, "").split("\n")
  expect({ exitCode: result.exitCode, stdout: result.stdout, more }).toEqual({ exitCode, stdout: "", more: [] })
  expect(first).toStartWith("toybox: ")
  expect(first).toMatch(message)
  if (hint) expect(second).toMatch(hint)
  if (second !== undefined) expect(second).toStartWith("toybox: hint: ")
  expect(result.stderr).not.toMatch(/\bat .*:\d+:\d+|\.ts\b/)
}

describe.skipIf(!isRoot)("exit code", () => {
  afterEach(async () => {
    expect(await ownLeftovers()).toEqual([])
  })

  test("is the command's own", async () => {
    for (const code of [0, 1, 7, 42, 124, 125, 126, 127, 128, 137, 255]) {
      expect(await ended("base", "sh", "-c", `exit ${code}`)).toEqual({ stdout: "", stderr: "", exitCode: code })
    }
    expect((await ended("base", "true")).exitCode).toBe(0)
    expect((await ended("base", "false")).exitCode).toBe(1)
    expect((await ended("--init", "base", "sh", "-c", "exit 9")).exitCode).toBe(9)
  })

  test("is 128+n where signal n ended the command", async () => {
    // A PID 1 is not touched by its own signals: the command stands behind an init, or in the host's PID namespace.
    for (const [name, number] of Object.entries({ HUP: 1, INT: 2, KILL: 9, USR1: 10, SEGV: 11, TERM: 15, "34": 34 })) {
      expect((await ended("--init", "base", "sh", "-c", `kill -${name} $$; sleep 1`)).exitCode).toBe(128 + number)
    }
    expect((await ended("--pid", "host", "base", "sh", "-c", "kill -TERM $$; sleep 1")).exitCode).toBe(143)
    expect((await ended("base", "sh", "-c", "sh -c 'kill -9 $$'; exit $?")).exitCode).toBe(137)
  })

  test("is 125 where toybox cannot do what it is asked", async () => {
    await refused(125, ["--zzzz", "base", "true"], /unknown option --zzzz/, /see toybox run --help/)
    await refused(125, ["--memroy", "500M", "base", "true"], /unknown option --memroy/, /did you mean --memory\?/)
    await refused(125, ["--cpu", "10x", "base", "true"], /--cpu: "10x" .*\(use 10%, 100m, 0\.1 or 2\)/)
    await refused(125, ["--user", "nobdy", "base", "true"], /--user: .*"nobdy"/, /\/etc\/passwd.*number/)
    await refused(125, ["--ulimit", "files=3", "base", "true"], /--ulimit: "files=3".*"files".*nofile/)
    await refused(125, ["--name", "a b", "base", "true"], /"a b" is not a container name/, /letters, digits/)
    await refused(125, ["--workdir", "tmp", "base", "true"], /--workdir: "tmp".*absolute/)
    await refused(125, ["-e", "=x", "base", "true"], /-e: "=x".*NAME=value/)
    await refused(
      125,
      ["--env-file", "/nonexistent", "base"],
      /--env-file: cannot read \/nonexistent: there is no such file/,
    )
    await refused(125, ["--stop-signal", "SIGFOO", "base"], /--stop-signal: "SIGFOO".*TERM/)
    await refused(125, ["base", ""], /the command is empty/)
    await refused(125, ["--rm=maybe", "base"], /--rm: "maybe" is neither true nor false/)
    await refused(125, ["--cpu"], /--cpu needs a value: --cpu 10%/)
  })

  test("is 125 where there is no root", async () => {
    const dir = temporaryDirectory("none")
    await refused(
      125,
      [`${dir}/nothing`, "true"],
      /\/nothing: there is no such directory/,
      /root file system,.* or base/,
    )
    await refused(125, ["/dev/null", "true"], /\/dev\/null is not a directory/, /root file system,.* or base/)
    await refused(127, [dir, "true"], /true: command not found/, /looked in \/usr\/local\/sbin/)
  })

  test("is 125 where a step fails, and the step is told", async () => {
    const root = makeRoot({ files: { "/etc/file": "" } })
    await refused(125, ["--workdir", "/etc/file", root, "true"], /\/etc\/file/, /directory/)
    await refused(125, ["--sysctl", "net.ipv4.ip_forward=x", root, "true"], /net\.ipv4\.ip_forward.*EINVAL/, /value/)
    await refused(125, ["--sysctl", "net.no.such=1", root, "true"], /net\.no\.such.*ENOENT/, /no such setting/)
    await refused(125, ["-v", "/etc:/etc/file", root, "true"], /\/etc\/file/, /directory/)
    await refused(125, ["--device", "/dev/nothing", root, "true"], /--device: "\/dev\/nothing"/)
  })

  test("is 126 where the command cannot be run", async () => {
    const root = makeRoot({
      files: {
        "/bin/plain": "echo\n",
        "/bin/junk": { content: "junk", mode: 0o755 },
        "/bin/loop": { content: "#!/bin/plain\n", mode: 0o755 },
      },
    })
    mkdirSync(join(root, "bin/folder"))
    await refused(126, [root, "plain"], /cannot run \/bin\/plain: permission denied/, /chmod \+x/)
    await refused(126, [root, "/bin/plain"], /cannot run \/bin\/plain: permission denied/, /chmod \+x/)
    await refused(126, [root, "folder"], /cannot run \/bin\/folder: permission denied/, /directory/)
    await refused(126, [root, "/"], /cannot run \/: permission denied/, /directory/)
    await refused(126, [root, "junk"], /cannot run \/bin\/junk: exec format error/, /#!/)
    await refused(126, [root, "loop"], /cannot run \/bin\/loop: permission denied/)
    await refused(126, ["-v", `${root}/bin:/mnt:noexec`, root, "/mnt/busybox"], /cannot run \/mnt\/busybox/, /noexec/)
    await refused(126, ["--init", root, "junk"], /cannot run \/bin\/junk: exec format error/)
  })

  test("is 127 where there is no such command, and an interpreter that is missing is told apart", async () => {
    const root = makeRoot({ files: { "/bin/script": { content: "#!/usr/bin/nope\n", mode: 0o755 } } })
    await refused(127, [root, "nothere"], /nothere: command not found/, /looked in .*:\/bin$/)
    await refused(127, ["-e", "PATH=/x:/y", root, "true"], /true: command not found/, /looked in \/x:\/y$/)
    await refused(127, [root, "/bin/nothere"], /\/bin\/nothere: command not found/)
    await refused(127, [root, "./bin/x/y"], /\.\/bin\/x\/y: command not found/)
    await refused(127, [root, "/bin/busybox/x"], /\/bin\/busybox\/x: command not found/)
    await refused(127, [root, "script"], /\/bin\/script: the file is there, but the interpreter/, /#! line/)
    await refused(127, ["--init", root, "nothere"], /nothere: command not found/)
    await refused(127, ["--entrypoint", "nothere", root, "true"], /nothere: command not found/)
  })

  test("a later directory of PATH counts where an earlier one cannot", async () => {
    const root = makeRoot({ files: { "/srv/true": "no program", "/opt/x": { content: "", mode: 0o755 } } })
    expect((await ended("-e", "PATH=/srv:/opt/x:/bin", root, "true")).exitCode).toBe(0)
    expect((await ended("-w", "/bin", "-e", "PATH=/srv:", root, "busybox", "true")).exitCode).toBe(0)
  })

  test("arguments that are not UTF-8 are refused, not changed", async () => {
    const run = (word: string) =>
      toybox(["-c", `exec '${toyboxBinary()}' run --rm base echo "$(printf '${word}')"`], { binary: "/bin/sh" })
    expect(await run("a\\377b")).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining("argument 5 is not UTF-8"),
    })
    expect((await run("\\357\\277\\275")).stdout).toBe("\uFFFD\n")
  })

  test("toybox itself", async () => {
    const said = async (...words: string[]) => {
      const { stderr, exitCode } = await toybox(words)
      return [exitCode, ...stderr.trim().split("\n")]
    }
    expect(await said("nothing")).toEqual([125, 'toybox: "nothing" is not a command of toybox', expect.any(String)])
    expect(await said("rum")).toEqual([125, expect.any(String), "toybox: hint: did you mean toybox run?"])
    expect(await said("help", "rum")).toEqual(await said("rum"))
    expect(await said("tag", "x")).toEqual([125, "toybox: tag takes an image and its new name", expect.any(String)])
    expect((await toybox(["help", "oci"])).stdout).toBe((await toybox(["oci", "--help"])).stdout)
    expect(await said("ps", "x")).toEqual([125, 'toybox: ps takes no arguments, but got "x"'])
    expect((await toybox(["--help"])).stdout).toContain("run")
    expect((await toybox(["run", "--help"])).stdout).toContain("--cpu")
    // After the root an option is the command's.
    expect((await ended("base", "echo", "--help", "--rm")).stdout).toBe("--help --rm\n")
  })
})
