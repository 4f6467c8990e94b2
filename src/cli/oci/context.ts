/** What every OCI command is told, and the container that it names. */
import { UsageError } from "../../errors.ts"
import type { OciLog } from "./log.ts"

/** What the options before the command say. */
export interface OciContext {
  /** Where the containers are kept; absolute. */
  root: string
  log: OciLog
}

/** The one argument of a command. Throws UsageError where there is another number of them. */
export function onlyId(command: string, rest: readonly string[]): string {
  const [id, more] = rest
  if (id === undefined) throw new UsageError(`${command} needs the id of a container`)
  if (more !== undefined) throw new UsageError(`${command} takes one container, but got "${more}", too`)
  return id
}
