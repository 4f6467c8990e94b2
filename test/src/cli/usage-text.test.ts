import { afterEach, expect, test } from "bun:test"
import { section } from "../../../src/cli/usage-text.ts"

const { columns } = process.stdout

afterEach(() => {
  process.stdout.columns = columns
})

const ROWS = [
  ["-a, --all", "All that there are, as far as it makes sense"],
  ["    --cidfile=<FILE>", "The container whose id it is"],
] as const

test.each([
  [
    80,
    [
      "  -a, --all             All that there are, as far as it makes sense",
      "      --cidfile=<FILE>  The container whose id it is",
    ],
  ],
  [
    40,
    [
      "  -a, --all  All that there are, as far",
      "             as it makes sense",
      "      --cidfile=<FILE>",
      "             The container whose id it",
      "             is",
    ],
  ],
])("on a terminal of %d columns options are wrapped so", (width, lines) => {
  process.stdout.columns = width
  expect(section("OPTIONS", ROWS)[1]?.split("\n")).toEqual(lines)
})

test("no rows have no heading", () => {
  expect(section("OPTIONS", [])).toEqual([])
})
