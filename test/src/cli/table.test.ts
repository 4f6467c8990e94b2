import { expect, test } from "bun:test"
import { ago } from "../../../src/cli/table.ts"

const DAY = 86_400_000

test.each([
  [0, "0 seconds ago"],
  [1000, "1 second ago"],
  [59 * 60_000, "59 minutes ago"],
  [3 * 3_600_000, "3 hours ago"],
  [DAY, "1 day ago"],
  [13 * DAY, "13 days ago"],
  [14 * DAY, "2 weeks ago"],
  [60 * DAY, "2 months ago"],
  [400 * DAY, "13 months ago"],
  [730 * DAY, "2 years ago"],
  [4000 * DAY, "10 years ago"],
])("%d milliseconds are %s", (milliseconds, expected) => {
  expect(ago(new Date(Date.now() - milliseconds).toISOString())).toBe(expected)
})
