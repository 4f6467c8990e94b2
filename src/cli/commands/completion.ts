/** toybox completion. */
import { UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { pathsFor } from "../../paths.ts"
import { candidates, SCRIPTS } from "../completion.ts"
import { COMMANDS, printUsage } from "../usage.ts"

/** The --root of a line that is not whole yet: names are those of it. */
function rootIn(line: readonly string[]): string | undefined {
  const i = line.findIndex((word) => word === "--root" || word.startsWith("--root="))
  return line[i] === "--root" ? line[i + 1] || undefined : line[i]?.slice("--root=".length) || undefined
}

export async function completionCommand(words: readonly string[]): Promise<number> {
  const [what = ""] = words
  if (what === "--help") return printUsage("completion")
  if (what === "candidates") {
    // What the scripts call: the words so far, after "--".
    const line = words.slice(2)
    const found = candidates(line, COMMANDS, pathsFor(rootIn(line) ?? process.env.TOYBOX_ROOT))
    print(found.map(({ word, description }) => `${word}\t${description}`))
    return 0
  }
  const script = Object.hasOwn(SCRIPTS, what) ? SCRIPTS[what] : undefined
  if (script === undefined || words.length > 1)
    throw new UsageError(`completion needs the name of a shell: ${Object.keys(SCRIPTS).join(", ")}`, {
      hint: "in bash: source <(toybox completion bash)",
    })
  print([script])
  return 0
}
