/** toybox cache ls, rm, prune. */
import { containersByRoot } from "../../container/list.ts"
import { recoverAll } from "../../container/recover.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { type CachedLayer, findLayer, listCache, pruneCache, removeCached } from "../../image/cache/inventory.ts"
import { withoutUserinfo } from "../../image/fetch/address.ts"
import { formatBytes } from "../../image/progress.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { actionOf } from "../actions.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { each } from "../each.ts"
import { normalPath } from "../flags/path.ts"
import { ago, shown, table } from "../table.ts"
import { CACHE_OPTIONS } from "./cache-options.ts"

const shortId = ({ digest }: CachedLayer) => digest.slice(7, 19)

// An archive's digest leads to it, too, but nobody typed it as a name.
const names = ({ sources }: CachedLayer) =>
  sources.flatMap(({ kind, name }) => (kind === "digest" ? [] : [shown(name)])).join(" ")

function list(paths: Paths, { booleans, rest }: ParsedArgv): number {
  if (rest.length > 1) throw new UsageError(`cache ls takes no arguments, but got "${rest[1]}"`)
  const layers = listCache(paths, containersByRoot(paths))
  const full = booleans.get("no-trunc") ?? false
  const id = (layer: CachedLayer) => (full ? layer.digest : shortId(layer))
  if (booleans.get("json")) print(layers.map((layer) => JSON.stringify(layer)))
  else if (booleans.get("quiet")) print(layers.map(id))
  else {
    const rows = layers.map((layer) => [
      id(layer),
      formatBytes(layer.size),
      ago(layer.lastUsed),
      layer.usedBy.map((user) => user.slice(0, 12)).join(" "),
      names(layer),
    ])
    print([table([["ID", "SIZE", "LAST USED", "USED BY", "FROM"], ...rows])])
  }
  return 0
}

function removeOne(paths: Paths, reference: string, force: boolean): void {
  const bare = withoutUserinfo(reference)
  const address = /^https?:/i.test(bare) ? (URL.parse(bare)?.href ?? bare) : bare
  const path = normalPath(bare.startsWith("/") ? bare : `${process.cwd()}/${bare}`)
  const layer = findLayer(listCache(paths, containersByRoot(paths)), address, path)
  if (layer !== null) {
    removeCached(paths, layer, () => containersByRoot(paths))
    print([reference])
  } else if (!force) {
    throw new ToyboxError(`${bare} is not in the cache`, { hint: "toybox cache ls lists what is" })
  }
}

function remove(paths: Paths, { booleans, rest }: ParsedArgv): Promise<number> {
  const references = rest.slice(1)
  if (references.length === 0) {
    throw new UsageError("cache rm needs an id, an address or a path", { hint: "toybox cache ls lists them" })
  }
  return each(references, (reference) => {
    removeOne(paths, reference, booleans.get("force") ?? false)
  })
}

function prune(paths: Paths, { rest }: ParsedArgv): number {
  if (rest.length > 1) throw new UsageError(`cache prune takes no arguments, but got "${rest[1]}"`)
  const removed = pruneCache(paths, () => containersByRoot(paths))
  const size = removed.reduce((sum, layer) => sum + layer.size, 0)
  print([...removed.map(shortId), `removed: ${removed.length}, ${formatBytes(size)}`])
  return 0
}

export async function cacheCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, CACHE_OPTIONS)
  if (argv.booleans.get("help")) return (await import("../usage.ts")).printUsage("cache")
  const paths = pathsFor(argv.strings.get("root") ?? process.env.TOYBOX_ROOT)
  const action = actionOf("cache", argv.rest, ["ls", "rm", "prune"])
  ensurePaths(paths)
  recoverAll(paths)
  if (action === "ls") return list(paths, argv)
  return action === "rm" ? remove(paths, argv) : prune(paths, argv)
}
