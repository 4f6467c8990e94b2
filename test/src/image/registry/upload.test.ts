/** Uploads to a registry that fails in all ways, and forgets. */
import { afterAll, describe, expect, test } from "bun:test"
import { digestOf } from "../../../../src/image/digest.ts"
import { DOCKER_SHORT_NAMES } from "../../../../src/image/reference.ts"
import { openRepository } from "../../../../src/image/registry/client.ts"
import { endpointsFor } from "../../../../src/image/registry/endpoint.ts"
import { offerBlob, uploadBlob } from "../../../../src/image/registry/uploads.ts"

const PATIENCE = { answer: 5000, idle: 5000, attempts: 4, pause: 5, longestPause: 1500 }
const file = new Uint8Array(200_000).map((_, i) => (i * 7919) >> 3)
const upload = { digest: digestOf(file), size: file.length, slice: (a: number, b: number) => file.subarray(a, b) }

const servers: Bun.Server<undefined>[] = []
afterAll(() => Promise.all(servers.map((server) => server.stop(true))))

interface Fault {
  status: number
  headers?: Record<string, string>
  body?: string
  /** The request is obeyed, and only the answer is this. */
  obeyed?: boolean
}

/** A registry that keeps one blob, but for what `fault` says of a request. */
function registry(fault: (request: Request, count: number) => Fault | undefined = () => undefined) {
  const asked: string[] = []
  let session = 0
  let kept = Buffer.alloc(0)
  let whole: Buffer | undefined
  let count = 0
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { method, url, headers } = request
      const body = Buffer.from(await request.arrayBuffer())
      const { pathname } = new URL(url)
      if (pathname === "/v2/") return new Response("{}")
      asked.push(method)
      const location = () => `/v2/org/app/blobs/uploads/${session}`
      const state = () => ({ location: location(), range: `0-${Math.max(0, kept.length - 1)}` })
      const wrong = fault(request, count++)
      const answer = (status: number, fields: Record<string, string> = {}) =>
        wrong === undefined
          ? new Response(null, { status, headers: fields })
          : new Response(wrong.body ?? null, { status: wrong.status, headers: wrong.headers ?? {} })
      if (wrong !== undefined && !wrong.obeyed) return answer(0)
      if (method === "HEAD") return answer(whole ? 200 : 404)
      if (method === "POST") {
        session++
        kept = Buffer.alloc(0)
        return answer(202, { location: location() })
      }
      if (pathname !== location()) return answer(404)
      if (method === "GET") return answer(204, state())
      if (method === "DELETE") return answer(204)
      const start = Number(/^(\d+)-/.exec(headers.get("content-range") ?? `${kept.length}-`)?.[1])
      if (start !== kept.length) return answer(416)
      kept = Buffer.concat([kept, body])
      if (method === "PUT") whole = kept
      return answer(method === "PUT" ? 201 : 202, state())
    },
  })
  servers.push(server)
  const [endpoint] = endpointsFor(`127.0.0.1:${server.port}`, { shortNames: DOCKER_SHORT_NAMES, registries: {} })
  if (!endpoint) throw new Error("no endpoint")
  const options = { patience: PATIENCE, credentials: async () => null }
  const times = (method: string) => asked.filter((other) => other === method).length
  return { asked, times, repository: openRepository(endpoint, "org/app", options), stored: () => whole }
}

const times = <T>(answers: readonly (T | undefined)[]) => {
  const rest = [...answers]
  return () => rest.shift()
}

describe("an upload", () => {
  test("in one piece that fails begins anew", async () => {
    const faults = times([{ status: 503 }, { status: 404 }])
    const { asked, repository, stored } = registry(({ method }) => (method === "PUT" ? faults() : undefined))
    expect(await uploadBlob(await repository, upload)).toBe("uploaded")
    expect(stored()?.equals(file)).toBe(true)
    expect(asked).toEqual(["HEAD", "POST", "PUT", "HEAD", "POST", "PUT", "HEAD", "POST", "PUT"])
  })

  test("whose last answer is lost is not sent again", async () => {
    const { times, repository } = registry(({ method }) =>
      method === "PUT" ? { status: 502, obeyed: true } : undefined,
    )
    expect(await uploadBlob(await repository, upload)).toBe("uploaded")
    expect(times("PUT")).toBe(1)
  })

  test("in several goes on where it was: through 5xx, 429, 416 and lost answers", async () => {
    const faults = times([
      undefined,
      { status: 500 },
      { status: 429, headers: { "retry-after": "0" } },
      { status: 504, obeyed: true },
      { status: 416 },
    ])
    const { times: asked, repository, stored } = registry(({ method }) => (method === "PATCH" ? faults() : undefined))
    let sent = 0
    const progress = (bytes: number) => {
      sent += bytes
    }
    expect(await uploadBlob(await repository, upload, { chunk: 60_000, progress })).toBe("uploaded")
    expect(stored()?.equals(file)).toBe(true)
    expect(sent).toBe(file.length)
    expect(asked("POST")).toBe(1)
  })

  test("that the registry has lost begins anew", async () => {
    const faults = times([undefined, undefined, { status: 503 }])
    let lost = false
    const {
      times: asked,
      repository,
      stored,
    } = registry(({ method }) => {
      const fault = method === "PATCH" ? faults() : undefined
      if (fault !== undefined) lost = true
      if (method === "POST") lost = false
      return fault ?? (method === "GET" && lost ? { status: 404 } : undefined)
    })
    let sent = 0
    const progress = (bytes: number) => {
      sent += bytes
    }
    expect(await uploadBlob(await repository, upload, { chunk: 60_000, progress })).toBe("uploaded")
    expect(stored()?.equals(file)).toBe(true)
    expect(sent).toBe(file.length)
    expect(asked("POST")).toBe(2)
  })

  test("that never succeeds ends, with what the registry says", async () => {
    const body = JSON.stringify({ errors: [{ code: "TOOMANYREQUESTS", message: "the quota is used up" }] })
    const full = registry(({ method }) => (method === "PUT" ? { status: 503, body } : undefined))
    await expect(uploadBlob(await full.repository, upload)).rejects.toThrow("the quota is used up")
    expect(full.times("PUT")).toBe(PATIENCE.attempts)
    const denied = registry(({ method }) => (method === "POST" ? { status: 403 } : undefined))
    await expect(uploadBlob(await denied.repository, upload)).rejects.toThrow("access is denied")
    expect(denied.asked).toEqual(["HEAD", "POST"])
    const large = registry(({ method }) => (method === "PUT" ? { status: 413 } : undefined))
    await expect(uploadBlob(await large.repository, upload)).rejects.toThrow("too large for the registry")
    expect(large.times("PUT")).toBe(1)
  })

  test("is not needed where the blob can be mounted; it is sent where that is refused", async () => {
    const from = { mountFrom: "org/other" }
    const willing = registry(({ method }) => (method === "POST" ? { status: 201 } : undefined))
    expect(await uploadBlob(await willing.repository, upload, from)).toBe("mounted")
    expect(await offerBlob(await willing.repository, upload.digest, "org/other")).toBe("mounted")
    const refusing = registry(({ method, url }) =>
      method === "POST" && url.includes("mount=") ? { status: 403 } : undefined,
    )
    expect(await uploadBlob(await refusing.repository, upload, from)).toBe("uploaded")
    const other = registry()
    expect(await offerBlob(await other.repository, upload.digest, "org/other")).toBeNull()
    expect(other.asked).toEqual(["HEAD", "POST", "DELETE"])
    expect(await offerBlob(await other.repository, upload.digest, undefined)).toBeNull()
    const keeping = registry(({ method }) => (method === "DELETE" ? { status: 401 } : undefined))
    expect(await offerBlob(await keeping.repository, upload.digest, "org/other")).toBeNull()
    await uploadBlob(await other.repository, upload)
    expect(await offerBlob(await other.repository, upload.digest, undefined)).toBe("existed")
  })
})
