import { describe, expect, test } from "bun:test"
import { isAddress, parseAddress, withoutUserinfo } from "../../../../src/image/fetch/address.ts"
import { contentLength, parseContentRange, strongValidator } from "../../../../src/image/fetch/range.ts"
import { backOff, DEFAULT_PATIENCE, retryAfter } from "../../../../src/image/fetch/retry.ts"

describe("addresses", () => {
  test("are told from paths and names", () => {
    for (const text of ["http://h/x", "HTTPS://h"]) expect(isAddress(text)).toBe(true)
    for (const text of ["./http://x", "alpine", "ftp://h/x", "http:/x", "localhost:5000/x"])
      expect(isAddress(text)).toBe(false)
  })

  test("lose userinfo, which becomes a header, and the fragment", () => {
    const { url, authorization } = parseAddress("https://us%40er:p%C3%A4ss@host:99/a/../b?q=1#frag")
    expect(url.href).toBe("https://host:99/b?q=1")
    expect(authorization).toBe(`Basic ${Buffer.from("us@er:päss").toString("base64")}`)
    expect(parseAddress("http://h/").authorization).toBeUndefined()
  })

  test("are never shown with it", () => {
    expect(withoutUserinfo("https://a:b@h/x?y=@z and http://u@i:9")).toBe("https://h/x?y=@z and http://i:9")
    for (const text of ["http://user:secret@", "https://user:secret@h:99999/", "https://user%zz:secret@h/"]) {
      let message = ""
      try {
        parseAddress(text)
      } catch (error) {
        message = String(error)
      }
      expect(message).toContain("UsageError")
      expect(message).not.toContain("secret")
    }
  })
})

describe("Retry-After", () => {
  test.each<[string | null, number | null]>([
    ["120", 120_000],
    ["0", 0],
    [" 3 ", 3000],
    ["Thu, 01 Jan 2026 00:00:10 GMT", 10_000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["soon", null],
    ["-1e99", null],
    [null, null],
  ])("%p", (header, expected) => {
    expect(retryAfter(header, Date.parse("2026-01-01T00:00:00Z"))).toBe(expected)
  })
})

test("pauses double, vary, and have a limit", () => {
  const patience = { ...DEFAULT_PATIENCE, pause: 100, longestPause: 1000 }
  expect([1, 2, 3, 9].map((n) => backOff(n, patience, 0))).toEqual([50, 100, 200, 500])
  expect([1, 2, 3, 9].map((n) => backOff(n, patience, 1))).toEqual([100, 200, 400, 1000])
})

describe("ranges", () => {
  test.each<[string | null, ReturnType<typeof parseContentRange>]>([
    ["bytes 0-9/10", { start: 0, end: 9, total: 10 }],
    ["bytes 5-9/*", { start: 5, end: 9, total: null }],
    ["bytes 5-4/10", null],
    ["bytes 5-10/10", null],
    ["bytes */10", null],
    ["items 0-9/10", null],
    [null, null],
  ])("Content-Range: %p", (header, expected) => {
    expect(parseContentRange(header)).toEqual(expected)
  })

  const date = "Thu, 01 Jan 2026 00:00:05 GMT"
  test.each<[Record<string, string>, string | null]>([
    [{ etag: '"a"' }, '"a"'],
    [{ etag: 'W/"a"', "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT", date }, null],
    [{ "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT", date }, "Thu, 01 Jan 2026 00:00:00 GMT"],
    [{ "last-modified": date, date }, null],
    [{ "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT" }, null],
    [{ etag: "a" }, null],
    [{}, null],
  ])("what tells states apart in %j", (headers, expected) => {
    expect(strongValidator(new Headers(headers))).toBe(expected)
  })

  test("lengths", () => {
    expect(["10", "0", "-1", "1e3", ""].map((text) => contentLength(new Headers({ "content-length": text })))).toEqual([
      10,
      0,
      null,
      null,
      null,
    ])
    expect(contentLength(new Headers())).toBeNull()
  })
})
