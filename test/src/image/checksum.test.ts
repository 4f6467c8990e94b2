import { expect, test } from "bun:test"
import { parseChecksum } from "../../../src/image/checksum.ts"

const A = "a".repeat(64)
const B = "B".repeat(128)

test.each([
  [`sha256:${A}`, "sha256", `sha256:${A}`],
  [A.toUpperCase(), "sha256", `sha256:${A}`],
  [`SHA512:${B}`, "sha512", `sha512:${B.toLowerCase()}`],
  [` ${B} `, "sha512", `sha512:${B.toLowerCase()}`],
] as const)("%s", (text, algorithm, expected) => {
  expect(parseChecksum("--checksum", text)).toEqual({ algorithm, text: expected })
})

test.each([
  [""],
  ["sha256:"],
  [`sha256:${B}`],
  [`sha512:${A}`],
  [`md5:${"a".repeat(32)}`],
  [`sha256:${A}0`],
  [`sha256:${A.slice(1)}g`],
  [`sha256:${A}  file`],
])("%p is none", (text) => {
  expect(() => parseChecksum("--checksum", text)).toThrow("--checksum")
})
