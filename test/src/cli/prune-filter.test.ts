import { describe, expect, test } from "bun:test"
import { type Prunable, pruneFilter } from "../../../src/cli/prune-filter.ts"

const NOW = Date.parse("2026-01-31T12:00:00Z")
const what = (created: string, labels: Record<string, string> = {}): Prunable => ({ created, labels })

describe("pruneFilter", () => {
  test("without filters chooses everything", () => {
    expect(pruneFilter([], NOW)(what("2026-01-31T11:59:59Z"))).toBe(true)
  })

  test.each([
    [["until=1h"], "2026-01-31T10:59:59Z", {}, true],
    [["until=1h"], "2026-01-31T11:00:01Z", {}, false],
    [["until=2026-01-01"], "2025-12-31T23:59:59Z", {}, true],
    [["until=2026-01-01"], "2026-01-01T00:00:01Z", {}, false],
    [["label=keep"], "2026-01-01T00:00:01Z", { keep: "" }, true],
    [["label=keep"], "2026-01-01T00:00:01Z", {}, false],
    [["label=a=b=c"], "2026-01-01T00:00:01Z", { a: "b=c" }, true],
    [["label=a=b"], "2026-01-01T00:00:01Z", { a: "b=c" }, false],
    [["label!=keep"], "2026-01-01T00:00:01Z", { keep: "" }, false],
    [["label!=keep"], "2026-01-01T00:00:01Z", { other: "" }, true],
    [["label!=a=b"], "2026-01-01T00:00:01Z", { a: "c" }, true],
    [["label=toString"], "2026-01-01T00:00:01Z", {}, false],
    [["label=a", "until=1h"], "2026-01-31T11:30:00Z", { a: "" }, false],
  ] as const)("%j of %s with %j: %p", (filters, created, labels, chosen) => {
    expect(pruneFilter(filters, NOW)(what(created, labels))).toBe(chosen)
  })

  test.each(["", "until", "until=", "label", "label=", "name=x", "until!=1h"])("refuses %j", (text) => {
    expect(() => pruneFilter([text], NOW)).toThrow(`--filter: "${text}" is not understood`)
  })

  test("refuses what is no time", () => {
    expect(() => pruneFilter(["until=soon"], NOW)).toThrow('--filter until: "soon" is no time')
  })
})
