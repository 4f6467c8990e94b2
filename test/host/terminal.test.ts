/** A container on a real terminal (tmux): what the command gets, what keys do, and how the caller's terminal is left. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { readFileSync } from "node:fs"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"
import { type Terminal, terminal, terminalUnavailable } from "../helpers/tty.ts"

cleanUpAfterAll()
setDefaultTimeout(30_000)

const isRoot = process.getuid?.() === 0
const command = (...words: string[]) => [toyboxBinary(), ...ownRun("--rm", ...words)]
const quoted = (...words: string[]) =>
  command(...words)
    .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
    .join(" ")

let open: Terminal | undefined

/** A terminal with a container in it. */
async function show(...words: string[]): Promise<Terminal> {
  open = await terminal({ cmd: command(...words), cols: 90, rows: 28 })
  return open
}

/** A terminal with a shell of the host in it, which compares its settings before and after `script`. */
async function around(script: string): Promise<Terminal> {
  const compare = '[ "$(stty -g)" = "$before" ] && echo "[settings kept]" || echo "[settings lost]"'
  const cmd = ["bash", "-c", `before=$(stty -g); ${script}; echo "[code $?]"; ${compare}; exec sleep 60`]
  open = await terminal({ cmd, cols: 90, rows: 28 })
  return open
}

/** The pid of the one toybox that runs a container of this file. */
function toyboxPid(screen: string): number {
  return Number(/toybox is (\d+)/.exec(screen)?.[1])
}

describe.skipIf(!isRoot || terminalUnavailable() !== undefined)("a container on a terminal", () => {
  afterEach(async () => {
    await open?.close()
    open = undefined
    expect(await ownLeftovers()).toEqual([])
  })

  test("-it: a terminal of its own, with job control, as its only terminal: CVE-2017-5226", async () => {
    const shown = await show("-it", "base", "sh")
    await shown.waitFor("/ #")
    expect(shown.screen()).not.toMatch(/can't access tty|job control turned off/)
    shown.send("tty; test -t 0 && test -t 1 && test -t 2 && echo all; ls /dev/pts; echo $TERM\n")
    const screen = await shown.waitFor("xterm\n/ #")
    expect(screen).toMatch(/^\/dev\/(pts\/0|console)\nall\n0 +ptmx\nxterm$/m)
    shown.send("sleep 50 &\n")
    shown.send("jobs\n")
    await shown.waitFor(/^\[1\]\+ +Running/m)
    shown.send("echo from the tty > /dev/tty; echo console > /dev/console; exit 5\n")
    await shown.waitFor(/^from the tty\nconsole$/m)
    expect(await shown.exited()).toBe(5)
  })

  test("-t alone takes nothing that is typed, and Ctrl-C ends it", async () => {
    const script = "stty -echo; echo ready; trap 'exit 6' INT; read line; echo got:$line"
    const shown = await around(quoted("-t", "base", "sh", "-c", script))
    await shown.waitFor(/^ready$/m)
    shown.send("abc\n")
    await Bun.sleep(300)
    expect(shown.screen()).not.toContain("got:")
    shown.press("C-c")
    expect(await shown.waitFor(/settings \w+/)).toMatch(/\[code 6\]\n\[settings kept\]/)
    await open?.close()
    const asleep = await show("-t", "base", "sleep", "1000")
    await Bun.sleep(500)
    asleep.press("C-c")
    expect(await asleep.exited()).toBe(130)
  })

  test("the size is there before the command is, and follows", async () => {
    const shown = await show(
      "-it",
      "base",
      "sh",
      "-c",
      "stty size; trap 'stty size' WINCH; while :; do sleep 0.05; done",
    )
    await shown.waitFor(/^28 90$/m)
    shown.resize(101, 31)
    await shown.waitFor(/^31 101$/m)
    shown.resize(60, 12)
    await shown.waitFor(/^12 60$/m)
    shown.press("C-c")
    expect(await shown.exited()).toBe(130)
  })

  test("Ctrl-C, Ctrl-Z and Ctrl-D are for the container", async () => {
    const shown = await show("-it", "base", "sh")
    await shown.waitFor("/ #")
    shown.send("sh -c 'echo one; exec sleep 60'\n")
    await shown.waitFor(/^one$/m)
    shown.press("C-c")
    shown.send("echo after $?\n")
    await shown.waitFor("after 130")
    shown.send("sh -c 'echo two; exec sleep 61'\n")
    await shown.waitFor(/^two$/m)
    shown.press("C-z")
    await shown.waitFor("Stopped")
    shown.send("kill -9 %1; sleep 0.1; jobs; echo going\n")
    await shown.waitFor(/^going$/m)
    shown.press("C-d")
    expect(await shown.exited()).toBe(0)
  })

  test("keys arrive byte by byte: the caller's terminal is raw meanwhile", async () => {
    const shown = await show(
      "-it",
      "base",
      "sh",
      "-c",
      "stty raw -echo; echo ready; dd bs=1 count=4 2>/dev/null | od -tx1",
    )
    await shown.waitFor("ready")
    shown.press("C-q", "C-c", "Enter", "C-z")
    await shown.waitFor(/11 03 0d 1a/)
    expect(await shown.exited()).toBe(0)
  })

  test("a bare shell on a terminal needs no -it", async () => {
    const shown = await show("base")
    await shown.waitFor("/ #")
    shown.send("tty; exit 3\n")
    await shown.waitFor(/\/dev\/(pts\/0|console)/)
    expect(await shown.exited()).toBe(3)
    await open?.close()
    const refused = await around(`echo tty | ${quoted("base", "sh")}; ${quoted("-t=false", "base", "sh")}`)
    expect(await refused.waitFor(/settings \w+/)).toMatch(/^not a tty\n\[code 0\]/)
  })

  test("another command gets no terminal without -t, least of all the host's, and prints well", async () => {
    const script = "for fd in 0 1 2; do test -t $fd && echo $fd is a terminal; readlink /proc/self/fd/$fd; done; seq 3"
    const shown = await around(quoted("base", "sh", "-c", `${script}; cat; echo err >&2; exit 4`))
    const screen = await shown.waitFor(/settings \w+/)
    expect(screen).toMatch(/^\/dev\/null\npipe:\S+\npipe:\S+\n1\n2\n3\nerr\n\[code 4\]\n\[settings kept\]$/)
  })

  test("-i without -t passes typed lines on, and their end", async () => {
    const shown = await show("-i", "base", "sh", "-c", "test -t 0 || echo no terminal; cat; echo end")
    await shown.waitFor("no terminal")
    shown.send("a line\n")
    await shown.waitFor(/^a line\na line$/m)
    shown.press("C-d")
    await shown.waitFor(/^end$/m)
    expect(await shown.exited()).toBe(0)
  })

  test("Ctrl-C ends a command without a terminal", async () => {
    const shown = await show(
      "base",
      "sh",
      "-c",
      "trap 'echo trapped; exit 7' INT; echo ready; while :; do sleep 0.05; done",
    )
    await shown.waitFor("ready")
    shown.press("C-c")
    await shown.waitFor("trapped")
    expect(await shown.exited()).toBe(7)
  })

  test("-t with a pipe as input, and with a pipe as output", async () => {
    const piped = await around(`echo typed | ${quoted("-t", "base", "sh", "-c", "tty; cat")}`)
    expect(await piped.waitFor(/settings \w+/)).toMatch(
      /^(typed\n)?\/dev\/\S+\n(typed\n)+\[code 0\]\n\[settings kept\]$/,
    )
    await open?.close()
    const out = await around(`${quoted("-t", "base", "sh", "-c", "tty; stty size; cat")} < /dev/null | cat -A`)
    const screen = await out.waitFor(/settings \w+/)
    expect(screen).toMatch(/^\/dev\/\S+\^M\$\n/)
    expect(screen).toContain("[settings kept]")
  })
})

describe.skipIf(!isRoot || terminalUnavailable() !== undefined)("the caller's terminal has its settings back", () => {
  afterEach(async () => {
    await open?.close()
    open = undefined
    expect(await ownLeftovers()).toEqual([])
  })

  for (const [how, script, code] of [
    ["the command has ended", quoted("-it", "base", "true"), 0],
    ["the command has failed", quoted("-it", "base", "sh", "-c", "exit 6"), 6],
    ["there is no such command", quoted("-it", "base", "nothere"), 127],
    ["a step has failed", quoted("-it", "--sysctl", "net.no.such=1", "base", "sh"), 125],
    ["the command line was wrong", quoted("-it", "--cpu", "x", "base", "sh"), 125],
    ["the command was killed", quoted("-it", "--init", "base", "sh", "-c", "kill -9 $$"), 137],
    ["the memory ran out", quoted("-it", "-m", "32M", "base", "tail", "/dev/zero"), 137],
  ] as const) {
    test(`when ${how}`, async () => {
      const shown = await around(script)
      const screen = await shown.waitFor(/settings \w+/)
      expect(screen).toContain(`[code ${code}]\n[settings kept]`)
      expect(screen).not.toMatch(/^ +\S/m)
    })
  }

  for (const signal of ["TERM", "HUP", "INT"]) {
    test(`after SIG${signal} to toybox`, async () => {
      const sleeper = `bash -c 'echo "toybox is $$"; exec "$0" "$@"' ${quoted("-it", "base", "sh", "-c", "echo ready; exec sleep 60")}`
      const shown = await around(sleeper)
      const pid = toyboxPid(await shown.waitFor("ready"))
      expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toContain("toybox")
      process.kill(pid, `SIG${signal}`)
      const code = { TERM: 143, HUP: 129, INT: 130 }[signal]
      expect(await shown.waitFor(/settings \w+/)).toContain(`[code ${code}]\n[settings kept]`)
    })
  }
})

describe.skipIf(!isRoot || terminalUnavailable() !== undefined)("detach keys", () => {
  const READ = "stty raw -echo; echo ready; dd bs=1 count=5 2>/dev/null | od -An -tx1"
  afterEach(async () => {
    await open?.close()
    open = undefined
    expect(await ownLeftovers()).toEqual([])
  })

  const running = async () => (await toybox(["ps", "--format", "{{.Names}}"])).stdout.trim()

  test("are ctrl-p ctrl-q, and reach nobody; the container goes on, and is attached to again", async () => {
    const shown = await around(quoted("-it", "--name", "left", "base", "sh", "-c", READ))
    await shown.waitFor("ready")
    shown.send("a")
    shown.press("C-p", "b", "C-p", "C-q")
    const screen = await shown.waitFor(/settings \w+/)
    expect(screen).toContain("toybox: detached from left, which goes on\n[code 0]\n[settings kept]")
    expect(await running()).toBe("left")
    await open?.close()
    const again = await around(`${toyboxBinary()} attach left`)
    // Nothing tells that it is there: the command is silent.
    await Bun.sleep(1000)
    // ctrl-p ctrl-p ctrl-q: the first one is a key, the other two are taken.
    again.press("C-p", "C-p", "C-q")
    await again.waitFor("[code 0]")
    await open?.close()
    const last = await around(`${toyboxBinary()} attach left`)
    await Bun.sleep(1000)
    last.send("c")
    expect(await last.waitFor(/settings \w+/)).toContain("61 10 62 10 63")
    expect(await running()).toBe("")
  })

  test("can be others, or none", async () => {
    const other = await show("-it", "--detach-keys", "ctrl-x,y", "base", "sh", "-c", READ)
    await other.waitFor("ready")
    other.press("C-p", "C-q", "C-x", "z", "a")
    await other.waitFor(/10 11 18 7a 61/)
    await open?.close()
    const none = await show("-it", "--detach-keys=", "base", "sh", "-c", READ)
    await none.waitFor("ready")
    none.press("C-p", "C-q", "1", "2", "3")
    await none.waitFor(/10 11 31 32 33/)
    expect(none.screen()).not.toContain("detached")
  })

  const withPid = (...words: string[]) =>
    around(`bash -c 'echo "toybox is $$"; exec "$0" "$@"' ${quoted("-it", ...words)}`)

  test("are the only way for a container to outlive its toybox: with SIGKILL, too, it dies", async () => {
    const shown = await withPid("--name", "held", "base", "sh", "-c", "echo ready; exec sleep 60")
    const pid = toyboxPid(await shown.waitFor("ready"))
    expect(await running()).toBe("held")
    process.kill(pid, "SIGKILL")
    await shown.waitFor("[code 137]")
    expect(await ownLeftovers()).toEqual([])
  })

  test("with them comes a supervisor, but what is written while toybox takes nothing is not lost", async () => {
    const shown = await withPid("base", "sh", "-c", "echo ready; read x; seq 100000; echo end; read x")
    const pid = toyboxPid(await shown.waitFor("ready"))
    process.kill(pid, "SIGSTOP")
    shown.send("\n")
    // For longer than one that only looks on is waited for; what had been typed meanwhile comes then.
    await Bun.sleep(100)
    process.kill(pid, "SIGCONT")
    await Bun.sleep(50)
    process.kill(pid, "SIGSTOP")
    await Bun.sleep(3000)
    process.kill(pid, "SIGCONT")
    expect(await shown.waitFor(/^end$/m)).toMatch(/^99999\n100000\nend$/m)
    expect(shown.screen()).not.toContain("bytes came while")
    shown.send("\n")
    await shown.waitFor("[code 0]")
  }, 20_000)

  test("that are no keys are refused", async () => {
    const { stderr, exitCode } = await toybox(ownRun("--detach-keys", "ctrl-", "base", "true"))
    expect(exitCode).toBe(125)
    expect(stderr).toMatch(/^toybox: --detach-keys: "ctrl-" .*ctrl-a to ctrl-z/)
  })
})
