/** Commands with a second word that says what to do: cache, network. */
import { UsageError } from "../errors.ts"

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
