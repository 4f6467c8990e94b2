import { describe, expect, test } from "bun:test"
import { formatBytes, formatDuration, progressBar, progressLine } from "../../../src/image/progress.ts"

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [99_949, "99.9 kB"],
  [99_950, "100 kB"],
  [999_499, "999 kB"],
  [999_500, "1.0 MB"],
  [3.2e9, "3.2 GB"],
  [7e15, "7000 TB"],
])("%i bytes are %s", (bytes, expected) => {
  expect(formatBytes(bytes)).toBe(expected)
})

test.each([
  [0, "0.0 s"],
  [9940, "9.9 s"],
  [9960, "10 s"],
  [59_600, "1 min 0 s"],
  [125_000, "2 min 5 s"],
  [3_700_000, "1 h 1 min"],
])("%i ms are %s", (milliseconds, expected) => {
  expect(formatDuration(milliseconds)).toBe(expected)
})

const state = { label: "alpine.tar.gz", bytes: 12e6, total: 48e6, rate: 4e6 }

test("a line", () => {
  expect(progressLine(state)).toBe("alpine.tar.gz: 12.0 MB of 48.0 MB (25 %), 4.0 MB/s, 9.0 s left")
  expect(progressLine({ ...state, total: null })).toBe("alpine.tar.gz: 12.0 MB, 4.0 MB/s")
})

describe("a bar", () => {
  test("of usual width", () => {
    expect(progressBar(state, 100)).toBe(
      "alpine.tar.gz  [#######                       ]   25 %  12.0 MB of 48.0 MB  4.0 MB/s, 9.0 s left",
    )
  })

  test("never takes the last column, whatever the width, the label and the figures", () => {
    for (let columns = 1; columns < 150; columns++) {
      for (const total of [null, 0, 12e6, 48e6, 1e15]) {
        for (const label of ["", "a", "ünïcödé".repeat(20)]) {
          const bar = progressBar({ ...state, total, label }, columns)
          expect([...bar].length).toBeLessThan(Math.max(columns, 1))
        }
      }
    }
  })

  test("with more bytes than were announced", () => {
    expect(progressBar({ ...state, bytes: 96e6 }, 100)).toContain("[##############################]")
  })
})
