import { describe, expect, test } from "bun:test"
import { mentions, parseTemplate, render } from "../../../src/cli/template.ts"

const value = Object.defineProperty(
  { ID: "1", Names: "web", N: 0, Off: false, Empty: null, In: { a: { b: 2 } } },
  "Label",
  {
    value: (key: string) => `<${key}>`,
  },
)
const rendered = (text: string) => render(parseTemplate(text), value)

describe("--format", () => {
  test.each([
    ["{{.ID}}", "1"],
    ["{{ .ID }}\\t{{.Names}}\\n", "1\tweb\n"],
    ["table {{.ID}}\\t{{.N}}", "1\t0"],
    ["x{{.Off}}y{{.Empty}}z", "xfalseyz"],
    ["{{.In.a.b}}", "2"],
    ["{{json .In}} {{json .Names}}", '{"a":{"b":2}} "web"'],
    ["{{json .}}", JSON.stringify(value)],
    ["json", JSON.stringify(value)],
    ['{{.Label "com.example/x"}}', "<com.example/x>"],
    ["{ {{.ID}} }", "{ 1 }"],
  ])("%s", (text, expected) => {
    expect(rendered(text)).toBe(expected)
  })

  test.each([
    ["{{range .Names}}x{{end}}", "{{range .Names}} is not understood"],
    ["{{.ID | upper}}", "is not understood"],
    ["{{.}}", "is not understood"],
    ["{{.A..B}}", "is not understood"],
    ["{{.ID", "has no }}"],
    ["plain", "has no field"],
    ["", "has no field"],
    ["{{.Nothing}}", "there is no field .Nothing"],
    ["{{.In.c}}", "there is no field .In.c"],
    ["{{.ID.constructor}}", "there is no field .ID.constructor"],
    ["{{.toString}}", "there is no field .toString"],
    ["{{.In}}", ".In has parts"],
    ['{{.ID "x"}}', "takes no argument"],
  ])("%s is an error", (text, message) => {
    expect(() => rendered(text)).toThrow(message)
  })

  test("tells which fields are asked for, and which there are", () => {
    expect(mentions(parseTemplate("a{{.Size}}"), "Size")).toBe(true)
    expect(mentions(parseTemplate("Size {{.ID}}"), "Size")).toBe(false)
    const known = "known: ID, Names, N, Off, Empty, In"
    expect(() => rendered("{{.No}}")).toThrow(expect.objectContaining({ hint: known }))
  })
})
