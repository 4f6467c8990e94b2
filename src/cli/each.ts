/** Commands on several containers. */
import { errorChain, errorHint, UsageError } from "../errors.ts"
import { logger, print } from "../log.ts"

/** Does something with each; one that fails does not keep the others. Prints what `action` gives; returns the exit code. */
export async function each(
  command: string,
  references: readonly string[],
  action: (reference: string) => string,
): Promise<number> {
  if (references.length === 0)
    throw new UsageError(`${command} needs a container's name or id`, { hint: "toybox ps -a lists them" })
  let failed = false
  for (const reference of references) {
    try {
      print([action(reference)])
    } catch (error) {
      failed = true
      const log = await logger()
      log.error(errorChain(error))
      const hint = errorHint(error)
      if (hint) log.error(`hint: ${hint}`)
    }
  }
  return failed ? 1 : 0
}
