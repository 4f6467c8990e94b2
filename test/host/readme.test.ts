/** The tour of the README: what it says that is printed is printed. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { hierarchies, ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { stateRoot, succeed, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()
setDefaultTimeout(60_000)

const isRoot = process.getuid?.() === 0
const README = readFileSync(join(import.meta.dir, "../../README.md"), "utf8")
const TOUR = README.slice(README.indexOf("## A tour"), README.indexOf("## Archives and addresses"))
const hasV1 = hierarchies().includes("/sys/fs/cgroup/memory")

/** The blocks of a kind, as lines. */
const blocks = (kind: string) =>
  [...TOUR.matchAll(new RegExp(`\`\`\`${kind}\n(.*?)\`\`\``, "gs"))].map(([, text = ""]) => text.trimEnd().split("\n"))

/** What stands for something else of its kind: ids, the container's directory, what is left out. */
const PLACEHOLDER = /\$(?:C|ID|A|R)\b|…|\b[0-9a-f]{12}\b/g

function pattern(text: string): RegExp {
  const literal = (part: string) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
  const parts = text.replaceAll("/var/lib/toybox", stateRoot()).split(PLACEHOLDER)
  return new RegExp(`^${parts.map(literal).join("[^\\n]*")}$`, "m")
}

const ADDRESS = /https:\S+\.tar\.gz/.exec(TOUR)?.[0] ?? ""

describe.skipIf(!isRoot)("the README's tour", () => {
  afterAll(async () => {
    expect(await ownLeftovers()).toEqual([])
  })

  test("has lines of --explain", async () => {
    const run = ["run", "--explain", "--cpu", "10%", "--mem", "500M"]
    const sum = `sha256:${"0".repeat(64)}`
    const printed = [
      await succeed([...run, "base", "sh"]),
      await succeed(["run", "--explain", "--checksum", sum, ADDRESS, "sh"]),
    ].join("\n")
    const lines = blocks("sh").flat()
    expect(lines.length).toBeGreaterThan(20)
    const told = lines.filter((line) => hasV1 || !line.includes("/sys/fs/cgroup"))
    expect(told.filter((line) => !pattern(line).test(printed))).toEqual([])
  })

  test("has commands with what they print", async () => {
    const sessions = blocks("console").filter(([first = ""]) => first.startsWith("# toybox run --rm"))
    expect(sessions).toHaveLength(3)
    for (const [first = "", ...rest] of sessions) {
      if (!hasV1 && first.includes("/sys/fs/cgroup")) continue
      const words = [...first.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "").slice(3)
      const { stdout, stderr, exitCode } = await toybox(ownRun(...words))
      const asked = rest.indexOf("# echo $?")
      const output = asked < 0 ? rest : rest.slice(0, asked)
      expect(`${stdout}${stderr}`.trimEnd()).toMatch(new RegExp(pattern(output.join("\n")).source))
      expect(String(exitCode)).toBe(asked < 0 ? "0" : (rest[asked + 1] ?? ""))
    }
  })
})
