import { describe, expect, test } from "bun:test"
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DOCKER_SHORT_NAMES } from "../../../../src/image/reference.ts"
import { forgetPassword, storedHosts, storePassword } from "../../../../src/image/registry/auth-store.ts"
import { askHelper } from "../../../../src/image/registry/credential-helper.ts"
import { authFile, authFiles, findCredentials, normalKey } from "../../../../src/image/registry/credentials.ts"
import { certificateFiles, clientFiles, loadSettings, readSettings } from "../../../../src/image/registry/settings.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"

cleanUpAfterAll()

const base64 = (text: string) => Buffer.from(text).toString("base64")
const password = (username: string, password: string) => ({ kind: "password", username, password }) as const

function fileOf(value: unknown): string {
  const path = join(temporaryDirectory("auth"), "auth.json")
  writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value))
  return path
}

/** Puts a credential helper in front of PATH for as long as `action` takes. */
async function withHelper<T>(name: string, script: string, action: () => Promise<T>): Promise<T> {
  const dir = temporaryDirectory("helpers")
  writeFileSync(join(dir, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`)
  chmodSync(join(dir, `docker-credential-${name}`), 0o755)
  const before = process.env.PATH
  process.env.PATH = `${dir}:${before}`
  try {
    return await action()
  } finally {
    process.env.PATH = before
  }
}

describe("auth files", () => {
  test.each([
    ["https://index.docker.io/v1/", "docker.io"],
    ["index.docker.io", "docker.io"],
    ["registry-1.docker.io", "docker.io"],
    ["docker.io/library", "docker.io/library"],
    ["https://ghcr.io", "ghcr.io"],
    ["http://localhost:5000/v2/", "localhost:5000"],
    ["quay.io/org", "quay.io/org"],
  ])("the key %s is %s", (key, expected) => {
    expect(normalKey(key)).toBe(expected)
  })

  test("are looked through in order, toybox's first", () => {
    const env = { HOME: "/h", XDG_RUNTIME_DIR: "/r", DOCKER_CONFIG: "/d", REGISTRY_AUTH_FILE: "/a.json" }
    expect(authFiles("/s", env, 0)).toEqual([
      ...["/s/auth.json", "/a.json", "/r/containers/auth.json", "/h/.config/containers/auth.json", "/d/config.json"],
    ])
    expect(authFiles("/s", { HOME: "/h" }, 7)).toEqual([
      ...["/s/auth.json", "/run/containers/7/auth.json", "/h/.config/containers/auth.json", "/h/.docker/config.json"],
    ])
  })

  test("docker's and podman's forms are read", async () => {
    const docker = fileOf({
      auths: {
        "https://index.docker.io/v1/": { auth: base64("hub:p:w") },
        "padded.example": { auth: base64("u:p\0\0") },
        "token.example": { auth: base64("<token>:"), identitytoken: "refresh" },
        "bare.example": { registrytoken: "bearer" },
        "empty.example": {},
      },
    })
    const find = (host: string, path = "", ...files: string[]) => findCredentials(host, path, [...files, docker])
    expect(await find("docker.io")).toEqual(password("hub", "p:w"))
    expect(await find("padded.example")).toEqual(password("u", "p"))
    expect(await find("token.example")).toEqual({ kind: "identity-token", token: "refresh" })
    expect(await find("bare.example")).toEqual({ kind: "registry-token", token: "bearer" })
    expect(await find("empty.example")).toBeNull()
    expect(await find("none.example")).toBeNull()
    const podman = fileOf({
      auths: {
        "quay.io": { auth: base64("all:1") },
        "quay.io/org": { auth: base64("org:2") },
        "quay.io/org/app": { auth: base64("app:3") },
        "docker.io": { auth: base64("first:4") },
      },
    })
    expect(await find("quay.io", "org/app", podman)).toEqual(password("app", "3"))
    expect(await find("quay.io", "org/other", podman)).toEqual(password("org", "2"))
    expect(await find("quay.io", "organisation/x", podman)).toEqual(password("all", "1"))
    expect(await find("docker.io", "library/x", podman)).toEqual(password("first", "4"))
  })

  test.each([
    ["no JSON", "{", "is not JSON"],
    ["no object", [], "must be an object"],
    ["an auth that is none", { auths: { "x.example": { auth: base64("nocolon") } } }, "auth: is not USER:PASSWORD"],
  ])("with %s are told by name, and the next are looked at", async (_, value, why) => {
    const path = fileOf(value)
    const good = fileOf({ auths: { "x.example": { auth: base64("next:1") } } })
    const told: string[] = []
    const tell = (text: string) => told.push(text)
    expect(await findCredentials("x.example", "", [path, good], tell)).toEqual(password("next", "1"))
    expect(await findCredentials("y.example", "", [good], tell)).toBeNull()
    expect(told).toEqual([expect.stringContaining(why)])
    expect(told[0]).toContain(path)
  })

  test.each([
    ["a directory", "-d", "is no regular file"],
    ["a FIFO that nobody writes to", "-p", "is no regular file"],
    ["a link to itself", "-l", "cannot be read: ELOOP"],
  ])("that are %s are told by name, and the next are looked at", async (_, kind, why) => {
    const path = join(temporaryDirectory("auth"), "config.json")
    const make = { "-d": ["mkdir", path], "-p": ["mkfifo", path], "-l": ["ln", "-s", path, path] }[kind] ?? []
    Bun.spawnSync(make)
    const good = fileOf({ auths: { "x.example": { auth: base64("next:1") } } })
    const told: string[] = []
    const found = await findCredentials("x.example", "", ["/dev/null", path, good], (text) => told.push(text))
    expect(found).toEqual(password("next", "1"))
    expect(told).toEqual([`${path} ${why}; going on without it`])
  })

  test("that are missing or empty are nobody's fault", async () => {
    expect(await findCredentials("x.example", "", ["/nowhere/auth.json", fileOf("")])).toBeNull()
  })
})

describe("credential helpers", () => {
  const echo = `test "$1" = get || exit 9; read -r server; echo "{\\"ServerURL\\":\\"$server\\",\\"Username\\":\\"at $server\\",\\"Secret\\":\\"s\\"}"`

  test("are asked by docker's protocol", async () => {
    expect(await withHelper("echo", echo, () => askHelper("echo", "x.example"))).toEqual(password("at x.example", "s"))
    const token = `echo '{"ServerURL":"x","Username":"<token>","Secret":"refresh"}'`
    expect(await withHelper("t", token, () => askHelper("t", "x"))).toEqual({
      kind: "identity-token",
      token: "refresh",
    })
    const none = "echo credentials not found in native keychain; exit 1"
    expect(await withHelper("n", none, () => askHelper("n", "x"))).toBeNull()
  })

  test("one for a registry, one for all others", async () => {
    const file = fileOf({
      credsStore: "all",
      credHelpers: { "own.example": "own" },
      auths: { "x.example": {}, "own.example": {} },
    })
    const find = (host: string) => () => findCredentials(host, "", [file])
    expect(await withHelper("own", echo, find("own.example"))).toEqual(password("at own.example", "s"))
    expect(await withHelper("all", echo, find("docker.io"))).toEqual(password("at https://index.docker.io/v1/", "s"))
  })

  test.each([
    ["../../bin/sh", "true", "is not the name of a credential helper"],
    ["absent", null, "docker-credential-absent is not installed"],
    ["fails", "echo no luck; exit 3", "docker-credential-fails failed (3): no luck"],
    ["complains", "echo locked >&2; exit 3", "docker-credential-complains failed (3): locked"],
    ["refuses", "exit 3", "docker-credential-refuses failed (3): it does not say why"],
    ["babbles", "echo nonsense", "the answer of docker-credential-babbles is not JSON"],
    ["hangs", "exec sleep 60", "did not answer in 0.2 s"],
    ["waits", "sleep 6; echo", "did not answer in 0.2 s"],
  ])("%s: told", async (name, script, why) => {
    const asked = () => askHelper(name, "x", 200)
    const answer = script === null || name.includes("/") ? asked() : withHelper(name, script, asked)
    await expect(answer).rejects.toThrow(why)
  })
})

test("a credential helper that leaves a child with its output open has answered when it ends itself", async () => {
  const answer = `echo '{"Username":"u","Secret":"s"}'`
  const begun = performance.now()
  for (const script of [`sleep 20 & ${answer}`, `(sleep 20; echo more) & ${answer}; echo`])
    expect(await withHelper("leaves", script, () => askHelper("leaves", "x"))).toEqual(password("u", "s"))
  const failing = () => askHelper("leaves", "x")
  await expect(withHelper("leaves", "sleep 20 & echo locked >&2; exit 3", failing)).rejects.toThrow("(3): locked")
  expect(performance.now() - begun).toBeLessThan(5000)
}, 120_000)

describe("the store of toybox login", () => {
  test("keeps, replaces and forgets, for its owner alone", async () => {
    const state = temporaryDirectory("state")
    const find = (host: string) => findCredentials(host, "", [authFile(state)])
    expect(storedHosts(state)).toEqual([])
    storePassword(state, "x.example:5000", "alice", "p:ä")
    storePassword(state, "docker.io", "bob", "1")
    storePassword(state, "docker.io", "bob", "2")
    expect(statSync(authFile(state)).mode & 0o777).toBe(0o600)
    expect(await find("x.example:5000")).toEqual(password("alice", "p:ä"))
    expect(await find("docker.io")).toEqual(password("bob", "2"))
    expect(storedHosts(state)).toEqual(["x.example:5000", "docker.io"])
    expect(forgetPassword(state, "docker.io")).toBe(true)
    expect(forgetPassword(state, "docker.io")).toBe(false)
    expect(await find("docker.io")).toBeNull()
    expect(() => storePassword(state, "x", "a:b", "c")).toThrow("is not a user name")
  })

  test("many at once: each is kept", async () => {
    const state = temporaryDirectory("state")
    const program = new URL("../../../../src/image/registry/auth-store.ts", import.meta.url).pathname
    const store = (host: string) =>
      Bun.spawn([process.execPath, "-e", `(await import("${program}")).storePassword("${state}", "${host}", "u", "p")`])
        .exited
    const hosts = ["a.example", "b.example", "c.example", "d.example"]
    await Promise.all(hosts.map(store))
    expect(storedHosts(state).sort()).toEqual(hosts)
    expect(existsSync(`${authFile(state)}.new`)).toBe(false)
    expect(readFileSync(authFile(state), "utf8")).toContain(base64("u:p"))
  })
})

describe("registries.json", () => {
  const none = { shortNames: DOCKER_SHORT_NAMES, registries: {} }

  test("the machine's, then the state directory's, which counts where both speak", () => {
    const state = temporaryDirectory("state")
    const machine = fileOf({
      defaultRegistry: "quay.io",
      aliases: { a: "x.example/a", b: "x.example/b" },
      registries: { "x.example": { insecure: true } },
    })
    writeFileSync(
      `${state}/registries.json`,
      JSON.stringify({
        aliases: { b: "y.example/b" },
        registries: { "y.example:5000": { mirrors: ["http://m:1/sub/"] } },
      }),
    )
    expect(loadSettings(state, machine)).toEqual({
      shortNames: { defaultRegistry: "quay.io", aliases: { a: "x.example/a", b: "y.example/b" } },
      registries: { "x.example": { insecure: true }, "y.example:5000": { mirrors: ["http://m:1/sub"] } },
    })
    expect(loadSettings(temporaryDirectory("state"), "/nowhere")).toEqual(none)
  })

  test.each([
    ["{", "is not JSON"],
    ['{"defaultRegistry": "a b"}', 'defaultRegistry: "a b" is not HOST[:PORT]'],
    ['{"defaultRegistry": "https://x.example"}', "is not HOST[:PORT]"],
    ['{"registries": {"https://x.example": {}}}', '"https://x.example" is not HOST[:PORT]'],
    ['{"registries": {"x.example/team": {"insecure": true}}}', '"x.example/team" is not HOST[:PORT]'],
    ['{"registries": {"x.example": {"mirrors": ["a b"]}}}', '"a b" is not HOST[:PORT][/PREFIX]'],
    ['{"aliases": {"a": "b:latest"}}', 'aliases["a"]: an alias is a repository'],
    ['{"aliases": {"a": "B"}}', "must be in lower case"],
    ['{"mirrors": {}}', "there is no such setting"],
    ['{"registries": {"x.example": {"insecur": true}}}', "there is no such setting"],
    ['{"registries": {"x.example": {"insecure": "yes"}}}', 'registries["x.example"].insecure: must be true or false'],
  ])("%s is refused: %s", (text, why) => {
    expect(() => readSettings(text, "registries.json", none)).toThrow(why)
  })

  test("certificates: of the settings, and those that lie where docker has them", () => {
    const place = temporaryDirectory("certs")
    Bun.spawnSync(["sh", "-c", "mkdir x.example:5000 && touch x.example:5000/ca.crt x.example:5000/client.key"], {
      cwd: place,
    })
    expect(certificateFiles("x.example:5000", { ca: "/own.pem" }, [place])).toEqual([
      "/own.pem",
      `${place}/x.example:5000/ca.crt`,
    ])
    expect(certificateFiles("y.example", undefined, [place])).toEqual([])
    expect(clientFiles("y.example", [place])).toBe(null)
    const directory = join(place, "x.example:5000")
    writeFileSync(join(directory, "me.cert"), "")
    expect(() => clientFiles("x.example:5000", [place])).toThrow("me.cert has no key")
    writeFileSync(join(directory, "me.key"), "")
    expect(clientFiles("x.example:5000", [place])).toEqual({
      certificate: join(directory, "me.cert"),
      key: join(directory, "me.key"),
    })
  })
})
