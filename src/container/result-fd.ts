/** `--result-fd`: how a run ended, for the program that started it; one line of JSON. */
import { writeAll } from "../../ffi/fs.ts"
import { EXIT_TOYBOX, errorChain, ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import type { Live } from "./bring-up.ts"
import type { ContainerResult } from "./state.ts"

function tell(fd: number, result: object): void {
  try {
    writeAll(fd, new TextEncoder().encode(`${JSON.stringify(result)}\n`))
  } catch (error) {
    // How the command ended is more than that nobody wants to know it.
    notice(`--result-fd: ${errorChain(error)}`)
  }
}

/** The command was executed, and has ended: `origin` tells whose the exit code is. */
export const tellResult = (fd: number, { id, record }: Pick<Live, "id" | "record">, result: ContainerResult): void =>
  tell(fd, { origin: "command", id, name: record.name, ...result })

/** The command was not executed. */
export function tellFailure(fd: number, error: unknown): void {
  const exitCode = error instanceof ToyboxError ? error.exitCode : EXIT_TOYBOX
  tell(fd, {
    origin: "toybox",
    exitCode,
    oomKilled: false,
    error: errorChain(error),
    finished: new Date().toISOString(),
  })
}
