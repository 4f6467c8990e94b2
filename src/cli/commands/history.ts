/** toybox history: how an image came to be. */
import { UsageError } from "../../errors.ts"
import { formatBytes } from "../../image/progress.ts"
import { layerSizes } from "../../image/store/prune.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { imageOf } from "../inspect-image.ts"
import { ago, listFormat, shown } from "../table.ts"
import { printFormatted } from "../template.ts"
import { HISTORY_OPTIONS } from "./inspect-options.ts"

const MISSING = "<missing>"
const TITLES = { ID: "IMAGE", CreatedAt: "CREATED AT", CreatedSince: "CREATED", CreatedBy: "CREATED BY" }
const TABLE = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"

/** The steps of an image, the newest first, each with the bytes of its layer. */
function stepsOf(paths: Paths, word: string) {
  const { record, config } = imageOf(paths, word)
  const sizes = layerSizes(paths)
  const layers = record.layers.values()
  const steps = config.history.map((entry) => {
    const layer = entry.empty_layer ? undefined : layers.next().value
    return { ...entry, size: layer === undefined ? 0 : (sizes.get(layer) ?? 0) }
  })
  return { id: record.id, steps: steps.toReversed() }
}

type Step = ReturnType<typeof stepsOf>["steps"][number]

function fieldsOf(
  { created = "", created_by = "", comment = "", size }: Step,
  id: string,
  full: boolean,
  human: boolean,
) {
  const isDated = Date.parse(created) > 0
  const by = shown(created_by)
  const at = isDated ? new Date(created).toISOString().replace(/\.\d+/, "") : ""
  return {
    Comment: shown(comment),
    CreatedAt: at,
    CreatedBy: full || by.length <= 45 ? by : `${by.slice(0, 44)}…`,
    CreatedSince: isDated && human ? ago(created) : at,
    ID: id,
    Size: human ? formatBytes(size) : String(size),
  }
}

export async function historyCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, HISTORY_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("history")
  const [word, ...more] = rest
  if (word === undefined || more.length > 0)
    throw new UsageError("history needs one image", { hint: "toybox images lists them" })
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const full = booleans.get("no-trunc") ?? false
  const { id, steps } = stepsOf(paths, word)
  // The images on the way are nowhere: only the last one has an id.
  const idAt = (i: number) => (i > 0 ? MISSING : full ? id : id.slice(7, 19))
  const format = listFormat(strings.get("format")) ?? TABLE
  if (booleans.get("json")) print(steps.map((step) => JSON.stringify(step)))
  else if (booleans.get("quiet")) print(steps.map((_, i) => idAt(i)))
  else {
    const fields = steps.map((step, i) => fieldsOf(step, idAt(i), full, booleans.get("human") ?? true))
    printFormatted(format, fields, TITLES)
  }
  return 0
}
