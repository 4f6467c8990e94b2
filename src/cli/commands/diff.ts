/** toybox diff. */
import { changesOf } from "../../container/observe/changes.ts"
import { recover } from "../../container/recover.ts"
import { readRecord, resolveId } from "../../container/state.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { shown } from "../table.ts"
import { DIFF_OPTIONS } from "./observe-options.ts"

const text = (path: string) => Buffer.from(path, "latin1").toString("utf8")

export async function diffCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, DIFF_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("diff")
  const [reference, ...more] = rest
  if (reference === undefined || more.length > 0)
    throw new UsageError("diff needs one container", { hint: "toybox ps -a lists them" })
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  recover(paths)
  const record = readRecord(paths, resolveId(paths, reference))
  if (record === null) throw new ToyboxError(`container ${reference} is being made or removed`)
  const changes = changesOf(paths, record)
  const format = strings.get("format")
  if (format !== undefined && format !== "json") throw new UsageError(`--format: "${format}" is not known (use json)`)
  if (format === "json") {
    const of = (wanted: string) => changes.filter(({ kind }) => kind === wanted).map(({ path }) => text(path))
    const groups = Object.entries({ changed: of("C"), added: of("A"), deleted: of("D") })
    print([JSON.stringify(Object.fromEntries(groups.filter(([, found]) => found.length > 0)))])
    return 0
  }
  const json = booleans.get("json") ?? false
  print(
    changes.map(({ kind, path }) =>
      json ? JSON.stringify({ kind, path: text(path) }) : `${kind} ${shown(text(path))}`,
    ),
  )
  return 0
}
