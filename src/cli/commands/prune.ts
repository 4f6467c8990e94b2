/** toybox prune. */
import { emptyTrash } from "../../container/discard.ts"
import { releaseAbandonedNames } from "../../container/name.ts"
import { pruneNetworks } from "../../container/network-users.ts"
import { pruneContainers } from "../../container/prune.ts"
import { pruneVolumes } from "../../container/prune-volumes.ts"
import { recoverAll } from "../../container/recover.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { removeAbandonedBases } from "../../image/base.ts"
import { pruneCache } from "../../image/cache/inventory.ts"
import { readConfig } from "../../image/config.ts"
import { formatBytes } from "../../image/progress.ts"
import { familiarForm } from "../../image/reference.ts"
import { pruneImages } from "../../image/store/prune.ts"
import { type ImageRecord, readBlobFile } from "../../image/store/records.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { agrees } from "../ask.ts"
import { imageUsers } from "../image-users.ts"
import { type Prunable, pruneFilter, takeTruth } from "../prune-filter.ts"
import { PRUNE_OPTIONS } from "./prune-options.ts"

interface Pruned {
  containers: string[]
  networks: string[]
  /** Names, or ids of those without one. */
  images: string[]
  /** Chain ids. */
  layers: string[]
  volumes: string[]
  /** Digests of what archives were unpacked to. */
  cache: string[]
  /** Bytes, of the tar streams where layers went. */
  reclaimed: number
}

const KINDS = ["containers", "networks", "images", "volumes", "cache"] as const
type Kind = (typeof KINDS)[number]

/** What is to go. Throws UsageError. */
function kindsOf({ booleans, lists }: ParsedArgv): Set<Kind> {
  const only = lists.get("only")
  if (only === undefined) {
    const asked = { volumes: booleans.get("volumes"), cache: booleans.get("all") }
    return new Set(KINDS.filter((kind) => (kind === "volumes" || kind === "cache" ? asked[kind] : true)))
  }
  return new Set(
    only.map((word) => {
      const kind = KINDS.find((known) => known === word)
      if (kind === undefined) throw new UsageError(`--only: "${word}" is none of ${KINDS.join(", ")}`)
      return kind
    }),
  )
}

const TOLD: Readonly<Record<Kind, string>> = {
  containers: "all containers that do not run",
  networks: "all networks that no running container is on",
  images: "all images without a name that no container stands on",
  volumes: "all volumes without names that no container has",
  cache: "all that archives were unpacked to and no container stands on",
}

const question = (all: boolean, kinds: ReadonlySet<Kind>) =>
  [
    "This removes:",
    ...[...kinds].map(
      (kind) => `  - ${all && kind === "images" ? TOLD.images.replace(" without a name", "") : TOLD[kind]}`,
    ),
    "Go on?",
  ].join("\n")

function prunable(paths: Paths, image: ImageRecord): Prunable {
  const bytes = readBlobFile(paths, image.id)
  const labels = bytes === null ? {} : readConfig(bytes, `the config of ${image.name}`).config.Labels
  return { created: image.created ?? image.pulled, labels }
}

async function prune(
  paths: Paths,
  all: boolean,
  kinds: ReadonlySet<Kind>,
  isChosen: (what: Prunable) => boolean,
): Promise<Pruned> {
  const users = imageUsers(paths)
  removeAbandonedBases(paths.bases)
  emptyTrash(paths)
  releaseAbandonedNames(paths)
  const containers = kinds.has("containers") ? pruneContainers(paths, isChosen) : { ids: [], bytes: 0 }
  const networks = kinds.has("networks") ? pruneNetworks(paths, isChosen) : []
  const pruned = kinds.has("volumes")
    ? pruneVolumes(paths, (volume) => volume.anonymous === true && isChosen(volume))
    : { names: [], bytes: 0 }
  const images = kinds.has("images")
    ? await pruneImages(paths, users, all, (image) => isChosen(prunable(paths, image)))
    : { names: [], layers: [], bytes: 0 }
  const cache = kinds.has("cache")
    ? pruneCache(paths, users.ofRoots, ({ lastUsed }) => isChosen({ created: lastUsed, labels: {} }))
    : []
  return {
    containers: containers.ids,
    networks,
    images: images.names,
    layers: images.layers,
    volumes: pruned.names,
    cache: cache.map(({ digest }) => digest),
    reclaimed: containers.bytes + pruned.bytes + images.bytes + cache.reduce((sum, { size }) => sum + size, 0),
  }
}

function lines({ containers, networks, volumes, images, layers, cache, reclaimed }: Pruned): string[] {
  const part = (title: string, found: readonly string[]) => (found.length === 0 ? [] : [`${title}:`, ...found, ""])
  return [
    ...part("Deleted Containers", containers),
    ...part("Deleted Networks", networks),
    ...part("Deleted Volumes", volumes),
    ...part("Deleted Images", [
      ...images.map((name) => `untagged: ${familiarForm(name)}`),
      ...layers.map((chainId) => `deleted: ${chainId}`),
    ]),
    ...part("Deleted cache", cache),
    `Total reclaimed space: ${formatBytes(reclaimed)}`,
  ]
}

export async function pruneCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, PRUNE_OPTIONS)
  const { booleans, strings, lists, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("prune")
  if (rest.length > 0) throw new UsageError(`prune takes no arguments, but got "${rest[0]}"`)
  const { rest: filters, says: isNameless } = takeTruth("dangling", lists.get("filter") ?? [])
  const isChosen = pruneFilter(filters, Date.now())
  const all = booleans.get("all") ?? isNameless === false
  const kinds = kindsOf(argv)
  if (!booleans.get("force")) {
    if (!process.stdin.isTTY)
      throw new ToyboxError("prune removes things, and nobody can be asked", { hint: "toybox prune --force" })
    if (!agrees(question(all, kinds))) return 1
  }
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  recoverAll(paths)
  const pruned = await prune(paths, all, kinds, isChosen)
  print(booleans.get("json") ? [JSON.stringify(pruned)] : lines(pruned))
  return 0
}
