/** What toybox is called as by itself, to supervise a detached container. */
import { superviseDetached } from "../../container/supervisor.ts"
import { UsageError } from "../../errors.ts"
import { pathsFor } from "../../paths.ts"

/** `supervise ID NAME=DESCRIPTOR…`, with the names of Inherited. */
export async function superviseCommand(words: readonly string[]): Promise<number> {
  const [id, ...pairs] = words
  const fds = new Map(
    pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), Number(pair.slice(pair.indexOf("=") + 1))]),
  )
  const lock = fds.get("lock")
  const control = fds.get("control")
  const listener = fds.get("listener")
  if (id === undefined || lock === undefined || control === undefined || listener === undefined)
    throw new UsageError("supervise is for toybox itself")
  const given = (name: string) => fds.get(name) ?? null
  const io = { out: given("out"), err: given("err"), terminal: given("terminal"), input: given("input") }
  await superviseDetached(pathsFor(process.env.TOYBOX_ROOT), id, {
    lock,
    control,
    listener,
    ...io,
    typing: fds.has("typing"),
  })
  return 0
}
