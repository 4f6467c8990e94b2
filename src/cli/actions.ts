/** Commands with a second word that says what to do: cache, network. */
import { UsageError } from "../errors.ts"
import { type OptionDefinitions, type ParsedArgv, parseArgv } from "./argv.ts"

// Docker's other words for them.
const SYNONYMS: Readonly<Record<string, string>> = { list: "ls", remove: "rm" }

/**
 * Reads the options of a command with actions. `shortF` is what -f means in some of them, by the option's name: with docker it is
 * one thing in one, and another in another. Throws UsageError.
 */
export function parseAction(
  words: readonly string[],
  options: OptionDefinitions,
  shortF: Readonly<Record<string, string>>,
): ParsedArgv {
  const [meant] = words.flatMap((word) => shortF[SYNONYMS[word] ?? word] ?? [])
  if (meant === undefined) return parseArgv(words, options)
  const own = Object.entries(options).map(([name, definition]) => {
    const { alias, ...others } = definition
    if (name === meant) return [name, { ...others, alias: "f" }] as const
    return [name, alias === "f" ? others : definition] as const
  })
  return parseArgv(words, Object.fromEntries(own))
}

/** Which of the actions is meant. Throws UsageError. */
export function actionOf<Name extends string>(
  command: string,
  [word]: readonly string[],
  names: readonly Name[],
): Name {
  const found = names.find((name) => name === (SYNONYMS[word ?? ""] ?? word))
  if (found !== undefined) return found
  const choice = `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`
  throw new UsageError(word === undefined ? `${command} needs ${choice}` : `${command}: "${word}" is not ${choice}`)
}
