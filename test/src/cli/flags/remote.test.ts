import { describe, expect, test } from "bun:test"
import { isInsecure, platformOption } from "../../../../src/cli/flags/remote.ts"
import { hostPlatform } from "../../../../src/image/platform.ts"
import { run } from "../parse.ts"

describe("trust", () => {
  test.each<[string[], boolean | undefined]>([
    [[], undefined],
    [["--insecure"], true],
    [["--tls-verify=false"], true],
    [["--tls-verify"], false],
    [["--insecure", "--tls-verify=false"], true],
  ])("%j: %p", (words, expected) => {
    expect(isInsecure(run(...words))).toBe(expected)
  })

  test("both ways is an error", () => {
    expect(() => isInsecure(run("--insecure", "--tls-verify=true"))).toThrow("contradict each other")
  })
})

describe("a platform in parts", () => {
  test.each<[string[], object | null]>([
    [[], null],
    [["--platform", "linux/arm64"], { os: "linux", architecture: "arm64" }],
    [["--arch", "aarch64"], { os: "linux", architecture: "arm64" }],
    [["--arch", "arm", "--variant", "v6", "--os", "linux"], { os: "linux", architecture: "arm", variant: "v6" }],
    [["--os", "linux"], { os: "linux", architecture: hostPlatform().architecture }],
  ])("%j", (words, expected) => {
    expect(platformOption(run(...words))).toEqual(expected as ReturnType<typeof platformOption>)
  })

  test.each<[string[], string]>([
    [["--platform", "linux/arm64", "--arch", "arm64"], "--platform and --arch exclude each other"],
    [["--os", "windows"], "--os: windows: only images of Linux run here"],
    [["--arch", "a/b"], '--arch: "a/b" is no part of a platform'],
  ])("%j is refused", (words, message) => {
    expect(() => platformOption(run(...words))).toThrow(message)
  })
})
