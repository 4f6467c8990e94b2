import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { OptionDefinition } from "../../../src/cli/argv.ts"
import { RUN_OPTIONS } from "../../../src/cli/commands/run-options.ts"

const README = readFileSync(join(import.meta.dir, "../../../README.md"), "utf8")
const dashes = (name: string) => (name.length === 1 ? `-${name}` : `--${name}`)

describe("the README's table of options", () => {
  test.each(Object.entries<OptionDefinition>(RUN_OPTIONS))("has %s as it is", (name, { alias, description }) => {
    const row = README.split("\n").find((line) => line.startsWith(`| \`--${name}\``)) ?? ""
    const others = alias === undefined ? [] : typeof alias === "string" ? [alias] : alias
    for (const other of others) expect(row).toContain(`\`${dashes(other)}\``)
    // A bar would begin a further column, which nobody is shown.
    expect(row).toContain(description.replaceAll("|", "\\|"))
  })

  test("has no option that there is not", () => {
    const rows = [...README.matchAll(/^\| `--([a-z0-9-]+)`/gm)].map((match) => match[1])
    expect(rows).toEqual(Object.keys(RUN_OPTIONS))
  })
})
