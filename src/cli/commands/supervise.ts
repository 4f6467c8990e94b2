/** What toybox is called as by itself, to supervise a detached container. */
import { superviseDetached } from "../../container/supervisor.ts"
import { UsageError } from "../../errors.ts"
import { pathsFor } from "../../paths.ts"

/** `supervise ID NAME=NUMBER…`: the descriptors of Inherited, whether anybody may type, and the limits of the log. */
export async function superviseCommand(words: readonly string[]): Promise<number> {
  const [id, ...pairs] = words
  const numbers = new Map(
    pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), Number(pair.slice(pair.indexOf("=") + 1))]),
  )
  const lock = numbers.get("lock")
  const control = numbers.get("control")
  const listener = numbers.get("listener")
  if (id === undefined || lock === undefined || control === undefined || listener === undefined)
    throw new UsageError("supervise is for toybox itself")
  const given = (name: string) => numbers.get(name) ?? null
  const io = { out: given("out"), err: given("err"), terminal: given("terminal"), input: given("input") }
  const [maxSize, maxFiles] = [numbers.get("log-size"), numbers.get("log-files")]
  const limits = maxSize === undefined || maxFiles === undefined ? null : { maxSize, maxFiles }
  const inherited = { lock, control, listener, ...io, typing: numbers.has("typing"), health: numbers.has("health") }
  await superviseDetached(pathsFor(process.env.TOYBOX_ROOT), id, inherited, limits)
  return 0
}
