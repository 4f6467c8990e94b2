import { expect, test } from "bun:test"
import { ToyboxError } from "../../../src/errors.ts"
import { readSpec } from "../../../src/oci/read.ts"
import { type Random, random } from "../cgroup/random.ts"
import { FULL } from "./full.ts"

// biome-ignore lint/suspicious/noExplicitAny: any JSON at all.
type Json = any

const WORDS = [
  "",
  "/",
  "..",
  "a",
  "/proc/self/ns/mnt",
  "bind",
  "__proto__",
  "constructor",
  "CAP_KILL",
  "x".repeat(5000),
  "\0",
  "é\u{1f4a9}",
  "1.2.0",
]
const NUMBERS = [0, -1, 1, 0.5, 4294967295, 2 ** 53, 1e300, -(2 ** 63)]

function anyJson(source: Random, depth: number): Json {
  const { pick, int } = source
  const kinds = depth > 0 ? 7 : 5
  switch (int(0, kinds - 1)) {
    case 0:
      return null
    case 1:
      return pick([true, false])
    case 2:
      return pick(NUMBERS)
    case 3:
    case 4:
      return pick(WORDS)
    case 5:
      return Array.from({ length: int(0, 4) }, () => anyJson(source, depth - 1))
    default:
      return Object.fromEntries(Array.from({ length: int(0, 4) }, () => [pick(WORDS), anyJson(source, depth - 1)]))
  }
}

/** Changes one place of a value: anything else there, gone, there twice. */
function mutate(source: Random, value: Json): Json {
  const { int, pick, chance } = source
  if (typeof value !== "object" || value === null || chance(0.1)) return anyJson(source, 2)
  const copy = Array.isArray(value) ? [...value] : { ...value }
  const keys = Object.keys(copy)
  if (keys.length === 0) return anyJson(source, 2)
  const key = pick(keys)
  const way = int(0, 9)
  if (way === 0) delete copy[key]
  else if (way === 1 && Array.isArray(copy)) copy.push(copy[Number(key)])
  else copy[key] = mutate(source, copy[key])
  return copy
}

/** Reads a text; whatever it is, there is a spec, or one error of one line that names the file, within a second. */
function outcome(text: string): "read" | "refused" {
  const start = performance.now()
  try {
    readSpec(text, "/bundle")
    return "read"
  } catch (error) {
    expect(error).toBeInstanceOf(ToyboxError)
    const { message } = error as Error
    expect(message).toStartWith("config.json: ")
    expect(message).not.toContain("\n")
    expect(message.length).toBeLessThan(600)
    return "refused"
  } finally {
    expect(performance.now() - start).toBeLessThan(1000)
  }
}

test("any JSON is refused in one line (seed 21)", () => {
  const source = random(21)
  for (let round = 0; round < 2000; round++) expect(outcome(JSON.stringify(anyJson(source, 5)))).toBe("refused")
})

test("a valid configuration with changes is read or refused (seed 22)", () => {
  const source = random(22)
  const counts = { read: 0, refused: 0 }
  for (let round = 0; round < 4000; round++) {
    let value: Json = FULL
    for (let changes = source.int(1, 3); changes > 0; changes--) value = mutate(source, value)
    counts[outcome(JSON.stringify(value))]++
  }
  expect(counts.read).toBeGreaterThan(100)
  expect(counts.refused).toBeGreaterThan(1000)
})

test("a text cut short or with bytes changed (seed 23)", () => {
  const source = random(23)
  const text = JSON.stringify(FULL)
  for (let round = 0; round < 1000; round++) {
    const at = source.int(0, text.length - 1)
    outcome(
      source.chance(0.5) ? text.slice(0, at) : text.slice(0, at) + source.pick([...'"{}[],:0-\\']) + text.slice(at + 1),
    )
  }
})

test("large ones: a million mounts' worth of text, a hundred thousand arguments", () => {
  const mounts = Array.from({ length: 50_000 }, (_, i) => ({ destination: `/m${i}`, type: "tmpfs", options: ["ro"] }))
  expect(outcome(JSON.stringify({ ...FULL, mounts }))).toBe("read")
  const args = Array.from({ length: 100_000 }, () => "argument")
  expect(outcome(JSON.stringify({ ...FULL, process: { ...FULL.process, args } }))).toBe("read")
  const namespaces = Array.from({ length: 100_000 }, () => ({ type: "mount" }))
  expect(outcome(JSON.stringify({ ...FULL, linux: { ...FULL.linux, namespaces } }))).toBe("refused")
})
