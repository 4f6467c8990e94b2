/** Commands on several things. */
import { errorChain, errorHint, UsageError } from "../errors.ts"
import { logger, print } from "../log.ts"

/**
 * Does something with each; one that fails is told, and does not keep the others. Returns the exit code, for which only those
 * errors count that are failures.
 */
export async function each(
  words: readonly string[],
  action: (word: string) => unknown,
  isFailure: (error: unknown) => boolean = () => true,
): Promise<number> {
  let failed = false
  for (const word of words) {
    try {
      await action(word)
    } catch (error) {
      failed ||= isFailure(error)
      const log = await logger()
      log.error(errorChain(error))
      const hint = errorHint(error)
      if (hint) log.error(`hint: ${hint}`)
    }
  }
  return failed ? 1 : 0
}

/** The same with containers, of which there must be one: each is printed when it is done, or what `action` gives for it. */
export function eachContainer(
  command: string,
  references: readonly string[],
  action: (reference: string) => string | Promise<string>,
  isFailure?: (error: unknown) => boolean,
): Promise<number> {
  if (references.length === 0)
    throw new UsageError(`${command} needs a container's name or id`, { hint: "toybox ps -a lists them" })
  return each(references, async (reference) => print([await action(reference)]), isFailure)
}

/** The same, begun with all of them before the first is brought to its end by what `begin` returns. */
export function eachAtOnce(
  command: string,
  references: readonly string[],
  begin: (reference: string) => () => string | Promise<string>,
): Promise<number> {
  const ends = references.map((reference) => {
    try {
      return begin(reference)
    } catch (error) {
      return () => {
        throw error
      }
    }
  })
  const left = ends.values()
  return eachContainer(command, references, (reference) => left.next().value?.() ?? reference)
}
