/** What every OCI command is told, and the container that it names. */
import { UsageError } from "../../errors.ts"
import type { OciLog } from "./log.ts"

/** What the options before the command say. */
export interface OciContext {
  /** Where the containers are kept; absolute. */
  root: string
  log: OciLog
  /** Containers stay in the cgroup of toybox. */
  noCgroup: boolean
}

/** The containers that a command is for: the one of this id, or with `regex` all whose ids match. Throws UsageError. */
export async function matchingIds(root: string, id: string, regex: boolean | undefined): Promise<string[]> {
  if (!regex) return [id]
  let pattern: RegExp
  try {
    pattern = new RegExp(id)
  } catch {
    throw new UsageError(`--regex: ${JSON.stringify(id)} is no regular expression`)
  }
  const { listRecords } = await import("../../container/oci/state.ts")
  return listRecords(root).flatMap((record) => (pattern.test(record.id) ? [record.id] : []))
}

/** The one argument of a command. Throws UsageError where there is another number of them. */
export function onlyId(command: string, rest: readonly string[]): string {
  const [id, more] = rest
  if (id === undefined) throw new UsageError(`${command} needs the id of a container`)
  if (more !== undefined) throw new UsageError(`${command} takes one container, but got "${more}", too`)
  return id
}
