import { describe, expect, test } from "bun:test"
import {
  closest,
  EMPTY,
  type OptionDefinitions,
  type ParsedArgv,
  parseArgv,
  parseLeading,
  ZERO,
} from "../../../src/cli/argv.ts"
import { RUN_OPTIONS } from "../../../src/cli/commands/run-options.ts"
import { random } from "../cgroup/random.ts"

const DEFINITIONS = {
  mem: { type: "string", alias: ["m", "memory"], valueHint: "500M", description: "" },
  env: { type: "string", alias: "e", repeated: true, description: "" },
  tty: { type: "boolean", alias: "t", description: "" },
  interactive: { type: "boolean", alias: "i", description: "" },
  explain: { type: "string", optionalValue: true, description: "" },
  name: { type: "string", description: "" },
  user: { type: "string", alias: "u", unset: EMPTY, description: "" },
  cpus: { type: "string", unset: ZERO, description: "" },
} as const satisfies OptionDefinitions

/** What was read, as plain data; empty parts left out. */
const plain = ({ strings, lists, booleans, rest }: ParsedArgv) => ({
  ...Object.fromEntries([...strings, ...lists, ...booleans]),
  rest,
})
const anywhere = (...argv: string[]) => plain(parseArgv(argv, DEFINITIONS))
const parsed = (...argv: string[]) => plain(parseLeading(argv, DEFINITIONS))

describe("options of other engines", () => {
  test.each(["--gpus=all", "--link=db", "--runtime=runc", "--storage-opt=size=1G", "--pod=x"])(
    "%s is told what to do instead",
    (word) => {
      const name = word.split("=")[0]
      expect(() => parseLeading([word, "base"], RUN_OPTIONS)).toThrow(`toybox has no option ${name}`)
      expect(() => parseLeading([word, "base"], DEFINITIONS)).toThrow(`unknown option ${name}`)
    },
  )
})

describe("options", () => {
  test.each<[string, string[], object]>([
    ["a value apart", ["--mem", "1g"], { mem: "1g", rest: [] }],
    ["a value with =", ["--mem=1g"], { mem: "1g", rest: [] }],
    ["an empty value", ["--mem="], { mem: "", rest: [] }],
    ["an = in the value", ["--env=A=b=c"], { env: ["A=b=c"], rest: [] }],
    ["an alias", ["--memory", "1g"], { mem: "1g", rest: [] }],
    ["a short one apart", ["-m", "1g"], { mem: "1g", rest: [] }],
    ["a short one attached", ["-m1g"], { mem: "1g", rest: [] }],
    ["a short one with =", ["-m=1g"], { mem: "1g", rest: [] }],
    ["a cluster", ["-it"], { interactive: true, tty: true, rest: [] }],
    ["a cluster that ends with a value", ["-itm", "1g"], { interactive: true, tty: true, mem: "1g", rest: [] }],
    ["a cluster with the value attached", ["-iteA=1"], { interactive: true, tty: true, env: ["A=1"], rest: [] }],
    ["booleans with values", ["--tty=false", "-i=true"], { tty: false, interactive: true, rest: [] }],
    ["a repeated one keeps all", ["-e", "A=1", "--env", "B=2", "-eA=3"], { env: ["A=1", "B=2", "A=3"], rest: [] }],
    ["of another one the last counts", ["--mem", "1g", "-m", "2g"], { mem: "2g", rest: [] }],
    ["an empty value that is none", ["-u", "", "base"], { rest: ["base"] }],
    ["the last one is none", ["-u", "1", "--user="], { rest: [] }],
    ["a zero that is none", ["--cpus", "0.000"], { rest: [] }],
    ["an empty number", ["--cpus="], { cpus: "", rest: [] }],
    ["an option as a value", ["--name", "--tty"], { name: "--tty", rest: [] }],
    ["an optional value left out", ["--explain", "base"], { explain: "", rest: ["base"] }],
    ["an optional value given", ["--explain=calls", "base"], { explain: "calls", rest: ["base"] }],
  ])("%s", (_, argv, expected) => {
    expect(parsed(...argv)).toEqual(expected as never)
  })

  test.each<[string[], string, string | undefined]>([
    [["--mme", "1g"], "unknown option --mme", "--mem"],
    [["--interactiv"], "unknown option --interactiv", "--interactive"],
    [["-x"], "unknown option -x", undefined],
    [["-ix"], "unknown option -x", undefined],
    [["--mem"], "--mem needs a value: --mem 500M", undefined],
    [["-m"], "-m needs a value", undefined],
    [["-itm"], "-m needs a value", undefined],
    [["--tty=perhaps"], '--tty: "perhaps" is neither true nor false', undefined],
    [["--toString"], "unknown option --toString", undefined],
    [["--constructor=1"], "unknown option --constructor", undefined],
  ])("refuses %j", (argv, message, like) => {
    let thrown: unknown
    try {
      parsed(...argv)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ name: "UsageError", message: expect.stringContaining(message) })
    if (like) expect((thrown as { hint: string }).hint).toContain(like)
  })

  test("messages can tell the option as it was typed", () => {
    expect([...parseArgv(["--memory", "1g", "-e", "A"], DEFINITIONS).typed]).toEqual([
      ["mem", "--memory"],
      ["env", "-e"],
    ])
  })
})

describe("where options may stand anywhere", () => {
  test.each<[string, string[], object]>([
    ["after a word", ["web", "-m", "1g"], { mem: "1g", rest: ["web"] }],
    ["between words", ["a", "-t", "b", "--mem=1g", "c"], { tty: true, mem: "1g", rest: ["a", "b", "c"] }],
    ["on both sides, a repeated one", ["-e", "A", "web", "-e", "B"], { env: ["A", "B"], rest: ["web"] }],
    ["a dash is a word", ["-", "-t", "x"], { tty: true, rest: ["-", "x"] }],
    ["an empty word is one, too", ["", "-t"], { tty: true, rest: [""] }],
    ["not after --", ["a", "-t", "--", "-m", "--", "b"], { tty: true, rest: ["a", "-m", "--", "b"] }],
  ])("%s", (_, argv, expected) => {
    expect(anywhere(...argv)).toEqual(expected as never)
  })

  test("an unknown one is an error wherever it stands", () => {
    expect(() => anywhere("web", "--nonsense")).toThrow("unknown option --nonsense")
    expect(() => anywhere("web", "--mem")).toThrow("--mem needs a value")
  })
})

describe("the container's words", () => {
  test.each([
    [["base", "--help"]],
    [["base", "sh", "-c", "echo -v --mem"]],
    [["./root", "-v", "-it", "--", "--name"]],
    [["-", "x"]],
    [["", "--tty"]],
  ])("%j are not touched", (words) => {
    expect(parsed("-t", "--mem", "1g", ...words)).toEqual({ tty: true, mem: "1g", rest: words } as never)
  })

  test("-- ends our options, and only the first does", () => {
    expect(parsed("-t", "--", "--mem", "--", "x")).toEqual({ tty: true, rest: ["--mem", "--", "x"] } as never)
  })

  test("whatever they are, after the root they are passed on as they came (seed 16)", () => {
    const { int, pick } = random(16)
    const words = ["--help", "-v", "--", "-", "", "--mem=1", "-itx", "sh", "a b", "ü", "--unknown", "=", "-e"]
    for (let round = 0; round < 500; round++) {
      const rest = ["root", ...Array.from({ length: int(0, 6) }, () => pick(words))]
      expect(parsed("-e", "A=1", ...rest)).toEqual({ env: ["A=1"], rest } as never)
    }
  })
})

describe("closest", () => {
  test.each([
    ["hostnam", "hostname"],
    ["cap-ad", "cap-add"],
    ["read-onyl", "read-only"],
    ["memry", "memory"],
    // "mem" is as near by letters that are added, left out and replaced.
    ["naem", "name"],
  ])("%s is like %s", (word, like) => {
    expect(closest(word, [...Object.keys(RUN_OPTIONS), "memory"])).toBe(like)
  })

  test("what is like nothing has no suggestion", () => {
    expect(closest("zzzzzz", Object.keys(RUN_OPTIONS))).toBeUndefined()
    expect(closest("", [])).toBeUndefined()
  })
})

test("no name or alias of run's options is used twice", () => {
  const names = Object.entries<OptionDefinitions[string]>(RUN_OPTIONS).flatMap(([name, { alias }]) => [
    name,
    ...(alias === undefined ? [] : [alias].flat()),
  ])
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
})
