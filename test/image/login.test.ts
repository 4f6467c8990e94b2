/** toybox login and logout against a registry with passwords. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { startRegistry, type TestRegistry } from "../helpers/registry.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { stateRoot, toybox } from "../helpers/toybox.ts"
import { terminal } from "../helpers/tty.ts"

cleanUpAfterAll()

const password = { user: "alice", password: "open sesame" }
// Nobody's own files are to be looked at.
const env = {
  HOME: "/nonexistent",
  XDG_RUNTIME_DIR: "/nonexistent",
  DOCKER_CONFIG: undefined,
  REGISTRY_AUTH_FILE: undefined,
}
const file = () => join(stateRoot(), "auth.json")

let closed: TestRegistry
let open: TestRegistry

beforeAll(async () => {
  ;[closed, open] = await Promise.all([startRegistry({ password, tls: true }), startRegistry()])
})
afterAll(() => Promise.all([closed.stop(), open.stop()]))

const login = (stdin: string, ...words: string[]) => toybox(["login", ...words], { stdin, env })

describe("toybox login", () => {
  test("keeps nothing that the registry refuses", async () => {
    const words = ["-u", password.user, "--password-stdin", "--ca", closed.ca ?? "", closed.host]
    const { exitCode, stderr, stdout } = await login("wrong\n", ...words)
    expect({ exitCode, stdout }).toEqual({ exitCode: 125, stdout: "" })
    expect(stderr).toContain(`${closed.host} refuses this user name and password; nothing was kept`)
    expect(existsSync(file())).toBe(false)
  })

  test("keeps what the registry has let in, for its owner alone; logout forgets it", async () => {
    const words = ["-u", password.user, "--password-stdin", "--ca", closed.ca ?? "", closed.host]
    const { exitCode, stdout, stderr } = await login(`${password.password}\n`, ...words)
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `logged in to ${closed.host} as alice\n` })
    expect(stderr).not.toContain(password.password)
    expect(statSync(file()).mode & 0o777).toBe(0o600)
    const auth = Buffer.from(`alice:${password.password}`).toString("base64")
    expect(JSON.parse(readFileSync(file(), "utf8"))).toEqual({ auths: { [closed.host]: { auth } } })
    expect((await toybox(["logout", closed.host], { env })).stdout).toBe(`logged out of ${closed.host}\n`)
    expect(readFileSync(file(), "utf8")).not.toContain(auth)
    const again = await toybox(["logout", closed.host], { env })
    expect(again).toMatchObject({ exitCode: 0, stdout: `not logged in to ${closed.host}\n` })
  })

  test("takes the password on the command line, with a word of warning; --get-login tells who one is", async () => {
    const words = ["--ca", closed.ca ?? "", closed.host]
    const nobody = await toybox(["login", "--get-login", closed.host], { env })
    expect(nobody).toMatchObject({ exitCode: 125, stderr: expect.stringContaining(`not logged in to ${closed.host}`) })
    const { exitCode, stderr } = await login("", "-u", password.user, "-p", password.password, ...words)
    expect(exitCode).toBe(0)
    expect(stderr).toContain("is seen by everybody: --password-stdin takes it unseen")
    expect((await toybox(["login", "--get-login", closed.host], { env })).stdout).toBe("alice\n")
    await toybox(["logout", closed.host], { env })
    expect((await login("", "-p", "x", ...words)).stderr).toContain("--password needs --username")
  })

  test("asks at the terminal, and does not show the password", async () => {
    const cmd = [toyboxBinary(), "login", "--ca", closed.ca ?? "", closed.host]
    const tty = await terminal({ cmd, env: { HOME: "/nonexistent", XDG_RUNTIME_DIR: "/nonexistent" } })
    await tty.waitFor(`User name for ${closed.host}:`)
    tty.send(`${password.user}\r`)
    await tty.waitFor(`Password of ${password.user}`)
    tty.send(`${password.password}\r`)
    const screen = await tty.waitFor("logged in to")
    expect(screen).not.toContain("sesame")
    expect(await tty.exited()).toBe(0)
    await tty.close()
    expect((await toybox(["logout", "--all"], { env })).stdout).toBe(`logged out of ${closed.host}\n`)
  })

  test("a certificate that is not trusted, or nobody there, is told, with what to do", async () => {
    const words = ["-u", "a", "--password-stdin"]
    const untrusted = await login("x", ...words, closed.host)
    expect(untrusted.exitCode).toBe(125)
    expect(untrusted.stderr).toContain("its certificate is not trusted")
    expect(untrusted.stderr).toContain("hint: ")
    expect((await login("x", ...words, "--insecure", closed.host)).stderr).toContain("refuses this user name")
  })

  test("a registry that lets everybody in says nothing of the password", async () => {
    const { exitCode, stderr } = await login("x", "-u", "a", "--password-stdin", open.host)
    expect(exitCode).toBe(0)
    expect(stderr).toContain("lets everybody in")
  })

  test.each([
    [["--password-stdin", "x.example"], "", "--password-stdin needs --username"],
    [["-u", "a", "--password-stdin", "x.example"], "", "nothing came on standard input"],
    [["-u", "a", "--password-stdin", "x.example", "y.example"], "p", "takes one registry"],
    [["-u", "a", "--password-stdin", "x.example/org"], "p", "is not a registry"],
    [["--pasword-stdin"], "", "did you mean --password-stdin?"],
  ])("%j: told", async (words, stdin, why) => {
    const { exitCode, stderr } = await login(stdin, ...words)
    expect(exitCode).toBe(125)
    expect(stderr).toContain(why)
  })
})
