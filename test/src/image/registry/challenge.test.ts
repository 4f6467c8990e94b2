import { describe, expect, test } from "bun:test"
import { parseChallenges } from "../../../../src/image/registry/challenge.ts"
import { random } from "../../cgroup/random.ts"

describe("parseChallenges", () => {
  test.each([
    ["", []],
    ["Basic", [["basic", {}]]],
    ['Basic realm="x"', [["basic", { realm: "x" }]]],
    ["basic realm=x", [["basic", { realm: "x" }]]],
    [
      'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push"',
      [["bearer", { realm: "https://auth.example/token", service: "r.example", scope: "repository:a/b:pull,push" }]],
    ],
    [
      'Basic realm="a, b", Bearer realm="c"',
      [
        ["basic", { realm: "a, b" }],
        ["bearer", { realm: "c" }],
      ],
    ],
    [
      'Negotiate abc==, Bearer realm="c"',
      [
        ["negotiate", {}],
        ["bearer", { realm: "c" }],
      ],
    ],
    [
      'Negotiate, Bearer realm="c"',
      [
        ["negotiate", {}],
        ["bearer", { realm: "c" }],
      ],
    ],
    ['Bearer realm = "a" , service = b', [["bearer", { realm: "a", service: "b" }]]],
    ['Bearer ,, realm="a",,service="b",', [["bearer", { realm: "a", service: "b" }]]],
    ['Bearer realm="a\\"b\\\\c"', [["bearer", { realm: 'a"b\\c' }]]],
    ['Bearer REALM="a"', [["bearer", { realm: "a" }]]],
    [
      'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
      [
        ["newauth", { realm: "apps", type: "1", title: 'Login to "apps"' }],
        ["basic", { realm: "simple" }],
      ],
    ],
    ['Bearer __proto__="x"', [["bearer", { ["__proto__"]: "x" }]]],
    ['Bearer realm="open', [["bearer", {}]]],
    ['"nonsense"', []],
  ])("%s", (value, expected) => {
    const found = parseChallenges(value).map(({ scheme, parameters }) => [scheme, Object.entries(parameters)])
    expect(found).toEqual(
      (expected as [string, object][]).map(([scheme, parameters]) => [scheme, Object.entries(parameters)]),
    )
  })

  test("what was written is read, however it was written (seed 1)", () => {
    const { pick, int, chance } = random(1)
    const gaps = ["", " ", "\t"]
    for (let i = 0; i < 2000; i++) {
      const challenges = Array.from({ length: int(1, 3) }, () => ({
        scheme: pick(["bearer", "basic", "x-y"]),
        parameters: ["realm", "service", "scope"]
          .slice(0, int(1, 3))
          .map((name) => [name, pick(["a", "b,c", 'd"e', "f=g", "", "h i"])] as const),
      }))
      const written = challenges.map(({ scheme, parameters }) => {
        const fields = parameters.map(([name, value]) => {
          const quoted = `"${value.replace(/["\\]/g, "\\$&")}"`
          return `${name}${pick(gaps)}=${pick(gaps)}${/^[a-z]+$/.test(value) && chance(0.5) ? value : quoted}`
        })
        return `${scheme} ${fields.join(`${pick(gaps)},${pick(gaps)}`)}`
      })
      const found = parseChallenges(written.join(", "))
      expect(found.map(({ scheme, parameters }) => [scheme, Object.entries(parameters)])).toEqual(
        challenges.map(({ scheme, parameters }) => [scheme, parameters.map((pair) => [...pair])]),
      )
    }
  })

  test("any text ends, and throws nothing (seed 2)", () => {
    const { pick, int } = random(2)
    for (let i = 0; i < 5000; i++) {
      const text = Array.from({ length: int(0, 30) }, () => pick([...'aB=," \\\t;é'])).join("")
      expect(Array.isArray(parseChallenges(text))).toBe(true)
    }
  })
})
