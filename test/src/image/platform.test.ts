import { describe, expect, test } from "bun:test"
import {
  choosePlatform,
  formatPlatform,
  hostPlatform,
  normalPlatform,
  parsePlatform,
} from "../../../src/image/platform.ts"
import { random } from "../cgroup/random.ts"

const platform = (text: string) => {
  const [os = "", architecture = "", variant] = text.split("/")
  return { os, architecture, ...(variant === undefined ? {} : { variant }) }
}
const offers = (...texts: string[]) =>
  texts.map((text) => ({ text, ...(text === "" ? {} : { platform: platform(text) }) }))
const choose = (wanted: string, exact: boolean, ...texts: string[]) =>
  choosePlatform(offers(...texts), parsePlatform(wanted), exact)?.text

describe("platforms", () => {
  test.each([
    ["linux/x86_64", "linux/amd64"],
    ["linux/x86-64", "linux/amd64"],
    ["linux/amd64/v1", "linux/amd64"],
    ["linux/amd64/v3", "linux/amd64/v3"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm64/8.0", "linux/arm64"],
    ["linux/arm64/v9", "linux/arm64/v9"],
    ["linux/arm", "linux/arm/v7"],
    ["linux/arm/7", "linux/arm/v7"],
    ["linux/armhf", "linux/arm/v7"],
    ["linux/armel", "linux/arm/v6"],
    ["linux/i386", "linux/386"],
    ["Linux/AMD64", "linux/amd64"],
    ["arm64", "linux/arm64"],
    ["linux/riscv64", "linux/riscv64"],
  ])("%s is %s", (text, expected) => {
    expect(formatPlatform(parsePlatform(text))).toBe(expected)
  })

  test.each(["", "linux/", "/amd64", "a/b/c/d", "linux/amd 64", "linux/amd64/"])("%j is none", (text) => {
    expect(() => parsePlatform(text)).toThrow("--platform")
  })

  test("others than Linux do not run here", () => {
    expect(() => parsePlatform("windows/amd64")).toThrow("only images of Linux run here")
  })

  test.each([
    ["x64", "linux/amd64"],
    ["arm64", "linux/arm64"],
  ])("the machine: %s", (arch, expected) => {
    expect(formatPlatform(hostPlatform(arch))).toBe(expected)
  })

  test.each(["linux/amd64/v1", "linux/arm64/v8", "linux/arm/v7", "linux/x/y", "a/armhf"])(
    "normal twice: %s",
    (text) => {
      const once = normalPlatform(platform(text))
      expect(normalPlatform(once)).toEqual(once)
    },
  )
})

describe("choosePlatform", () => {
  test.each([
    ["linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"],
    ["linux/amd64", ["linux/amd64/v3", "linux/amd64"], "linux/amd64"],
    ["linux/amd64/v2", ["linux/amd64", "linux/amd64/v3", "linux/amd64/v2"], "linux/amd64/v2"],
    ["linux/amd64/v4", ["linux/amd64", "linux/amd64/v3"], "linux/amd64/v3"],
    ["linux/amd64", ["linux/amd64/v3"], undefined],
    ["linux/arm64", ["linux/arm64/v8"], "linux/arm64/v8"],
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm64/v8"], "linux/arm/v6"],
    ["linux/arm/v6", ["linux/arm/v7"], undefined],
    ["linux/amd64", ["unknown/unknown", "windows/amd64"], undefined],
    ["linux/amd64", ["linux/386"], undefined],
    ["linux/amd64", ["linux/arm64", ""], ""],
    ["linux/amd64", [], undefined],
  ])("%s of %j is %s", (wanted, texts, expected) => {
    expect(choose(wanted, true, ...texts)).toBe(expected)
  })

  test("without a wish what merely runs will do, if there is nothing better", () => {
    expect(choose("linux/amd64", false, "linux/386")).toBe("linux/386")
    expect(choose("linux/amd64", false, "linux/386", "linux/amd64")).toBe("linux/amd64")
    expect(choose("linux/arm64", false, "linux/arm/v6", "linux/arm/v7")).toBe("linux/arm/v7")
  })

  test.each([1, 2, 3])("what is chosen is the same in every order of the offers (seed %d)", (seed) => {
    const { pick, chance } = random(seed)
    const all = [
      "linux/amd64",
      "linux/amd64/v2",
      "linux/amd64/v3",
      "linux/arm64",
      "linux/arm/v5",
      "linux/arm/v7",
      "linux/386",
    ]
    for (let i = 0; i < 500; i++) {
      const some = all.filter(() => chance(0.5))
      const wanted = pick(all)
      expect([choose(wanted, false, ...some.toReversed())]).toEqual([choose(wanted, false, ...some)])
    }
  })
})
