import { type ParsedArgv, parseLeading } from "../../../src/cli/argv.ts"
import { RUN_OPTIONS } from "../../../src/cli/commands/run-options.ts"

/** The options of `toybox run`, read. */
export const run = (...words: string[]): ParsedArgv => parseLeading(words, RUN_OPTIONS)

/** The hint of the error that `attempt` throws. */
export function hintOf(attempt: () => unknown): string | undefined {
  try {
    attempt()
  } catch (error) {
    return (error as { hint?: string }).hint
  }
  throw new Error("nothing was thrown")
}
