/** Commands with a second word that says what to do: cache, network. */
import { UsageError } from "../errors.ts"
import { type OptionDefinitions, type ParsedArgv, parseArgv } from "./argv.ts"

/** Reads them: options may come before and after the word, which is the first of `rest`. Throws UsageError. */
export function parseAction(words: readonly string[], options: OptionDefinitions): ParsedArgv {
  const first = parseArgv(words, options)
  const second = parseArgv(first.rest.slice(1), options)
  const lists = new Map(first.lists)
  for (const [name, values] of second.lists) lists.set(name, [...(lists.get(name) ?? []), ...values])
  return {
    strings: new Map([...first.strings, ...second.strings]),
    lists,
    booleans: new Map([...first.booleans, ...second.booleans]),
    typed: new Map([...first.typed, ...second.typed]),
    rest: [...first.rest.slice(0, 1), ...second.rest],
  }
}

/** Which of the actions is meant. Throws UsageError. */
export function actionOf<Name extends string>(
  command: string,
  [word]: readonly string[],
  names: readonly Name[],
): Name {
  const found = names.find((name) => name === word)
  if (found !== undefined) return found
  const choice = `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`
  throw new UsageError(word === undefined ? `${command} needs ${choice}` : `${command}: "${word}" is not ${choice}`)
}
