/** What the tests of hostile and broken archives share: a place to unpack to, and one beside it that must not change. */
import { afterEach, beforeEach, expect } from "bun:test"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { errorChain, ToyboxError } from "../../src/errors.ts"
import { type UnpackOptions, unpackLayer } from "../../src/image/layer/unpack.ts"
import { listing } from "./listing.ts"
import { temporaryDirectory } from "./scratch.ts"
import { chunked, type HandMade } from "./tar.ts"

/** Where the test that is running unpacks to. */
export interface Place {
  target: string
  outside: string
  /** The listing of `outside`. */
  before: string[]
}

/** To be called at the top of a test file: the place is made anew for each test, and what is outside compared after it. */
export function hostilePlace(): Place {
  const place: Place = { target: "", outside: "", before: [] }
  let parent = ""
  beforeEach(() => {
    parent = temporaryDirectory("hostile")
    place.target = `${parent}/target`
    place.outside = `${parent}/outside`
    mkdirSync(place.target)
    mkdirSync(`${place.outside}/directory`, { recursive: true })
    writeFileSync(`${place.outside}/file`, "outside")
    place.before = listing(place.outside)
  })
  afterEach(() => {
    // Whatever came of it: nothing outside was made, changed or removed.
    expect(listing(place.outside)).toEqual(place.before)
    expect(readdirSync(parent).sort()).toEqual(["outside", "target"])
  })
  return place
}

/** Unpacks from memory. */
export const unpackBytes = (bytes: Uint8Array, target: string, options: Partial<UnpackOptions> = {}) =>
  unpackLayer(chunked(bytes), { name: "bad.tar", target, whiteouts: "none", ...options })

/** Unpacks what must be refused, with nothing left; the error's text. */
export async function refusal(
  bytes: Uint8Array,
  target: string,
  options: Partial<UnpackOptions> = {},
): Promise<string> {
  const error = await unpackBytes(bytes, target, options).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(ToyboxError)
  expect((error as ToyboxError).exitCode).toBe(125)
  expect(readdirSync(target)).toEqual([])
  return errorChain(error)
}

export const dir = (name: string, more: HandMade = {}): HandMade => ({ name, type: "5", mode: 0o755, ...more })
export const link = (name: string, to: string): HandMade => ({ name, type: "2", link: to })
export const hard = (name: string, to: string): HandMade => ({ name, type: "1", link: to })
export const file = (name: string, content = "x"): HandMade => ({ name, content })
