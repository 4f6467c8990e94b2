import { afterAll, describe, expect, test } from "bun:test"
import { call } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDWR } from "../../ffi/constants/fcntl.ts"
import { TIOCGPTPEER, TIOCSPTLCK } from "../../ffi/constants/ioctl.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { close, read, writeAll } from "../../ffi/fs.ts"
import { pipe } from "../../ffi/pipe.ts"
import { poll } from "../../ffi/poll.ts"
import {
  isTerminal,
  rawSettings,
  setTerminalSettings,
  setWindowSize,
  terminalSettings,
  windowSize,
} from "../../ffi/tty.ts"

const flags = O_RDWR | O_NOCTTY | O_CLOEXEC
const master = call("openat", AT_FDCWD, "/dev/ptmx", flags | O_NONBLOCK, 0)
call("ioctl", master, TIOCSPTLCK, new Uint8Array(4))
const slave = call("ioctl", master, TIOCGPTPEER, flags)
afterAll(() => {
  close(slave)
  close(master)
})

const settings = () => terminalSettings(slave) as Uint8Array
const bytes = (text: string) => new TextEncoder().encode(text)

/** What comes out at one end, up to now. */
function available(fd: number): string {
  let text = ""
  while (poll([{ fd, events: POLLIN }], 20)[0]) text += new TextDecoder().decode(read(fd))
  return text
}

test("a terminal is told from what is none", () => {
  const [from, to] = pipe()
  expect([isTerminal(slave), isTerminal(from)]).toEqual([true, false])
  expect([terminalSettings(from), windowSize(from)]).toEqual([null, null])
  close(from)
  close(to)
})

test("the window size is set at one end and read at the other", () => {
  setWindowSize(master, { height: 51, width: 213 })
  expect(windowSize(slave)).toEqual({ height: 51, width: 213 })
})

describe("raw mode", () => {
  test("is what stty calls raw -echo, at eight bits", () => {
    const { stdout } = Bun.spawnSync(["stty", "-a"], { stdio: [slave, "pipe", "inherit"] })
    const words = (text: string) => new Set(text.replace(/[;\n]/g, " ").split(" "))
    expect(words(stdout.toString()).has("icanon")).toBe(true)
    const before = settings()
    setTerminalSettings(slave, rawSettings(before))
    const raw = words(Bun.spawnSync(["stty", "-a"], { stdio: [slave, "pipe", "inherit"] }).stdout.toString())
    const off = [
      "-icanon",
      "-echo",
      "-echonl",
      "-isig",
      "-iexten",
      "-opost",
      "-icrnl",
      "-inlcr",
      "-igncr",
      "-ixon",
      "-istrip",
      "-parmrk",
      "-brkint",
      "-parenb",
    ]
    expect([...off, "cs8"].filter((word) => !raw.has(word))).toEqual([])
    setTerminalSettings(slave, before)
    expect(settings()).toEqual(before)
  })

  test("passes every byte on as it is, at once and without echo", () => {
    const before = settings()
    setTerminalSettings(slave, rawSettings(before))
    writeAll(master, bytes("\x03\x04\r\x11\x7fü"))
    expect(available(slave)).toBe("\x03\x04\r\x11\x7fü")
    expect(available(master)).toBe("")
    writeAll(slave, bytes("a\nb"))
    expect(available(master)).toBe("a\nb")
    setTerminalSettings(slave, before)
    writeAll(slave, bytes("a\nb"))
    expect(available(master)).toBe("a\r\nb")
  })

  test("the settings given are not changed", () => {
    const before = settings()
    const copy = before.slice()
    rawSettings(before)
    expect(before).toEqual(copy)
  })
})
