/** Registries on bad days, and hostile ones. */
import { describe, expect, test } from "bun:test"
import { digestOf } from "../../../../src/image/digest.ts"
import { isLoopback } from "../../../../src/image/fetch/address.ts"
import { DOCKER_SHORT_NAMES } from "../../../../src/image/reference.ts"
import { getBlob } from "../../../../src/image/registry/blobs.ts"
import { call, openRepository, type Repository } from "../../../../src/image/registry/client.ts"
import type { Credentials } from "../../../../src/image/registry/credential-helper.ts"
import { endpointsFor } from "../../../../src/image/registry/endpoint.ts"
import { getManifest, headManifest } from "../../../../src/image/registry/manifests.ts"
import { uploadBlob } from "../../../../src/image/registry/uploads.ts"
import { type Asked, type NastyServer, nastyServer, type Reply, ranged, type Script } from "../fetch/server.ts"

const PATIENCE = { answer: 500, idle: 300, attempts: 3, pause: 5, longestPause: 1500 }
const ALICE: Credentials = { kind: "password", username: "alice", password: "secret" }
const SECRET = "YWxpY2U6c2VjcmV0"

/** A repository of a server; the greeting that tells http from https is answered here. */
function open(script: Script, credentials: Credentials | null = null) {
  const notices: string[] = []
  const server = nastyServer((asked, count) => (asked.path === "/v2/" ? { body: "{}" } : script(asked, count)))
  const settings = { shortNames: DOCKER_SHORT_NAMES, registries: {} }
  const [endpoint] = endpointsFor(`127.0.0.1:${server.port}`, settings)
  if (!endpoint) throw new Error("no endpoint")
  const options = {
    patience: PATIENCE,
    credentials: async () => credentials,
    notice: (text: string) => notices.push(text),
  }
  return { server, notices, repository: openRepository(endpoint, "org/app", options) }
}

const requests = ({ asked }: NastyServer) => asked.filter(({ path }) => path !== "/v2/")
const file = new Uint8Array(200_000).map((_, i) => (i * 7919) >> 3)
const blob = { mediaType: "x", digest: digestOf(file), size: file.length }
const got = async (repository: Promise<Repository>) => Buffer.from(await getBlob(await repository, blob)).equals(file)
const basicWanted: Reply = { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } }

describe("a blob", () => {
  test("that breaks off is taken up where it broke", async () => {
    const { server, repository } = open((asked, count) =>
      count < 5
        ? { ...ranged(asked, file, {}), sent: 50_000, ending: count === 2 ? "reset" : "cut" }
        : ranged(asked, file, {}),
    )
    expect(await got(repository)).toBe(true)
    const starts = requests(server).map(({ headers }) => headers.range)
    expect(starts).toEqual([undefined, "bytes=50000-", "bytes=100000-", "bytes=150000-"])
  })

  test("that stands still is taken up, too", async () => {
    const { repository, notices } = open((asked, count) =>
      count === 2 ? { ...ranged(asked, file, {}), sent: 50_000, ending: "stall" } : ranged(asked, file, {}),
    )
    expect(await got(repository)).toBe(true)
    expect(notices.join()).toContain("has sent nothing for 0.3 s")
  })

  test("that is slow but alive goes on", async () => {
    const { repository, server } = open(() => ({ body: file, slowly: [60, 20_000] }))
    expect(await got(repository)).toBe(true)
    expect(requests(server).length).toBe(1)
  })

  test("from a server without ranges begins again, and is right all the same", async () => {
    const { repository } = open((_, count) =>
      count === 2 ? { body: file, sent: 70_000, ending: "cut" } : { body: file },
    )
    expect(await got(repository)).toBe(true)
  })

  test("without a length, in chunks of HTTP", async () => {
    const { repository } = open(() => ({
      headers: { "content-length": "", connection: "close" },
      body: file,
      ending: "cut",
    }))
    expect(await got(repository)).toBe(true)
  })

  test.each<[string, Reply, string]>([
    ["wrong bytes", { body: file.map((byte, i) => (i === 199_999 ? byte ^ 1 : byte)) }, "what came is sha256:"],
    ["a wrong length", { body: file.subarray(1) }, "199999 bytes are offered, 200000 were promised"],
    [
      "more than was promised",
      { headers: { "content-length": "" }, body: new Uint8Array(200_001), ending: "cut" },
      "more than the promised 200000 bytes",
    ],
    ["a page of words", { status: 404, body: "<html>not here</html>" }, "there is no such thing"],
    [
      "a denial",
      { status: 403, body: JSON.stringify({ errors: [{ code: "DENIED", message: "no \u001b[31mway" }] }) },
      "access is denied (no  [31mway)",
    ],
    [
      "a part that nobody asked for",
      { status: 206, headers: { "content-range": "bytes 5-200003/200004" }, body: file },
      "another part than was asked for",
    ],
  ])("of %s is refused at once", async (_, reply, why) => {
    const { repository, server } = open(() => reply)
    await expect(got(repository)).rejects.toThrow(why)
    expect(requests(server).length).toBe(1)
  })

  test("never ends before its digest is right: the last part is held back", async () => {
    const { readBlob } = await import("../../../../src/image/registry/blobs.ts")
    const wrong = file.map((byte, i) => (i === 0 ? byte ^ 1 : byte))
    const { repository } = open(() => ({ body: wrong }))
    let size = 0
    const read = async () => {
      for await (const part of readBlob(await repository, blob)) size += part.length
    }
    await expect(read()).rejects.toThrow("what came is")
    expect(size).toBeLessThan(file.length)
  })

  test("that never comes: so many tries, then the last failure", async () => {
    const { repository, server } = open(() => "silence")
    await expect(got(repository)).rejects.toThrow("has not answered for 0.5 s")
    expect(requests(server).length).toBe(PATIENCE.attempts)
  })

  test("within its descriptor asks nobody", async () => {
    const { repository, server } = open(() => "silence")
    expect(await getBlob(await repository, { ...blob, data: file })).toEqual(Buffer.from(file))
    expect(requests(server)).toEqual([])
  })

  test("that is elsewhere: the registry first, then its own address, which learns nothing of us", async () => {
    const owner = nastyServer(() => ({ body: file }))
    const urls = ["ftp://127.0.0.1/x", "no address", "http://169.254.169.254/x", owner.url.href]
    const { repository } = open(
      ({ headers }) => (headers.authorization ? { status: 404, body: "" } : basicWanted),
      ALICE,
    )
    expect(Buffer.from(await getBlob(await repository, { ...blob, urls })).equals(file)).toBe(true)
    expect(owner.asked.map(({ headers }) => headers.authorization)).toEqual([undefined])
  })
})

describe("a registry that is busy", () => {
  test.each([429, 500, 502, 503, 504, 408])("%d is tried again", async (status) => {
    const { repository, server } = open((_, count) => (count < 4 ? { status } : { body: file }))
    expect(await got(repository)).toBe(true)
    expect(requests(server).length).toBe(3)
  })

  test("Retry-After is honoured", async () => {
    const { repository } = open((_, count) =>
      count === 2 ? { status: 429, headers: { "retry-after": 1 } } : { body: file },
    )
    const start = performance.now()
    expect(await got(repository)).toBe(true)
    expect(performance.now() - start).toBeGreaterThan(950)
  })

  test("a Retry-After of an hour is told, not waited for", async () => {
    const body = JSON.stringify({ errors: [{ code: "TOOMANYREQUESTS", message: "pull rate limit" }] })
    const { repository, server } = open(() => ({ status: 429, headers: { "retry-after": 3600 }, body }))
    await expect(got(repository)).rejects.toThrow(/\(pull rate limit\).*, and asks to come again in 3600 s/)
    expect(requests(server).length).toBe(1)
  })

  test("that stays so is told with its own words", async () => {
    const errors = [{ code: "TOOMANYREQUESTS", message: "pull rate limit" }]
    const { repository, server } = open(() => ({ status: 429, body: JSON.stringify({ errors }) }))
    await expect(got(repository)).rejects.toThrow("the registry has had too many requests (pull rate limit)")
    expect(requests(server).length).toBe(PATIENCE.attempts)
  })
})

describe("manifests", () => {
  const bytes = new TextEncoder().encode("{}")
  const digest = digestOf(bytes)

  test("whose bytes are not of the digest asked for", async () => {
    const { repository } = open(() => ({ body: bytes }))
    const wanted = digestOf("other")
    await expect(getManifest(await repository, wanted)).rejects.toThrow(`${digest} instead of ${wanted}`)
  })

  test("whose bytes are not of the digest told", async () => {
    const { repository } = open(() => ({ headers: { "docker-content-digest": digestOf("other") }, body: bytes }))
    await expect(getManifest(await repository, "latest")).rejects.toThrow("not what was asked for")
  })

  test("with a digest that is none are computed", async () => {
    const { repository } = open(() => ({ headers: { "docker-content-digest": "sha256:../../x" }, body: bytes }))
    expect((await getManifest(await repository, "latest")).digest).toBe(digest)
    expect(await headManifest(await repository, "latest")).toBeNull()
  })

  test("that are there for GET only are asked for by that", async () => {
    for (const status of [400, 404, 405]) {
      const { repository } = open(({ method }) => (method === "HEAD" ? { status } : { body: bytes }))
      expect(await headManifest(await repository, "latest")).toBeNull()
      expect((await getManifest(await repository, "latest")).digest).toBe(digest)
    }
    const { repository } = open(() => ({ status: 403 }))
    await expect(headManifest(await repository, "latest")).rejects.toThrow()
  })

  test("that are endless are cut", async () => {
    const { repository } = open(() => ({ body: new Uint8Array(4 * 1024 * 1024 + 1) }))
    await expect(getManifest(await repository, "latest")).rejects.toThrow("more than 4194304 bytes")
  })
})

describe("who asks", () => {
  const tokenServer = (script: Script) => nastyServer(script)
  const bearer = (realm: string, more = ""): Reply => ({
    status: 401,
    headers: { "www-authenticate": `Bearer realm="${realm}",service="test"${more}` },
  })
  const reply = (value: unknown): Reply => ({ body: JSON.stringify(value) })
  const authorization = ({ headers }: Asked) => headers.authorization

  test("gets a token, and keeps it; the password goes to the realm alone", async () => {
    const tokens = tokenServer(() => reply({ token: "t1", expires_in: 300 }))
    const script: Script = (asked) =>
      authorization(asked) === "Bearer t1" ? { body: file } : bearer(`http://127.0.0.1:${tokens.port}/token`)
    const { repository, server } = open(script, ALICE)
    expect(await got(repository)).toBe(true)
    expect(await got(repository)).toBe(true)
    expect(tokens.asked.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ["/token?service=test&scope=repository%3Aorg%2Fapp%3Apull&account=alice", `Basic ${SECRET}`],
    ])
    expect(JSON.stringify(server.asked)).not.toContain(SECRET)
  })

  test("asks for each scope by a parameter of its own", async () => {
    const tokens = tokenServer(() => reply({ token: "t1" }))
    const { repository } = open((asked) =>
      authorization(asked) === "Bearer t1"
        ? {}
        : bearer(`http://127.0.0.1:${tokens.port}/token`, ',scope="repository:org/app:pull registry:catalog:*"'),
    )
    const scopes = ["repository:org/other:pull"]
    await call(await repository, "it", { method: "GET", at: "tags/list", scopes })
    const [asked] = tokens.asked
    expect(new URL(asked?.path ?? "", "http://x").searchParams.getAll("scope")).toEqual([
      "repository:org/app:pull",
      "registry:catalog:*",
      "repository:org/other:pull",
    ])
  })

  test("is nobody: a token all the same", async () => {
    const tokens = tokenServer(() => reply({ access_token: "t1" }))
    const { repository } = open((asked) =>
      authorization(asked) === "Bearer t1" ? { body: file } : bearer(`http://127.0.0.1:${tokens.port}/token`),
    )
    expect(await got(repository)).toBe(true)
    expect(tokens.asked.map(authorization)).toEqual([undefined])
  })

  test("has an identity token, which is exchanged", async () => {
    const tokens = tokenServer(() => reply({ access_token: "t1" }))
    const { repository } = open(
      (asked) =>
        authorization(asked) === "Bearer t1" ? { body: file } : bearer(`http://127.0.0.1:${tokens.port}/token`),
      { kind: "identity-token", token: "refresh" },
    )
    expect(await got(repository)).toBe(true)
    expect(tokens.asked.map(({ method }) => method)).toEqual(["POST"])
  })

  test("has a token that expires in the middle of a pull: a new one, and on from there", async () => {
    let issued = 0
    const tokens = tokenServer(() => reply({ token: `t${++issued}`, expires_in: 300 }))
    let good = "Bearer t1"
    const { repository } = open((asked) => {
      if (authorization(asked) !== good) return bearer(`http://127.0.0.1:${tokens.port}/token`)
      if (asked.headers.range !== undefined) return ranged(asked, file, {})
      good = "Bearer t2"
      return { ...ranged(asked, file, {}), sent: 60_000, ending: "cut" }
    })
    expect(await got(repository)).toBe(true)
    expect(issued).toBe(2)
  })

  test("asks many things at once with one token", async () => {
    const tokens = tokenServer(() => reply({ token: "t1", expires_in: 300 }))
    const { repository } = open((asked) =>
      authorization(asked) === "Bearer t1" ? { body: file } : bearer(`http://127.0.0.1:${tokens.port}/token`),
    )
    expect(await Promise.all(Array.from({ length: 6 }, () => got(repository)))).toEqual(Array(6).fill(true))
    expect(tokens.asked.length).toBe(1)
  })

  test("is refused for ever: the loop ends, and says so", async () => {
    let issued = 0
    const tokens = tokenServer(() => reply({ token: `t${++issued}` }))
    const { repository, server } = open(() => bearer(`http://127.0.0.1:${tokens.port}/token`), ALICE)
    await expect(got(repository)).rejects.toThrow("the registry wants a login")
    expect(requests(server).length).toBe(3)
    const second = open(() => basicWanted, ALICE)
    await expect(got(second.repository)).rejects.toThrow("the registry wants a login")
    expect(requests(second.server).length).toBe(2)
    const third = open(() => ({ status: 401 }), ALICE)
    await expect(got(third.repository)).rejects.toThrow("the registry wants a login")
    expect(requests(third.server).length).toBe(1)
  })

  test.each([
    ["ftp://127.0.0.1/token", "ftp: is not http"],
    ["no address", "it is no address"],
    ["http://169.254.169.254/latest", "link-local"],
    ["http://[fe80::1]/token", "link-local"],
  ])("is sent to %s for a token, and does not go", async (realm, why) => {
    const { repository } = open(() => bearer(realm), ALICE)
    await expect(got(repository)).rejects.toThrow(why)
  })

  test("is redirected by the token server: that is no token, and the password stays: CVE-2020-15157", async () => {
    const thief = nastyServer(() => reply({ token: "t1" }))
    const tokens = tokenServer(() => ({ status: 302, headers: { location: thief.url.href } }))
    const { repository } = open(() => bearer(`http://127.0.0.1:${tokens.port}/token`), ALICE)
    await expect(got(repository)).rejects.toThrow("the registry answers 302")
    expect(thief.asked).toEqual([])
  })

  test.each([
    ["no token", { expires_in: 5 }, "there is no token in it"],
    ["a token that would be two headers", { token: "a\r\nx: y" }, "has characters that a token cannot have"],
    ["a token that is a number", { token: 5 }, "token: must be a string"],
  ])("is given %s", async (_, value, why) => {
    const tokens = tokenServer(() => reply(value))
    const { repository } = open(() => bearer(`http://127.0.0.1:${tokens.port}/token`))
    await expect(got(repository)).rejects.toThrow(why)
  })

  test("is redirected to another host, which learns nothing of it, not even by a 401", async () => {
    const store = nastyServer(() => ({ body: file }))
    const redirect: Reply = { status: 307, headers: { location: `${store.url.href}?signature=private` } }
    const { repository } = open((asked) => (authorization(asked) ? redirect : basicWanted), ALICE)
    expect(await got(repository)).toBe(true)
    expect(store.asked.map(authorization)).toEqual([undefined])
    const thief = nastyServer(() => basicWanted)
    const second = open(
      (asked) => (authorization(asked) ? { status: 302, headers: { location: thief.url.href } } : basicWanted),
      ALICE,
    )
    const error = await got(second.repository).catch((error: unknown) => error)
    expect(String(error)).toContain(`${thief.port}/file`)
    expect(thief.asked.map(authorization)).toEqual([undefined])
  })

  test("is sent round in a circle", async () => {
    const { repository } = open(({ path }) => ({ status: 302, headers: { location: path } }))
    await expect(got(repository)).rejects.toThrow("redirects more than 10 times")
  })
})

describe("an upload", () => {
  const upload = { digest: blob.digest, size: blob.size, slice: (a: number, b: number) => file.subarray(a, b) }

  test("goes on at another host without credentials", async () => {
    const other = nastyServer(() => ({ status: 201 }))
    const { repository } = open((asked) => {
      if (!authorization(asked)) return basicWanted
      if (asked.method === "HEAD") return { status: 404 }
      return { status: 202, headers: { location: `http://127.0.0.1:${other.port}/upload?id=1` } }
    }, ALICE)
    const small = { ...upload, size: 1000 }
    expect(await uploadBlob(await repository, small)).toBe("uploaded")
    expect(other.asked[0]).toMatchObject({
      method: "PUT",
      path: `/upload?id=1&digest=${encodeURIComponent(blob.digest)}`,
    })
    expect(other.asked.map(authorization)).toEqual([undefined])
  })

  test("that the registry does not place is an error", async () => {
    const { repository } = open((asked) => (asked.method === "HEAD" ? { status: 404 } : { status: 202 }))
    await expect(uploadBlob(await repository, upload)).rejects.toThrow("does not say where the upload goes on")
  })

  test("that is to go on at a link-local address does not", async () => {
    const there = { location: "http://169.254.169.254/x" }
    const { repository } = open(({ method }) => (method === "HEAD" ? { status: 404 } : { status: 202, headers: there }))
    await expect(uploadBlob(await repository, upload)).rejects.toThrow("169.254.169.254/x, a link-local address")
  })

  const authorization = ({ headers }: Asked) => headers.authorization
})

describe("https and http", () => {
  test.each([
    ["localhost", true],
    ["localhost:5000", true],
    ["127.1.2.3:80", true],
    ["[::1]:5000", true],
    ["localhost.example", false],
    ["127.0.0.1.example", false],
    ["10.0.0.1", false],
  ])("%s is this machine: %p", (host, expected) => {
    expect(isLoopback(host)).toBe(expected)
  })

  test.each([
    ["registry.example", {}, {}, ["https://registry.example"]],
    ["docker.io", {}, {}, ["https://registry-1.docker.io"]],
    ["localhost:5000", {}, {}, ["http://localhost:5000", "https://localhost:5000"]],
    ["registry.example", {}, { insecure: true }, ["https://registry.example", "http://registry.example"]],
    ["registry.example", { "registry.example": { http: true } }, {}, ["http://registry.example"]],
    [
      "registry.example",
      { "registry.example": { mirrors: ["m.example/sub", "http://n.example:1"] } },
      {},
      ["https://m.example", "http://n.example:1", "https://registry.example"],
    ],
  ])("%s with %j and %j is asked at %j", (domain, registries, wishes, expected) => {
    const found = endpointsFor(domain, { shortNames: DOCKER_SHORT_NAMES, registries }, wishes)
    expect(found.flatMap(({ bases }) => bases.map(({ origin }) => origin))).toEqual(expected)
  })

  test("a host that cannot be is told by its name", () => {
    const settings = { shortNames: DOCKER_SHORT_NAMES, registries: {} }
    expect(() => endpointsFor("999.1.1.1", settings)).toThrow("999.1.1.1 is no host and port")
  })

  test("--insecure is meant for the registry that was named, not for its mirrors", () => {
    const registries = { "registry.example": { mirrors: ["m.example"] } }
    const found = endpointsFor("registry.example", { shortNames: DOCKER_SHORT_NAMES, registries }, { insecure: true })
    expect(found.map(({ insecureHost }) => insecureHost)).toEqual([undefined, "registry.example"])
  })
})
