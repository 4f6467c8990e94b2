/** What toybox is called as by itself, to supervise a detached container. */
import { superviseDetached } from "../../container/supervisor.ts"
import { UsageError } from "../../errors.ts"
import { pathsFor } from "../../paths.ts"

/** `supervise ID NAME=NUMBER… [image=NAME]`: of Inherited, the limits of the log, and the image that is to go with it (--rmi). */
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
  const settings = { typing: numbers.has("typing"), health: numbers.has("health"), timeout: given("timeout") }
  const paths = pathsFor(process.env.TOYBOX_ROOT)
  const begun = await superviseDetached(paths, id, { lock, control, listener, ...io, ...settings }, limits)
  const image = pairs.find((pair) => pair.startsWith("image="))?.slice("image=".length)
  if (begun && image !== undefined) await (await import("../left-image.ts")).removeLeftImage(paths, image)
  return 0
}
