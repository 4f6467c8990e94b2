import { describe, expect, test } from "bun:test"
import { mentions, parseTemplate, render } from "../../../src/cli/template.ts"

const value = Object.defineProperty(
  {
    ID: "9f3c0d1e2b4a",
    Names: "web",
    N: 3,
    Zero: 0,
    Big: 1732789123000000001n,
    Off: false,
    Empty: null,
    Health: undefined,
    Args: ["sh", "-c", "exit 0"],
    State: { Status: "running", Pid: 42 },
    Config: { Image: "alpine:3.20", Labels: { "com.example/x": "1", stage: "test" }, None: {} },
    NetworkSettings: {
      Networks: { front: { IPAddress: "10.0.0.2" }, back: { IPAddress: "10.0.1.2" } },
      Ports: { "8787/tcp": [{ HostIp: "0.0.0.0", HostPort: "9000" }], "53/udp": [{ HostIp: "::", HostPort: "53" }] },
    },
    Mounts: [
      { Type: "bind", Source: "/srv" },
      { Type: "volume", Name: "data", Source: "/var" },
    ],
  },
  "Label",
  { value: (key: string) => `<${key}>` },
)
const JSON_TEXT = JSON.stringify({ ...value, Big: 0 }).replace('"Big":0', '"Big":1732789123000000001')
const rendered = (text: string) => render(parseTemplate(text), value)

describe("--format: fields and text", () => {
  test.each([
    ["{{.ID}}", "9f3c0d1e2b4a"],
    ["{{ .N }}\\t{{.Names}}\\n", "3\tweb\n"],
    ["table {{.Names}}\\t{{.N}}", "web\t3"],
    ["x{{.Off}}y", "xfalsey"],
    ["{{.Empty}}", "<nil>"],
    ["{{.State.Pid}}", "42"],
    [
      '{{.Big}} {{json .Big}} {{json . }} {{printf "%d %x" .Big .Big}}',
      `1732789123000000001 1732789123000000001 ${JSON_TEXT} 1732789123000000001 180c1a86d3135e01`,
    ],
    [
      "{{gt .Big 1732789123000000000}} {{lt .Big 5}} {{ge .Big .N}} {{eq .Big 1732789123000000001}} {{ne .Big .N}}",
      "true false true true true",
    ],
    ["{{json .State}} {{json .Names}}", '{"Status":"running","Pid":42} "web"'],
    ["{{json .}}", JSON_TEXT],
    ["json", JSON_TEXT],
    ['{{.Label "com.example/x"}}', "<com.example/x>"],
    ["{ {{.N}} }", "{ 3 }"],
    ["{{.Args}}", "[sh -c exit 0]"],
    ["{{.State}}", "map[Pid:42 Status:running]"],
    ["a  {{- .N -}}  b", "a3b"],
    ["{{/* nothing */}}{{.N}}", "3"],
    ["{{$.N}}", "3"],
    // Of maps, whose keys are anybody's, one that is not there is nothing; docker's own fields are known.
    ["{{.Config.Labels.stage}} {{.Config.Labels.other}}", "test <no value>"],
    ["{{.Config.None.x}}", "<no value>"],
  ])("%s", (text, expected) => {
    expect(rendered(text)).toBe(expected)
  })
})

describe("--format: docker's documented examples", () => {
  test.each([
    ["{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", "10.0.1.2 10.0.0.2 "],
    [
      "{{range $p, $conf := .NetworkSettings.Ports}} {{$p}} -> {{(index $conf 0).HostPort}} {{end}}",
      " 53/udp -> 53  8787/tcp -> 9000 ",
    ],
    ['{{(index (index .NetworkSettings.Ports "8787/tcp") 0).HostPort}}', "9000"],
    ["{{json .Config.Labels}}", '{"com.example/x":"1","stage":"test"}'],
    ['{{join .Args " , "}}', "sh , -c , exit 0"],
    ["{{lower .Config.Image}} {{upper .Names}} {{title .Names}}", "alpine:3.20 WEB Web"],
    ['{{split .Config.Image ":"}}', "[alpine 3.20]"],
    ["{{range .Args}}{{println .}}{{end}}", "sh\n-c\nexit 0\n"],
    ['{{index .Config.Labels "com.example/x"}}', "1"],
    ["{{range .Mounts}}{{.Type}}:{{.Source}} {{end}}", "bind:/srv volume:/var "],
    ["{{if .Health}}{{.Health.Status}}{{else}}none{{end}}", "none"],
    ["{{truncate .ID 4}}|{{pad .Names 2 1}}|", "9f3c|  web |"],
    ['{{.Names | printf "x-%s" | upper}}', "X-WEB"],
  ])("%s", (text, expected) => {
    expect(rendered(text)).toBe(expected)
  })
})

describe("--format: Go's language", () => {
  test.each([
    ['{{if eq .State.Status "running"}}up{{else if .Off}}off{{else}}down{{end}}', "up"],
    ['{{if eq .State.Status "paused" "exited"}}a{{else if not .Off}}b{{else}}c{{end}}', "b"],
    ["{{if .Zero}}a{{else}}b{{end}}{{if .Empty}}a{{end}}{{if .Config.None}}a{{end}}", "b"],
    ["{{with .State}}{{.Pid}}{{end}}{{with .Health}}x{{else}}{{.N}}{{end}}", "423"],
    ["{{with $s := .State}}{{$s.Status}}{{end}}", "running"],
    ["{{range .Config.None}}x{{else}}none{{end}}", "none"],
    ["{{range $i, $a := .Args}}{{if $i}},{{end}}{{$a}}{{end}}", "sh,-c,exit 0"],
    ["{{range .Args}}{{if eq . `-c`}}{{break}}{{end}}{{.}}{{end}}", "sh"],
    ["{{range .Args}}{{if eq . `-c`}}{{continue}}{{end}}{{.}};{{end}}", "sh;exit 0;"],
    ["{{$n := 0}}{{range .Args}}{{$n = len .}}{{end}}{{$n}}", "6"],
    ["{{range 3}}{{.}}{{end}}", "012"],
    ["{{len .Args}} {{len .Names}} {{.Args | len}}", "3 3 3"],
    ["{{and .Health .Health.Status}}|{{or .Off .Names}}", "<no value>|web"],
    ["{{slice .ID 0 4}} {{slice .Args 1}}", "9f3c [-c exit 0]"],
    ["{{lt .N 4}} {{ge .N 4}} {{ne .Names `x`}}", "true false true"],
    ['{{printf "%-6s|%5.1f|%03d|%q|%v|%x%%" .Names 2.25 .N .Names .Off 255}}', 'web   |  2.3|003|"web"|false|ff%'],
    ['{{"}}\\t\\u00e9\\""}}', '}}\té"'],
    ["{{print 1 2 `a` 3}}", "1 2a3"],
    ["{{(index .Mounts 1).Name}}", "data"],
    ["{{index .Config.Labels `other`}}|", "|"],
    ["{{index .NetworkSettings.Networks `other`}}", "<nil>"],
    ["{{true}}", "true"],
  ])("%s", (text, expected) => {
    expect(rendered(text)).toBe(expected)
  })
})

describe("--format: errors", () => {
  test.each([
    ["{{.A..B}}", "not understood"],
    ["{{.ID", "has no }}"],
    ["{{}}", "says nothing"],
    ["plain", "has no field"],
    ["", "has no field"],
    ["{{.Nothing}}", "there is no field .Nothing"],
    ["{{.State.C}}", "there is no field .State.C"],
    ["{{.ID.constructor}}", "there is no field .ID.constructor"],
    ["{{.toString}}", "there is no field .toString"],
    ["{{.Config.Labels.constructor.name}}", "there is no field .Config.Labels.constructor.name"],
    ["{{.Health.Status}}", "there is no field .Health.Status"],
    ['{{.ID "x"}}', "takes no argument"],
    ["{{range .Args}}", "{{range .Args}} has no {{end}}"],
    ["{{if .N}}a{{else}}b{{else}}c{{end}}", "two {{else}}"],
    ["{{end}}", "{{end}} without"],
    ["{{else}}", "{{else}} without"],
    ["{{template `x`}}", 'no function "template"'],
    ["{{constructor}}", 'no function "constructor"'],
    ["{{$x}}", "no variable $x"],
    ["{{upper}}", "upper takes 1 argument"],
    ["{{upper .Names .ID}}", "upper takes 1 argument"],
    ["{{upper .N}}", "upper takes text, not 3"],
    ["{{index .Args 3}}", "index is out of range: 3 of 3"],
    ["{{index .Empty 0}}", "index takes a list or a map"],
    ["{{range .Names}}{{end}}", "range takes a list or a map, not web"],
    ["{{(.N}}", "a ) is missing"],
    ["{{.N)}}", '")" is too much'],
    ["{{3 .N}}", "only functions take arguments"],
    ["{{.N | }}", "a value is missing"],
    ['{{printf "%d" .Names}}', "printf cannot show web as %d"],
    ['{{printf "%s"}}', "printf has nothing for %s"],
    ["{{lt .N .Names}}", "cannot compare 3 and web"],
    ["{{eq .Args .Args}}", "compares no lists"],
  ])("%s", (text, message) => {
    expect(() => rendered(text)).toThrow(message)
  })

  test("what docker calls Id in its JSON is ID in its templates, too", () => {
    expect(render(parseTemplate("{{.ID}} {{.Id}} {{(index .In 0).ID}}"), { Id: "a", In: [{ Id: "b" }] })).toBe("a a b")
    expect(() => render(parseTemplate("{{.ID}}"), { Name: "a" })).toThrow("there is no field .ID")
  })

  test("tells which fields are asked for, and which there are", () => {
    expect(mentions(parseTemplate("a{{.Size}}"), "Size")).toBe(true)
    expect(mentions(parseTemplate("{{if .ID}}{{len .Size}}{{end}}"), "Size")).toBe(true)
    expect(mentions(parseTemplate("Size {{.ID}} {{`.Size`}}"), "Size")).toBe(false)
    expect(() => rendered("{{.State.No}}")).toThrow(expect.objectContaining({ hint: "known: Status, Pid" }))
  })
})
