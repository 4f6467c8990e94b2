/** Redirects, TLS, proxies: who gets what. */
import { afterEach, beforeAll, describe, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { errorHint } from "../../../../src/errors.ts"
import { type ExchangeOptions, exchange } from "../../../../src/image/fetch/exchange.ts"
import { proxyOf } from "../../../../src/image/fetch/failure.ts"
import { DEFAULT_PATIENCE } from "../../../../src/image/fetch/retry.ts"
import { trustedCertificates } from "../../../../src/image/fetch/trust.ts"
import { makeCertificates } from "../../../helpers/certificates.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"
import { nastyServer, type Reply } from "./server.ts"

cleanUpAfterAll()

const patience = { ...DEFAULT_PATIENCE, answer: 2000, idle: 2000 }

async function get(url: URL | string, options: Partial<ExchangeOptions> = {}) {
  const answer = await exchange(new URL(url), { certificates: null, patience, ...options })
  const parts: Uint8Array[] = []
  for await (const part of answer.body) parts.push(part)
  return { ...answer, text: Buffer.concat(parts).toString() }
}

const to = (location: string | URL, status = 302): Reply => ({ status, headers: { location: String(location) } })
const SECRETS = { authorization: "Bearer secret", cookie: "a=b", "x-token": "secret", range: "bytes=5-" }

describe("redirects", () => {
  test("are followed, relative ones too, with all headers to the same origin", async () => {
    const { url, asked } = nastyServer(({ path }) =>
      path === "/file" ? to("../other?x=1#y", 307) : path === "/other?x=1" ? to("/end", 308) : { body: "there" },
    )
    const answer = await get(url, { headers: SECRETS })
    expect(answer.text).toBe("there")
    expect(answer.url.pathname).toBe("/end")
    expect(asked.map(({ path }) => path)).toEqual(["/file", "/other?x=1", "/end"])
    for (const { headers } of asked) expect(headers).toMatchObject(SECRETS)
  })

  test("carry nothing secret to another host, nor back again", async () => {
    const stranger = nastyServer(({ path }) => (path === "/back" ? to(first.url) : { body: "there" }))
    const first = nastyServer((_, n) => (n === 1 ? to(new URL("/back", stranger.url)) : to(stranger.url)))
    expect((await get(first.url, { headers: SECRETS })).text).toBe("there")
    expect(stranger.asked).toHaveLength(2)
    for (const { headers } of [...stranger.asked, ...first.asked.slice(1)]) {
      expect(Object.keys(headers).filter((name) => ["authorization", "cookie", "x-token"].includes(name))).toEqual([])
      expect(headers.range).toBe("bytes=5-")
    }
  })

  test("do not make requests with the user and password that they name", async () => {
    const stranger = nastyServer(() => ({ body: "there" }))
    const first = nastyServer(() => to(`http://user:secret@127.0.0.1:${stranger.port}/`))
    expect((await get(first.url)).text).toBe("there")
    expect(stranger.asked[0]?.headers.authorization).toBeUndefined()
  })

  test.each<[string, string]>([
    ["file:///etc/passwd", "not an address of http or https"],
    ["ftp://127.0.0.1/", "not an address of http or https"],
    ["http://", "not an address of http or https"],
    ["http://169.254.169.254/latest/meta-data", "redirects to 169.254.169.254, a link-local address"],
    ["http://0xa9fe0001:8080/", "a link-local address"],
    ["//[fe80::1]/", "a link-local address"],
    ["http://[::ffff:169.254.0.1]/", "a link-local address"],
  ])("to %s are refused", async (location, message) => {
    expect(get(nastyServer(() => to(location)).url)).rejects.toThrow(message)
  })

  test("end after ten", async () => {
    const { url, asked } = nastyServer((_, n) => to(`/${n}`))
    expect(get(url)).rejects.toThrow("redirects more than 10 times")
    await Bun.sleep(50)
    expect(asked).toHaveLength(11)
  })

  test("of what is sent are refused", async () => {
    const { url, asked } = nastyServer(() => to("/x", 307))
    expect(get(url, { method: "PUT", body: "data" })).rejects.toThrow("redirects what was to be sent")
    await Bun.sleep(50)
    expect(asked).toHaveLength(1)
  })
})

describe("https", () => {
  const directory = () => temporaryDirectory("tls")
  let ca: string
  let server: ReturnType<typeof Bun.serve>
  let certificates: string[]
  beforeAll(() => {
    const made = makeCertificates(directory(), "127.0.0.1")
    ca = made.ca
    certificates = trustedCertificates([ca])
    server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: readFileSync(made.certificate, "utf8"), key: readFileSync(made.key, "utf8") },
      fetch: (request) =>
        new URL(request.url).pathname === "/down"
          ? new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1/" } })
          : new Response("verified"),
    })
    return () => server.stop(true)
  })
  const at = (path: string) => new URL(path, `https://127.0.0.1:${server.port}`)

  test("is verified: by --ca it is trusted, without it refused with a hint", async () => {
    expect((await get(at("/"), { certificates })).text).toBe("verified")
    for (const known of [null, trustedCertificates()]) {
      const error = await get(at("/"), { certificates: known }).catch((error: unknown) => error)
      expect(String(error)).toContain("its certificate is not trusted")
      expect(errorHint(error)).toContain("--ca")
    }
  })

  test("is verified by name", async () => {
    const url = new URL(`https://127.0.0.2:${server.port}/`)
    const other = Bun.serve({
      hostname: "127.0.0.2",
      port: server.port ?? 0,
      tls: {
        cert: readFileSync(join(ca, "../server.pem"), "utf8"),
        key: readFileSync(join(ca, "../server.key"), "utf8"),
      },
      fetch: () => new Response("not to be seen"),
    })
    const failed = get(url, { certificates })
    expect(failed).rejects.toThrow("not trusted")
    await failed.catch(() => undefined)
    other.stop(true)
  })

  test("shows a server that asks, and no other, who we are", async () => {
    const made = makeCertificates(directory(), "127.0.0.1")
    const [certificate, key] = [readFileSync(made.certificate, "utf8"), readFileSync(made.key, "utf8")]
    const closed = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: certificate, key, ca: readFileSync(made.ca, "utf8"), requestCert: true, rejectUnauthorized: true },
      fetch: () => new Response("let in"),
    })
    const known = trustedCertificates([made.ca])
    const ask = (host: string) =>
      get(`https://127.0.0.1:${closed.port}/`, { certificates: known, client: { host, certificate, key } })
    expect((await ask(`127.0.0.1:${closed.port}`)).text).toBe("let in")
    await expect(ask("127.0.0.1:1")).rejects.toThrow("or wants a certificate")
    closed.stop(true)
  })

  test("with a server of plain http is told, and not tried again", async () => {
    const plain = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("plain") })
    const error = await get(`https://127.0.0.1:${plain.port}/`, { certificates }).catch((error: unknown) => error)
    expect(String(error)).toContain("perhaps it speaks plain http")
    expect(errorHint(error)).toContain("--insecure")
    expect(error).toMatchObject({ soon: false })
    plain.stop(true)
  })

  test("is not left for http", async () => {
    expect(get(at("/down"), { certificates })).rejects.toThrow("redirects from https to http (127.0.0.1:1)")
  })

  test("a file that is no certificate is told", () => {
    const path = join(directory(), "broken.pem")
    for (const text of ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]) {
      writeFileSync(path, text)
      expect(() => trustedCertificates([path])).toThrow(`--ca: ${path}`)
    }
    expect(() => trustedCertificates([`${path}.none`])).toThrow("--ca: ")
  })

  test("SSL_CERT_FILE takes the place of the machine's bundle", async () => {
    process.env.SSL_CERT_FILE = ca
    try {
      expect(trustedCertificates()).toHaveLength(1)
      expect((await get(at("/"), { certificates: trustedCertificates() })).text).toBe("verified")
    } finally {
      delete process.env.SSL_CERT_FILE
    }
  })
})

describe("proxies of the environment", () => {
  test("are named in errors, without their passwords, where they are on the way", () => {
    const of = (address: string, env: Record<string, string>) => proxyOf(new URL(address), env)
    expect(of("https://x.example/", { HTTPS_PROXY: "http://me:secret@proxy:3128" })).toBe("http://proxy:3128")
    expect(of("http://x.example/", { http_proxy: "me:secret@proxy:3128", HTTPS_PROXY: "other" })).toBe("proxy:3128")
    expect(of("http://x.example/", { HTTPS_PROXY: "proxy" })).toBeNull()
    for (const no_proxy of ["*", "x.example", "a, .example", "*.example"])
      expect(of("https://x.example/", { https_proxy: "proxy", no_proxy })).toBeNull()
    expect(of("https://x.example/", { https_proxy: "proxy", NO_PROXY: "y.example,ample" })).toBe("proxy")
    expect(of("https://localhost:5000/", { https_proxy: "proxy" })).toBeNull()
  })

  const VARIABLES = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"]
  const before = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]))
  const set = (values: Record<string, string | undefined>) => {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
  afterEach(() => set(before))

  test("are used, with their password, and neither for the hosts of NO_PROXY nor for this machine", async () => {
    const proxy = nastyServer(() => ({ body: "proxy" }))
    const origin = nastyServer(() => ({ body: "origin" }))
    const address = `http://user:pass@127.0.0.1:${proxy.port}`
    // It leads here, too, but does not say so.
    const other = new URL(`http://0.0.0.0:${origin.port}/`)
    const cases: [Record<string, string>, string][] = [
      [{ HTTP_PROXY: address }, "proxy"],
      [{ http_proxy: address }, "proxy"],
      [{ HTTPS_PROXY: address }, "origin"],
      [{ HTTP_PROXY: address, NO_PROXY: "0.0.0.0" }, "origin"],
      [{ HTTP_PROXY: address, no_proxy: "*" }, "origin"],
      [{ HTTP_PROXY: address, NO_PROXY: `example.org, 0.0.0.0:${origin.port}` }, "origin"],
      [{ HTTP_PROXY: address, NO_PROXY: "0.0.0.0/8" }, "origin"],
      [{ HTTP_PROXY: address, NO_PROXY: "example.org" }, "proxy"],
    ]
    for (const [variables, expected] of cases) {
      set({ ...Object.fromEntries(VARIABLES.map((name) => [name, undefined])), ...variables })
      expect({ variables, text: (await get(other)).text }).toEqual({ variables, text: expected })
    }
    expect(proxy.asked[0]?.path).toBe(other.href)
    expect(proxy.asked[0]?.headers["proxy-authorization"]).toBe(`Basic ${btoa("user:pass")}`)
    set({ HTTP_PROXY: address })
    for (const host of ["127.0.0.1", "localhost"])
      expect((await get(new URL(`http://${host}:${origin.port}/`))).text).toBe("origin")
    for (const { headers } of origin.asked) expect(headers["proxy-authorization"]).toBeUndefined()
  })

  test("carry https as a tunnel", async () => {
    const proxy = nastyServer(() => ({ status: 403 }))
    set({
      ...Object.fromEntries(VARIABLES.map((name) => [name, undefined])),
      https_proxy: `http://127.0.0.1:${proxy.port}`,
    })
    const failed = get("https://example.invalid/")
    expect(failed).rejects.toThrow("example.invalid")
    await failed.catch(() => undefined)
    expect(proxy.asked[0]).toMatchObject({ method: "CONNECT", path: "example.invalid:443" })
  })
})
