import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryDirectory } from "./scratch.ts"
import { stateRoot } from "./toybox.ts"

/** What to run in a terminal, and how big the terminal is. */
export interface TerminalOptions {
  cmd: readonly string[]
  cols?: number
  rows?: number
  env?: Record<string, string>
  cwd?: string
  /** After so long the terminal is taken down, whatever runs in it. */
  timeoutSeconds?: number
}

/** A real terminal with a program in it. */
export interface Terminal {
  /** Types text, byte by byte as it is. */
  send(text: string): void
  /** Presses keys by their tmux names: `C-c`, `Enter`, `Up`. */
  press(...keys: string[]): void
  /** What the screen shows, without trailing blanks. */
  screen(): string
  /** Waits until the screen shows `text`, and returns the screen. Throws, with the screen, when it does not. */
  waitFor(text: string | RegExp, seconds?: number): Promise<string>
  resize(cols: number, rows: number): void
  /** The exit code of the program, 128+n when signal n ended it. Throws when it still runs after `seconds`. */
  exited(seconds?: number): Promise<number>
  /** Takes the terminal down, as closing its window does. */
  close(): Promise<void>
}

const POLL = 20

// tmux now and then loses the exit status of a pane. A trap that does something, unlike one that ignores, is not
// inherited by the program.
const WRAPPER = `trap : INT QUIT; "$@"; echo $? >"$0"`

/** Why no terminal can be had here, or undefined when one can. */
export function terminalUnavailable(): string | undefined {
  return Bun.which("tmux") === null ? "tmux is not installed" : undefined
}

async function until<T>(seconds: number, probe: () => T | undefined, failure: () => string): Promise<T> {
  const end = performance.now() + seconds * 1000
  for (;;) {
    const found = probe()
    if (found !== undefined) return found
    if (performance.now() >= end) throw new Error(failure())
    await Bun.sleep(POLL)
  }
}

/** Starts `cmd` in a terminal of its own (a private tmux server), with TOYBOX_ROOT as `toybox()` has it. */
export async function terminal(options: TerminalOptions): Promise<Terminal> {
  const { cols = 80, rows = 24, timeoutSeconds = 60 } = options
  const dir = temporaryDirectory("tmux")
  const socket = join(dir, "socket")
  const status = join(dir, "status")
  const env = { ...process.env, TERM: "xterm", LC_ALL: "C.UTF-8" }
  const base = ["tmux", "-S", socket, "-f", "/dev/null"]
  // Not as a daemon: the watchdog ends the server, and with it the terminal, even when the tests are killed.
  const server = Bun.spawn(["timeout", "-k", "2", String(timeoutSeconds), ...base, "-D"], {
    env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  })
  const tmux = (...args: string[]): string => {
    const cmd = ["timeout", "-k", "1", "20", ...base, ...args]
    const { stdout, stderr, exitCode } = Bun.spawnSync(cmd, { env, stdin: "ignore" })
    if (exitCode !== 0) throw new Error(`tmux ${args[0]}: exit ${exitCode}: ${stderr}`)
    return stdout.toString()
  }
  const screen = () =>
    tmux("capture-pane", "-p", "-t", "main")
      .replace(/[ \t]+$/gm, "")
      .trimEnd()
  const variables = Object.entries({ TOYBOX_ROOT: stateRoot(), ...options.env }).flatMap(([k, v]) => [
    "-e",
    `${k}=${v}`,
  ])
  const size = ["-x", String(cols), "-y", String(rows)]
  const accepts = () => Bun.spawnSync([...base, "show-options", "-g"], { env, stdin: "ignore" }).exitCode === 0
  // The socket is there before the server listens on it.
  await until(
    20,
    () => (existsSync(socket) && accepts()) || undefined,
    () => "tmux did not start",
  )
  // Before the program is there, so that its screen can be seen however quickly it ends.
  tmux("set-option", "-g", "remain-on-exit", "on", ";", "set-option", "-g", "status", "off")
  const place = options.cwd === undefined ? [] : ["-c", options.cwd]
  tmux(
    "new-session",
    "-d",
    "-s",
    "main",
    ...size,
    ...place,
    ...variables,
    "--",
    "sh",
    "-c",
    WRAPPER,
    status,
    ...options.cmd,
  )
  const ended = () => {
    const code = existsSync(status) ? readFileSync(status, "utf8") : ""
    return code.endsWith("\n") ? Number(code) : undefined
  }
  return {
    send: (text) => void tmux("send-keys", "-t", "main", "-l", "--", text),
    press: (...keys) => void tmux("send-keys", "-t", "main", "--", ...keys),
    screen,
    waitFor: (text, seconds = 20) =>
      until(
        seconds,
        () => {
          const shown = screen()
          return (typeof text === "string" ? shown.includes(text) : text.test(shown)) ? shown : undefined
        },
        () => `the screen does not show ${text} after ${seconds} s:\n${screen()}`,
      ),
    resize: (width, height) => void tmux("resize-window", "-t", "main", "-x", String(width), "-y", String(height)),
    exited: (seconds = 10) => until(seconds, ended, () => `still running after ${seconds} s:\n${screen()}`),
    close: async () => {
      server.kill("SIGTERM")
      await server.exited
    },
  }
}
