/** toybox why. */
import { readAsked } from "../../container/asked.ts"
import { recoverAll } from "../../container/recover.ts"
import { signalName } from "../../container/signal-name.ts"
import { readRecord, readResult, readRunning, resolveId } from "../../container/state.ts"
import { accountLines, enderOf } from "../../container/why.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { shown } from "../table.ts"
import { WHY_OPTIONS } from "./observe-options.ts"

export async function whyCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, WHY_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("why")
  const [reference, ...more] = rest
  if (reference === undefined || more.length > 0)
    throw new UsageError("why needs one container", { hint: "toybox ps -a lists them" })
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  recoverAll(paths)
  const id = resolveId(paths, reference)
  const record = readRecord(paths, id)
  if (readRunning(paths, id) !== null) throw new ToyboxError(`container ${reference} has not ended: it runs`)
  const result = readResult(paths, id)
  if (record?.unstarted)
    throw new ToyboxError(`container ${reference} was never started`, { hint: `toybox start ${reference}` })
  if (record === null || result === null) throw new ToyboxError(`container ${reference} is being made or removed`)
  const asked = readAsked(paths, id, result.started)
  const account = { record, result, asked }
  if (booleans.get("json"))
    print([JSON.stringify({ id, name: record.name, ...result, by: enderOf(account, signalName), asked })])
  else print(accountLines(account, signalName).map(([title, text]) => `${`${title}:`.padEnd(12)}${shown(text)}`))
  return 0
}
