import { expect, test } from "bun:test"
import { binarySize, decimalSize } from "../../../src/cli/sizes.ts"

test.each([
  [0, "0B", "0B"],
  [999, "999B", "999B"],
  [1050, "1.05kB", "1.025KiB"],
  [241_664, "242kB", "236KiB"],
  [25_340_000_000, "25.3GB", "23.6GiB"],
])("%d", (bytes, decimal, binary) => {
  expect([decimalSize(bytes), binarySize(bytes)]).toEqual([decimal, binary])
})
