/** toybox attach: terminals and pipes at containers that run in the background, several at once, and who lets go how. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"
import { type Terminal, terminal, terminalUnavailable } from "../helpers/tty.ts"

cleanUpAfterAll()
// Many a toybox has to start, on a machine that has other things to do.
setDefaultTimeout(60_000)

const isRoot = process.getuid?.() === 0
const PATIENCE = 15_000
const terminals: Terminal[] = []

async function detached(...words: string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await toybox(ownRun("-d", ...words))
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 })
  return stdout.trim()
}

/** A terminal with a shell of the host in it that attaches, tells the exit code and whether its settings are kept. */
async function attachedTerminal(name: string, ...options: string[]): Promise<Terminal> {
  const compare = '[ "$(stty -g)" = "$before" ] && echo "[settings kept]" || echo "[settings lost]"'
  const attach = [toyboxBinary(), "attach", ...options, name].join(" ")
  const cmd = ["bash", "-c", `before=$(stty -g); ${attach}; echo "[code $?]"; ${compare}; exec sleep 60`]
  const opened = await terminal({ cmd, cols: 90, rows: 28 })
  terminals.push(opened)
  return opened
}

const running = (id: string) => JSON.parse(readFileSync(join(stateRoot(), "run/running", id), "utf8"))
const sockets = () => readdirSync(join(stateRoot(), "run/attach"))
const status = async (id: string) =>
  (await toybox(["ps", "-a", "--json"])).stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .find((row) => row.id === id)

async function eventually<T>(look: () => T | Promise<T>, good: (value: T) => boolean): Promise<T> {
  for (const end = performance.now() + PATIENCE; ; await Bun.sleep(20)) {
    const value = await look()
    if (good(value) || performance.now() > end) return value
  }
}

describe.skipIf(!isRoot)("attach with pipes", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
    expect(sockets()).toEqual([])
  })

  test("passes bytes both ways, the streams told apart, and the container's exit code on", async () => {
    const script = "read line; echo got $line; echo err >&2; read line; exit 7"
    await detached("-i", "--name", "pipes", "base", "sh", "-c", script)
    const attached = await startToybox(["attach", "pipes"])
    attached.stdin.write("one\n")
    await attached.waitFor("got one")
    attached.stdin.write("two\n")
    expect(await attached.wait()).toMatchObject({ stdout: "got one\n", stderr: "err\n", exitCode: 7 })
    expect((await toybox(["logs", "pipes"])).stdout).toBe("got one\n")
  })

  test("all that are attached see the same, and the end of one's input ends nobody", async () => {
    await detached("-i", "--name", "all", "base", "sh", "-c", 'while read line; do echo "=$line"; done')
    const first = await startToybox(["attach", "all"])
    const second = await startToybox(["attach", "all"])
    second.stdin.write("there\n")
    await second.waitFor("=there")
    first.stdin.write("a\n")
    await Promise.all([first.waitFor("=a"), second.waitFor("=a")])
    first.stdin.end()
    second.stdin.write("b\n")
    await Promise.all([first.waitFor("=b"), second.waitFor("=b")])
    second.kill("SIGKILL")
    await second.wait()
    expect(await toybox(["exec", "all", "sh", "-c", "echo c > /proc/1/fd/0"])).toMatchObject({ exitCode: 0 })
    await first.waitFor("=c")
    await toybox(["kill", "all"])
    expect((await first.wait()).exitCode).toBe(137)
  })

  test("a megabyte goes through in either direction, every byte of it", async () => {
    await detached("-i", "--name", "much", "base", "sh", "-c", "head -c 1000000 | md5sum; head -c 3000000 /dev/zero")
    const bytes = Uint8Array.from({ length: 1_000_000 }, (_, i) => (i * 7919) >> 3)
    const attached = await startToybox(["attach", "much"])
    attached.stdin.write(bytes)
    const { stdout, exitCode } = await attached.wait()
    expect(stdout.slice(0, 32)).toBe(new Bun.CryptoHasher("md5").update(bytes).digest("hex"))
    expect([stdout.length, exitCode]).toEqual([36 + 3_000_000, 0])
  })

  test("one that is stopped neither keeps the container waiting nor loses its log, and is told what it has missed", async () => {
    const script = "read go; head -c 6000000 /dev/zero | tr '\\0' x; echo; echo end"
    await detached("-i", "--name", "stopped", "base", "sh", "-c", script)
    const attached = await startToybox(["attach", "stopped"], { timeoutSeconds: 40 })
    const ended = toybox(["wait", "stopped"], { timeoutSeconds: 40 })
    attached.stdin.write("go\n")
    await attached.waitFor("x")
    attached.kill("SIGSTOP")
    expect((await ended).stdout).toBe("0\n")
    attached.kill("SIGCONT")
    const { stdout, stderr, exitCode } = await attached.wait()
    const missed = Number(/\[(\d+) bytes came/.exec(stderr)?.[1] ?? 0)
    expect([stdout.length + missed, exitCode]).toEqual([6_000_005, 0])
    const log = (await toybox(["logs", "stopped"])).stdout
    expect([log.length, log.endsWith("x\nend\n")]).toEqual([6_000_005, true])
  })

  test("signals are passed on, or with --sig-proxy=false end what is attached only", async () => {
    const script = 'trap "echo caught" USR1; trap "exit 9" TERM; while :; do echo tick; sleep 0.1; done'
    const id = await detached("--name", "signals", "base", "sh", "-c", script)
    const alone = await startToybox(["attach", "--sig-proxy=false", "signals"])
    const proxy = await startToybox(["attach", "signals"])
    await Promise.all([alone.waitFor("tick"), proxy.waitFor("tick")])
    alone.kill("SIGTERM")
    expect((await alone.wait()).exitCode).toBe(143)
    proxy.kill("SIGUSR1")
    await proxy.waitFor("caught")
    expect(await status(id)).toMatchObject({ status: "running" })
    proxy.kill("SIGTERM")
    expect((await proxy.wait()).exitCode).toBe(9)
  })

  test("signals that come as the container ends hide its exit code from nobody", async () => {
    const script = 'trap "exit 9" USR1; while :; do echo tick; sleep 0.02; done'
    await detached("--name", "ending", "base", "sh", "-c", script)
    const attached = await startToybox(["attach", "ending"])
    await attached.waitFor("tick")
    const ended = attached.wait()
    for (let over = false; !over; over = await Promise.race([ended.then(() => true), Bun.sleep(2).then(() => false)]))
      attached.kill("SIGUSR1")
    expect(await ended).toMatchObject({ stderr: "", exitCode: 9 })
  })

  test("a command that sees no signals is told of, and the third one lets go", async () => {
    const script = "while :; do echo tick; sleep 0.1; done & exec sleep 1000"
    const id = await detached("--name", "deaf", "base", "sh", "-c", script)
    const attached = await startToybox(["attach", "deaf"])
    await attached.waitFor("tick")
    attached.kill("SIGINT")
    await attached.waitFor("the command never sees SIGINT, for which it has no handler: 2 more of them leave it")
    attached.kill("SIGTERM")
    await Bun.sleep(200)
    attached.kill("SIGINT")
    const { stderr, exitCode } = await attached.wait()
    expect([stderr.trim().split("\n").length, exitCode]).toEqual([1, 130])
    expect(await status(id)).toMatchObject({ status: "running" })
  })

  test("--no-stdin, and a container without -i, take no input", async () => {
    await detached("-i", "--name", "typed", "base", "cat")
    const mute = await startToybox(["attach", "--no-stdin", "typed"])
    mute.stdin.write("mute\n")
    const loud = await startToybox(["attach", "typed"])
    const heard = mute.waitFor("loud").then(() => true)
    // Who comes later has not heard what was said before.
    do loud.stdin.write("loud\n")
    while (!(await Promise.race([heard, Bun.sleep(100).then(() => false)])))
    await toybox(["kill", "typed"])
    expect((await mute.wait()).stdout).toMatch(/^(loud\n)+$/)
    await detached("--name", "silent", "base", "sh", "-c", "cat; echo done; sleep 1000")
    await eventually(
      async () => (await toybox(["logs", "silent"])).stdout,
      (text) => text === "done\n",
    )
  })

  test("a supervisor that is killed ends the container and what is attached, which tells so", async () => {
    const id = await detached("-i", "--name", "killed", "base", "sh", "-c", "echo up; cat")
    const attached = await startToybox(["attach", "killed"])
    attached.stdin.write("there\n")
    await attached.waitFor("there")
    process.kill(running(id).supervisor.pid, "SIGKILL")
    const { stderr, exitCode } = await attached.wait()
    expect([stderr, exitCode]).toEqual(["toybox: container killed: toybox itself was killed\n", 137])
    expect(await status(id)).toMatchObject({ status: "exited", exitCode: 137 })
  })

  test("what cannot be attached to is told", async () => {
    expect((await toybox(["attach", "nobody"])).stderr).toContain("no such container: nobody")
    await toybox(ownRun("--name", "over", "base", "true"))
    expect(await toybox(["attach", "over"])).toMatchObject({ exitCode: 125 })
    await detached("--name", "paused", "base", "sleep", "1000")
    await toybox(["pause", "paused"])
    expect((await toybox(["attach", "paused"])).stderr).toContain("is paused")
  })

  test("a state directory with a long path, and a socket that nobody else may use", async () => {
    const state = join(temporaryDirectory(), "x".repeat(100))
    const env = { TOYBOX_ROOT: state }
    const { stdout } = await toybox(ownRun("-d", "-i", "--name", "long", "base", "cat"), { env })
    const mode = Bun.spawnSync(["stat", "-c", "%a %F", join(state, "run/attach", stdout.trim())]).stdout.toString()
    expect(mode).toBe("600 socket\n")
    const attached = await startToybox(["attach", "long"], { env })
    attached.stdin.write("through\n")
    await attached.waitFor("through")
    await toybox(["rm", "-f", "long"], { env })
    expect((await attached.wait()).exitCode).toBe(137)
    expect(existsSync(join(state, "run/attach", stdout.trim()))).toBe(false)
  })
})

describe.skipIf(!isRoot || terminalUnavailable() !== undefined)("attach on a terminal", () => {
  afterEach(async () => {
    await Promise.all(terminals.splice(0).map((one) => one.close()))
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("a shell is left with the keys and come back to; its end is the end of it", async () => {
    await detached("-it", "--name", "shell", "base", "sh")
    const shown = await attachedTerminal("shell")
    shown.press("Enter")
    await shown.waitFor("/ #")
    shown.send("test -t 0 && test -t 1 && stty size && here=1\n")
    await shown.waitFor(/^28 90$/m)
    shown.press("C-p", "C-q")
    const left = await shown.waitFor("[settings")
    expect(left).toContain("detached from shell, which goes on\n[code 0]\n[settings kept]")
    const again = await attachedTerminal("shell")
    again.send("echo back $here; exit 3\n")
    await again.waitFor(/^back 1$/m)
    expect(await again.waitFor("[settings")).toContain("[code 3]\n[settings kept]")
    // One stream, with the terminal's line ends.
    expect((await toybox(["logs", "shell"])).stdout).toContain("\r\nback 1\r\n")
  })

  test("two at once see and type the same, and the size is that of the last one to change it", async () => {
    const script = 'trap "echo size \\$(stty size)" WINCH; while :; do read line && echo "=$line"; done'
    await detached("-it", "--name", "both", "base", "sh", "-c", script)
    const first = await attachedTerminal("both")
    await first.waitFor("size 28 90")
    const second = await attachedTerminal("both")
    // One that comes makes programs draw their screen anew.
    await second.waitFor("size 28 90")
    first.send("typed in one\n")
    await second.waitFor(/^=typed in one$/m)
    second.send("and the other\n")
    await first.waitFor(/^=and the other$/m)
    second.resize(70, 20)
    await first.waitFor("size 20 70")
    await second.close()
    first.send("still there\n")
    await first.waitFor(/^=still there$/m)
  })

  test("other keys detach, and the usual ones are typed then", async () => {
    await detached("-it", "--name", "keys", "base", "sh")
    const shown = await attachedTerminal("keys", "--detach-keys", "ctrl-x,d")
    shown.send("echo there\n")
    await shown.waitFor(/^there$/m)
    // The line before.
    shown.press("C-p", "Enter")
    await shown.waitFor(/^there\n.*echo there\nthere$/m)
    shown.press("C-x", "d")
    expect(await shown.waitFor("[settings")).toContain("[code 0]\n[settings kept]")
  })

  test("logs -f of a terminal shows what is typed elsewhere, byte for byte, until the end", async () => {
    await detached(
      "-it",
      "--name",
      "followed",
      "base",
      "sh",
      "-c",
      "stty -echo; printf 'a\\tb\\n'; read x; printf \"<$x>\"",
    )
    const follower = await startToybox(["logs", "-f", "followed"])
    await follower.waitFor("a\tb")
    const attached = await startToybox(["attach", "followed"])
    attached.stdin.write("typed\n")
    expect((await attached.wait()).exitCode).toBe(0)
    expect(await follower.wait()).toMatchObject({ stdout: "a\tb\r\n<typed>", stderr: "" })
  })

  test("a window that is closed leaves the container as it is", async () => {
    const id = await detached("-it", "--name", "window", "base", "sh")
    const shown = await attachedTerminal("window")
    shown.send("echo seen\n")
    await shown.waitFor(/^seen$/m)
    await shown.close()
    const again = await attachedTerminal("window")
    again.send("echo after\n")
    await again.waitFor(/^after$/m)
    expect(await status(id)).toMatchObject({ status: "running" })
  })
})
