/** What toybox is called as by itself, to supervise a detached container. */
import { superviseDetached } from "../../container/supervisor.ts"
import { UsageError } from "../../errors.ts"
import { pathsFor } from "../../paths.ts"

export async function superviseCommand(words: readonly string[]): Promise<number> {
  const [id, ...fds] = words
  const [lock, control, out, err] = fds.map(Number)
  if (id === undefined || lock === undefined || control === undefined || out === undefined || err === undefined)
    throw new UsageError("supervise is for toybox itself")
  await superviseDetached(pathsFor(process.env.TOYBOX_ROOT), id, { lock, control, out, err })
  return 0
}
