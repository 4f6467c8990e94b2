/** What of the caller a command has: --attach, --preserve-fds, and the signals that toybox gets, --sig-proxy. */
import { afterEach, describe, expect, test } from "bun:test"
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"
import { terminal, terminalUnavailable } from "../helpers/tty.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const SCRIPT = "cat; echo out; echo err >&2"

async function succeed(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await toybox(words)
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.trimEnd()
}
const inspect = async (name: string) => JSON.parse(await succeed("inspect", name))[0]

/** A shell of the host's runs a line, in which "$0" "$@" is `toybox run`. */
function line(text: string, ...words: string[]) {
  const { stdout, stderr, exitCode } = Bun.spawnSync(
    ["timeout", "20", "sh", "-c", text, toyboxBinary(), ...ownRun(...words)],
    { env: { ...process.env, TOYBOX_ROOT: stateRoot() } },
  )
  return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode }
}

/** The same with some redirections. */
const shell = (redirections: string, ...words: string[]) => line(`exec "$0" "$@" ${redirections}`, ...words)

describe.skipIf(!isRoot)("streams and signals", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test.each<[string[], string, string]>([
    [[], "in\nout\n", "err\n"],
    [["-a", "stdout"], "out\n", ""],
    [["-a", "stderr"], "", "err\n"],
    [["-a", "stdin", "--attach=STDOUT"], "in\nout\n", ""],
    [["-i", "-a", "stdout", "-a", "stderr"], "in\nout\n", "err\n"],
    // With a supervisor between the two.
    [["-i", "-a", "stderr", "--timeout", "20"], "", "err\n"],
  ])("--attach: %j", async (options, stdout, stderr) => {
    const ended = await toybox(ownRun("--rm", ...options, "base", "sh", "-c", SCRIPT), { stdin: "in\n" })
    expect(ended).toMatchObject({ exitCode: 0, stdout, stderr })
  })

  test("a slow reader gets all that a command with a terminal has written, whenever that ends", async () => {
    const words = ["sh", "-c", "head -c 70000 /dev/zero | tr '\\0' x"]
    const slowly = '"$0" "$@" </dev/null | (sleep 1; wc -c)'
    expect(line(slowly, "--rm", "-t", "base", ...words).stdout).toBe("70000\n")
    // Nobody else waits for him: the container is gone before he reads more than a byte. What is written fits the terminal, and
    // not the pipe: a page, F_SETPIPE_SZ.
    const page = "python3 -c 'import fcntl; fcntl.fcntl(0, 1031, 4096)'"
    const gone = 'for i in $(seq 50); do [ -z "$("$0" ps -aq)" ] && break; sleep 0.2; done; "$0" ps -aq'
    const listed = slowly.replace("sleep 1", `${page}; head -c 1; ${gone}`)
    const fewer = ["sh", "-c", "sleep 0.5; head -c 20000 /dev/zero | tr '\\0' x"]
    expect(line(listed, "--rm", "-t", "base", ...fewer).stdout).toBe("x19999\n")
    await succeed(...ownRun("-d", "--name", "slow", "base", "sleep", "1000"))
    const exec = `shift $(($# - 3)); ${slowly.replace('"$@"', 'exec -t slow "$@"')}`
    expect(line(exec, ...words).stdout).toBe("70000\n")
  })

  test.each([[], ["--timeout", "15"]])(
    "the end of input that is no terminal is one for the command's: %j",
    (...options) => {
      const typed = line('printf \'a\\nb\' | "$0" "$@"', "--rm", "-it", ...options, "base", "cat")
      expect(typed).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/b$/) })
    },
  )

  test.each([[], ["--timeout", "15"]])("a full disk behind its output ends no command: %j", (...options) => {
    const words = ["--rm", ...options, "base", "sh", "-c", "echo out; sleep 0.3; exit 7"]
    const { exitCode, stderr } = shell(">/dev/full", ...words)
    expect([exitCode, stderr]).toEqual([7, "toybox: standard output: ENOSPC\n"])
  })

  test("an id file that cannot be written is not left", () => {
    const directory = temporaryDirectory("idfile")
    Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", directory])
    try {
      writeFileSync(join(directory, "filling"), new Uint8Array(4096))
      const path = join(directory, "id")
      expect(shell("", "--rm", "--cidfile", path, "base", "true")).toMatchObject({
        exitCode: 125,
        stderr: expect.stringContaining("ENOSPC"),
      })
      expect(existsSync(path)).toBe(false)
    } finally {
      Bun.spawnSync(["umount", directory])
    }
  })

  test("--attach is kept", async () => {
    await succeed("create", ...ownRun("--name", "kept", "-a", "stderr", "base").slice(1))
    const { Config } = await inspect("kept")
    expect(Config).toMatchObject({ AttachStdin: false, AttachStdout: false, AttachStderr: true })
  })

  test.skipIf(terminalUnavailable() !== undefined)("a terminal can be typed at and not seen", async () => {
    const run = [toyboxBinary(), ...ownRun("--rm", "-it", "-a", "stdin", "base", "sh")].join(" ")
    const opened = await terminal({ cmd: ["bash", "-c", `${run}; echo "[code $?]"; exec sleep 60`] })
    try {
      opened.send("echo unseen-$((1+1)); exit 4\r")
      expect(await opened.waitFor("[code 4]")).not.toContain("unseen-2")
    } finally {
      await opened.close()
    }
  })

  test("--preserve-fds passes what is open from 3 on, and nothing else", () => {
    const file = join(temporaryDirectory(), "given")
    writeFileSync(file, "given\n")
    const list = "cat <&3; ls /proc/self/fd"
    const passed = shell(`3<${file} 4>/dev/null 5>/dev/null`, "--rm", "--preserve-fds", "2", "base", "sh", "-c", list)
    // One of them is that of the directory.
    expect(passed.stdout.trimEnd().split("\n")).toEqual(["given", "0", "1", "2", "3", "4", "5"])
    const closed = shell("3<&- 4<&-", "--rm", "--preserve-fds", "1", "base", "true")
    expect(closed).toMatchObject({ exitCode: 125, stderr: "toybox: --preserve-fds: descriptor 3 is not open\n" })
  })

  test.each(["run", "exec"])("what %s --preserve-fds passes for reading is not written", async (how) => {
    const dir = temporaryDirectory()
    const file = join(dir, "given")
    writeFileSync(file, "one\ntwo\n", { mode: 0o600 })
    await succeed(...ownRun("-d", "--name", "target", "base", "sleep", "100"))
    const script =
      "cat /proc/self/fd/4 >&2; echo bad > /proc/self/fd/3; chmod 777 /proc/self/fd/3; echo good >&5; read a <&3; echo $a"
    const words =
      how === "exec" ? ["exec", "--preserve-fds", "3", "target"] : ownRun("--rm", "--preserve-fds", "3", "base")
    const line = [toyboxBinary(), ...words, "sh", "-c", `'${script}'`].join(" ")
    const opened = `exec 3<given 4<<<word 5>new; ${line} 2>told; echo $?; cat <&3`
    const { stdout } = Bun.spawnSync(["timeout", "20", "bash", "-c", opened], {
      cwd: dir,
      env: { ...process.env, TOYBOX_ROOT: stateRoot() },
    })
    // Where the command has stopped reading, who comes after it goes on: dash reads a byte at a time, and so does ash.
    expect(stdout.toString()).toBe("one\n0\ntwo\n")
    expect(readFileSync(join(dir, "told"), "utf8")).toContain("word\n")
    expect(readFileSync(join(dir, "new"), "utf8")).toBe("good\n")
    expect([readFileSync(file, "utf8"), statSync(file).mode & 0o777]).toEqual(["one\ntwo\n", 0o600])
    const refused = shell("3</", "--rm", "--preserve-fds", "1", "base", "true")
    expect(refused).toMatchObject({
      exitCode: 125,
      stderr:
        "toybox: --preserve-fds: descriptor 3 is a directory, which no container gets\ntoybox: hint: mount it (-v)\n",
    })
  })

  test("--sig-proxy=false: toybox ends by a signal, and the container goes on", async () => {
    const script = "trap 'echo told; exit 9' TERM; echo begun; while :; do sleep 0.1; done"
    const words = ["--name", "alone", "--sig-proxy=false", "base", "sh", "-c", script]
    const left = await startToybox(ownRun(...words))
    await left.waitFor("begun")
    left.kill("SIGTERM")
    expect(await left.wait()).toMatchObject({ exitCode: 143, stdout: "begun\n" })
    expect((await inspect("alone")).State.Status).toBe("running")
    await succeed("stop", "alone")
    expect((await inspect("alone")).State.ExitCode).toBe(9)
    const again = await startToybox(["start", "--attach", "--sig-proxy=false", "alone"])
    await again.waitFor("begun")
    again.kill("SIGINT")
    expect(await again.wait()).toMatchObject({ exitCode: 130 })
    expect((await inspect("alone")).State.Status).toBe("running")
  })

  test("--sig-proxy=false: who reads late gets all of it, and the exit code of what is removed", () => {
    const script = "i=0; while [ $i -lt 60000 ]; do echo line $i; i=$((i+1)); done; exit 7"
    const words = ["--rm", "--sig-proxy=false", "base", "sh", "-c", script]
    const { stdout, stderr } = line('{ "$0" "$@"; echo [$?] >&2; } | { sleep 4; wc -l; }', ...words)
    expect([stdout.trim(), stderr]).toEqual(["60000", "[7]\n"])
  })

  test("start -a and attach tell the exit code though nobody read for long", async () => {
    const script = "until [ -e /go ]; do echo tick; sleep 0.1; done; head -c 3000000 /dev/zero | tr '\\0' x; exit 7"
    await succeed("create", "--rm", "--name", "late", ...ownRun().slice(1), "base", "sh", "-c", script)
    const started = await startToybox(["start", "-a", "late"], { timeoutSeconds: 40 })
    await started.waitFor("tick")
    const attached = await startToybox(["attach", "late"], { timeoutSeconds: 40 })
    await attached.waitFor("tick")
    const ended = toybox(["wait", "--condition", "removed", "late"], { timeoutSeconds: 40 })
    started.kill("SIGSTOP")
    attached.kill("SIGSTOP")
    await succeed("exec", "late", "touch", "/go")
    expect((await ended).stdout).toBe("7\n")
    // The supervisor waits for nobody who does not read.
    expect(await ownLeftovers({ ignore: /start -a|attach late/ })).toEqual([])
    for (const one of [started, attached]) {
      one.kill("SIGCONT")
      const { stdout, stderr, exitCode } = await one.wait()
      const missed = Number(/\[(\d+) bytes came/.exec(stderr)?.[1] ?? 0)
      expect([stdout.replaceAll(/[^x]/g, "").length + missed, exitCode]).toEqual([3_000_000, 7])
    }
  }, 40_000)

  test.each<[string[], string]>([
    [["-a", "stdlog"], '-a: "stdlog" is no stream'],
    [["-d", "-a", "stdout"], "-a and -d exclude each other"],
    [["-d", "--preserve-fds", "1"], "--preserve-fds needs a container of the foreground"],
    [["--preserve-fds", "x"], '--preserve-fds: "x" is not a number'],
    [["--sig-proxy=false", "--trace"], "--trace does not go with --sig-proxy=false"],
  ])("%j is told", async (words, message) => {
    const told = await toybox(ownRun("--rm", ...words, "base", "true"))
    expect(told).toMatchObject({ exitCode: 125, stderr: expect.stringContaining(message) })
  })
})
