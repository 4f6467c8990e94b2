import { afterAll, describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import {
  callerVariables,
  environment,
  imageVariables,
  signalNumber,
  ulimits,
  umaskOption,
} from "../../../../src/cli/flags/process.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"
import { run } from "../parse.ts"

cleanUpAfterAll()

function envFile(content: string | Uint8Array): string {
  const path = `${temporaryDirectory()}/env`
  writeFileSync(path, content)
  return path
}

describe("environment", () => {
  process.env.TOYBOX_TEST_VALUE = "from the caller"
  delete process.env.TOYBOX_TEST_NONE
  afterAll(() => {
    delete process.env.TOYBOX_TEST_VALUE
  })

  test("NAME=value as it is; a bare NAME is the caller's, or none", () => {
    const argv = run("-e", "A=1", "--env", "B= x=y ", "-e", "TOYBOX_TEST_VALUE", "-e", "TOYBOX_TEST_NONE", "-eC=")
    expect(environment(argv)).toEqual(["A=1", "B= x=y ", "TOYBOX_TEST_VALUE=from the caller", "C="])
  })

  test.each(["=x", "", "=", "A=\0"])("refuses %j", (text) => {
    expect(() => environment(run("-e", text))).toThrow("-e")
  })

  test("files come first, and have no quoting", () => {
    const path = envFile(
      "\ufeffA=first\n# comment\n\n  B='quoted' \"x\" # no comment\r\n   # comment\nTOYBOX_TEST_VALUE\nTOYBOX_TEST_NONE\nC=last",
    )
    expect(environment(run("-e", "A=2", "--env-file", path))).toEqual([
      "A=first",
      `B='quoted' "x" # no comment`,
      "TOYBOX_TEST_VALUE=from the caller",
      "C=last",
      "A=2",
    ])
  })

  test.each([
    ["A B=1", ":1: a variable's name has no blanks"],
    ["A=1\n=x", ":2: "],
    ["ok=1\nA =1", ":2: "],
  ])("a file with %j is told by line", (content, message) => {
    expect(() => environment(run("--env-file", envFile(content)))).toThrow(message)
  })

  test("a file that cannot be read", () => {
    for (const [path, why] of [
      ["/nonexistent", "there is no such file"],
      ["/proc", "it is a directory"],
    ] as const) {
      expect(() => environment(run("--env-file", path))).toThrow(
        expect.objectContaining({ message: `--env-file: cannot read ${path}`, cause: new Error(why) }),
      )
    }
  })
})

describe("variables of the caller and of images", () => {
  const before = { ...process.env }
  afterAll(() => {
    for (const name of ["HTTPS_PROXY", "no_proxy"]) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
  })

  test("all of the caller's, those of proxies, or none", () => {
    process.env.HTTPS_PROXY = "http://proxy:3128"
    process.env.no_proxy = "localhost"
    expect(callerVariables(run())).toEqual([])
    expect(callerVariables(run("--http-proxy=false"))).toEqual([])
    const proxies = callerVariables(run("--http-proxy"))
    expect(proxies).toEqual(expect.arrayContaining(["HTTPS_PROXY=http://proxy:3128", "no_proxy=localhost"]))
    expect(proxies.every((entry) => /_proxy=/i.test(entry))).toBe(true)
    expect(callerVariables(run("--env-host"))).toContain(`PATH=${process.env.PATH}`)
  })

  test.each<[string[], string[]]>([
    [[], ["A=1", "B=2"]],
    [["--unsetenv", "A"], ["B=2"]],
    [["--unsetenv-all"], []],
    [["-e", "TOYBOX_TEST_NONE", "-e", "A"], ["B=2"]],
  ])("of an image %j leaves %j", (words, expected) => {
    expect(imageVariables(["A=1", "B=2", "C", "=x"], run(...words))).toEqual(expected)
  })

  test.each(["", "A=1"])("--unsetenv %j is refused", (name) => {
    expect(() => imageVariables([], run("--unsetenv", name))).toThrow("--unsetenv")
  })

  test("--umask is octal", () => {
    expect([umaskOption("0022"), umaskOption("77"), umaskOption("0"), umaskOption(undefined)]).toEqual([
      { umask: 0o22 },
      { umask: 0o77 },
      { umask: 0 },
      {},
    ])
    for (const text of ["", "8", "1000", "0o22", "-1"]) expect(() => umaskOption(text)).toThrow("--umask")
  })
})

describe("--ulimit", () => {
  const defaults = [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 4096 }]
  const limits = (...texts: string[]) => ulimits(run(...texts.flatMap((text) => ["--ulimit", text])), defaults)

  test("is over the defaults, by name in either case", () => {
    expect(limits()).toEqual(defaults)
    expect(limits("nofile=10:20")).toEqual([{ type: "RLIMIT_NOFILE", soft: 10, hard: 20 }])
    expect(limits("CORE=0", "nproc=5", "core=unlimited")).toEqual([
      ...defaults,
      { type: "RLIMIT_CORE", soft: Number.POSITIVE_INFINITY, hard: Number.POSITIVE_INFINITY },
      { type: "RLIMIT_NPROC", soft: 5, hard: 5 },
    ])
    expect(limits("stack=8388608:-1").at(-1)).toEqual({
      type: "RLIMIT_STACK",
      soft: 8_388_608,
      hard: Number.POSITIVE_INFINITY,
    })
  })

  test.each([
    ["nofiles=1", 'unknown limit "nofiles"'],
    ["=1", "unknown limit"],
    ["constructor=1", "unknown limit"],
    ["nofile", "is no limit"],
    ["nofile=", "is no limit"],
    ["nofile=a", "is no limit"],
    ["nofile=1:", "is no limit"],
    ["nofile=1:2:3", "is no limit"],
    ["nofile=1=2", "is no limit"],
    ["nofile=-2", "is no limit"],
    ["nofile=1k", "is no limit"],
    ["nofile=2:1", "above the hard one"],
    ["nofile=unlimited:5", "above the hard one"],
  ])("refuses %s", (text, message) => {
    expect(() => limits(text)).toThrow(message)
  })
})

describe("signals", () => {
  test.each([
    ["TERM", 15],
    ["SIGTERM", 15],
    ["sigint", 2],
    ["9", 9],
    ["1", 1],
    ["64", 64],
    ["SIGRTMIN", 34],
    ["RTMIN+3", 37],
    ["SIGRTMAX", 64],
    ["rtmax-2", 62],
  ])("%s is %i", (text, number) => {
    expect(signalNumber("--stop-signal", text)).toBe(number)
  })

  test.each([
    "",
    "0",
    "65",
    "-9",
    "SIG",
    "SIGNONE",
    "SIG_BLOCK",
    "SA_RESTART",
    "SIGSIGTERM",
    "RTMIN+31",
    "RTMIN-1",
    "RTMAX+1",
    "RTMIN+",
    "15 ",
    "1e1",
    "constructor",
  ])("refuses %j", (text) => {
    expect(() => signalNumber("--stop-signal", text)).toThrow(`--stop-signal: "${text}" is not a signal`)
  })
})
