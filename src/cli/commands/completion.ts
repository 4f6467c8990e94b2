/** toybox completion. */
import { UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { pathsFor } from "../../paths.ts"
import { candidates, SCRIPTS } from "../completion.ts"
import { COMMANDS, printUsage } from "../usage.ts"

export async function completionCommand(words: readonly string[]): Promise<number> {
  const [what = ""] = words
  if (what === "--help") return printUsage("completion")
  if (what === "candidates") {
    // What the scripts call: the words so far, after "--".
    const found = candidates(words.slice(2), COMMANDS, pathsFor(process.env.TOYBOX_ROOT))
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
