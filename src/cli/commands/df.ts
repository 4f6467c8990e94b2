/** toybox df. */
import { UsageError } from "../../errors.ts"
import { formatBytes } from "../../image/progress.ts"
import { isNameless } from "../../image/store/records.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { type DiskUsage, diskUsage, type UsageRow, usageRows } from "../disk-usage.ts"
import { familiarName } from "../image.ts"
import { ago, dockerStatus, listFormat, shown, table } from "../table.ts"
import { printFormatted } from "../template.ts"
import { DF_OPTIONS } from "./prune-options.ts"

const TITLES = { TotalCount: "TOTAL" }

/** As docker's templates know them. */
const fields = ({ type, total, active, size, reclaimable }: UsageRow) => ({
  Active: String(active),
  Reclaimable: `${formatBytes(reclaimable)}${size > 0 ? ` (${Math.floor((reclaimable / size) * 100)}%)` : ""}`,
  Size: formatBytes(size),
  TotalCount: String(total),
  Type: type,
})

function details({ images, containers, volumes, cache }: DiskUsage): string[] {
  const imageRows = images.map(({ image, size, shared, containers }) => [
    shown(isNameless(image) ? "<none>" : familiarName(image)),
    image.id.slice(7, 19),
    formatBytes(size),
    formatBytes(shared),
    formatBytes(size - shared),
    String(containers.length),
  ])
  const containerRows = containers.map(({ summary, size }) => [
    summary.id.slice(0, 12),
    shown(summary.image),
    formatBytes(size),
    dockerStatus(summary),
    summary.name,
  ])
  const volumeRows = volumes.map(({ volume, size, containers }) => [
    volume.name,
    String(containers.length),
    formatBytes(size),
  ])
  const cacheRows = cache.map(({ digest, size, lastUsed, usedBy }) => [
    digest.slice(7, 19),
    formatBytes(size),
    ago(lastUsed),
    String(usedBy.length),
  ])
  return [
    "Images space usage:",
    "",
    table([["IMAGE", "IMAGE ID", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"], ...imageRows]),
    "",
    "Containers space usage:",
    "",
    table([["CONTAINER ID", "IMAGE", "SIZE", "STATUS", "NAMES"], ...containerRows]),
    "",
    "Local Volumes space usage:",
    "",
    table([["VOLUME NAME", "CONTAINERS", "SIZE"], ...volumeRows]),
    "",
    "Archive cache usage:",
    "",
    table([["CACHE ID", "SIZE", "LAST USED", "CONTAINERS"], ...cacheRows]),
  ]
}

export async function dfCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, DF_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("df")
  if (rest.length > 0) throw new UsageError(`df takes no arguments, but got "${rest[0]}"`)
  const format = listFormat(strings.get("format"))
  const verbose = booleans.get("verbose") ?? false
  if (format !== undefined && verbose) throw new UsageError("df: --format is of the summary, and --verbose has none")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const usage = diskUsage(paths)
  const rows = usageRows(usage)
  if (booleans.get("json")) print((verbose ? [usage] : rows).map((what) => JSON.stringify(what)))
  else if (verbose) print(details(usage))
  else
    printFormatted(
      format ?? "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
      rows.map(fields),
      TITLES,
    )
  return 0
}
