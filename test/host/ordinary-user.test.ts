/** What an ordinary user is told: that root is needed, whatever the command. */
import { expect, test } from "bun:test"
import { COMMANDS } from "../../src/cli/usage.ts"
import { toyboxBinary } from "../helpers/binary.ts"

const isRoot = process.getuid?.() === 0

function asNobody(...words: string[]) {
  const { TOYBOX_ROOT: _, ...env } = process.env
  const user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
  const { exitCode, stdout, stderr } = Bun.spawnSync(["timeout", "-k", "2", "20", ...user, toyboxBinary(), ...words], {
    env: { ...env, HOME: "/" },
  })
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() }
}

/** Words without which a command has nothing to do. */
const WORDS: Readonly<Record<string, string[]>> = {
  cp: ["x:/a", "/b"],
  rename: ["x", "y"],
  tag: ["x", "y"],
  exec: ["x", "true"],
  update: ["--pids", "5", "x"],
  generate: ["systemd", "x"],
  network: ["ls"],
  volume: ["ls"],
  cache: ["ls"],
  import: ["/nowhere"],
  prune: ["--force"],
  events: [],
  ps: [],
  df: [],
  images: [],
  info: [],
  load: ["--input", "/nowhere"],
}
// They keep nothing, or what they keep is the user's own.
const FREE = ["login", "logout", "completion", "version", "doctor"]

test.skipIf(!isRoot).each(Object.keys(COMMANDS).filter((name) => !FREE.includes(name)))("%s", (name) => {
  const { exitCode, stderr } = asNobody(name, ...(WORDS[name] ?? ["x"]))
  expect({ exitCode, stderr }).toEqual({
    exitCode: 125,
    stderr: expect.stringMatching(/^toybox: toybox( \w+)? needs root\ntoybox: hint: use sudo; .*\n$/),
  })
})

test.skipIf(!isRoot)("doctor looks at what it may", () => {
  const { exitCode, stdout, stderr } = asNobody("doctor")
  expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: "" })
  expect(stdout).toMatch(/^MISSING +user +an ordinary user$/m)
  expect(stdout).toMatch(/^LIMITED +networks +not known$/m)
})
