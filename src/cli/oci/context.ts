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

/**
 * Does something with the container of this id, or with `regex` with each whose id matches: there one that fails is told, and
 * does not keep the others. Returns the exit code. Throws UsageError.
 */
export async function eachMatching(
  { root, log }: OciContext,
  id: string,
  regex: boolean,
  act: (id: string) => void,
): Promise<number> {
  if (!regex) {
    act(id)
    return 0
  }
  let pattern: RegExp
  try {
    pattern = new RegExp(id)
  } catch {
    throw new UsageError(`--regex: ${JSON.stringify(id)} is no regular expression`)
  }
  const { listRecords } = await import("../../container/oci/state.ts")
  let code = 0
  for (const record of listRecords(root)) {
    if (!pattern.test(record.id)) continue
    try {
      act(record.id)
    } catch (error) {
      log.error(error)
      code = 1
    }
  }
  return code
}

/** The one argument of a command. Throws UsageError where there is another number of them. */
export function onlyId(command: string, rest: readonly string[]): string {
  const [id, more] = rest
  if (id === undefined) throw new UsageError(`${command} needs the id of a container`)
  if (more !== undefined) throw new UsageError(`${command} takes one container, but got "${more}", too`)
  return id
}
