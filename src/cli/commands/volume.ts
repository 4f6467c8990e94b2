/** toybox volume create, ls, inspect, rm, prune. */
import { pruneVolumes, removeNamedVolume } from "../../container/prune-volumes.ts"
import { recoverAll } from "../../container/recover.ts"
import { containersByVolume } from "../../container/volume-users.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { formatBytes } from "../../image/progress.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { driverOptions } from "../../volume/driver-options.ts"
import { anonymousName, createVolume, findVolume, listVolumes, type Volume, volumeNamed } from "../../volume/volume.ts"
import { actionOf, parseAction } from "../actions.ts"
import type { ParsedArgv } from "../argv.ts"
import { agrees } from "../ask.ts"
import { each } from "../each.ts"
import { printInspected } from "../inspected.ts"
import { labelsOf } from "../labels.ts"
import { labelTest, listFilter, nameTest, truth } from "../list-filter.ts"
import { pruneFilter, takeTruth } from "../prune-filter.ts"
import { listFormat } from "../table.ts"
import { printFormatted } from "../template.ts"
import { dockerVolume, listedVolume } from "../volume-fields.ts"
import { VOLUME_OPTIONS } from "./volume-options.ts"

function create(paths: Paths, { strings, lists, rest }: ParsedArgv): number {
  const [, name, more] = rest
  if (more !== undefined) throw new UsageError(`volume create: "${more}" is too much`)
  const driver = strings.get("driver") ?? "local"
  if (driver !== "local") throw new UsageError(`--driver: "${driver}" is not known (there is only local)`)
  const labels = labelsOf(lists.get("label") ?? [])
  const anonymous = name === undefined ? ({ anonymous: true } as const) : {}
  const options = driverOptions(lists.get("opt") ?? [])
  const wished = { labels, ...anonymous, ...(options ? { options } : {}) }
  print([createVolume(paths, name ?? anonymousName(), wished).name])
  return 0
}

/** The volumes that all filters mean. Throws UsageError. */
function chosen(paths: Paths, filters: readonly string[]): Volume[] {
  const users = containersByVolume(paths)
  const isChosen = listFilter<Volume>(filters, {
    name(value) {
      const isMeant = nameTest(value)
      return ({ name }) => isMeant(name)
    },
    driver: (value) => () => value === "local",
    dangling(value) {
      const wanted = truth("dangling", value)
      return ({ name }) => users.has(name) !== wanted
    },
    label: labelTest,
  })
  return listVolumes(paths).filter(isChosen)
}

function list(paths: Paths, { booleans, lists, strings, rest }: ParsedArgv): number {
  if (rest.length > 1) throw new UsageError(`volume ls takes no arguments, but got "${rest[1]}"`)
  const volumes = chosen(paths, lists.get("filter") ?? [])
  if (booleans.get("json")) print(volumes.map((volume) => JSON.stringify(volume)))
  else if (booleans.get("quiet")) print(volumes.map(({ name }) => name))
  else {
    const fields = volumes.map((volume) => listedVolume(paths, volume))
    printFormatted(listFormat(strings.get("format")) ?? "table {{.Driver}}\t{{.Name}}", fields, { Name: "VOLUME NAME" })
  }
  return 0
}

async function inspect(paths: Paths, { strings, rest }: ParsedArgv): Promise<number> {
  const names = rest.slice(1)
  if (names.length === 0) throw new UsageError("volume inspect needs a volume's name", { hint: "toybox volume ls" })
  const found: object[] = []
  const exitCode = await each(names, (name) => {
    found.push(dockerVolume(paths, volumeNamed(paths, name)))
  })
  await printInspected(found, strings.get("format"))
  return exitCode
}

function remove(paths: Paths, { rest, booleans }: ParsedArgv): Promise<number> {
  const names = rest.slice(1)
  if (names.length === 0) throw new UsageError("volume rm needs a volume's name", { hint: "toybox volume ls" })
  return each(names, (name) => {
    if (!booleans.get("force") || findVolume(paths, name)) removeNamedVolume(paths, name)
    print([name])
  })
}

function prune(paths: Paths, { booleans, lists, rest }: ParsedArgv): number {
  if (rest.length > 1) throw new UsageError(`volume prune takes no arguments, but got "${rest[1]}"`)
  const { rest: filters, says } = takeTruth("all", lists.get("filter") ?? [])
  const isChosen = pruneFilter(filters, Date.now())
  const all = booleans.get("all") ?? says ?? false
  if (!booleans.get("force")) {
    if (!process.stdin.isTTY)
      throw new ToyboxError("volume prune removes things, and nobody can be asked", {
        hint: "toybox volume prune --force",
      })
    const which = all ? "all volumes" : "all volumes without names"
    if (!agrees(`This removes ${which} that no container has. Go on?`)) return 1
  }
  const { names, bytes } = pruneVolumes(paths, (volume) => (all || volume.anonymous === true) && isChosen(volume))
  const removed = names.length > 0 ? ["Deleted Volumes:", ...names, ""] : []
  print([...removed, `Total reclaimed space: ${formatBytes(bytes)}`])
  return 0
}

const ACTIONS = { create, ls: list, inspect, rm: remove, prune }

export async function volumeCommand(words: readonly string[]): Promise<number> {
  const argv = parseAction(words, VOLUME_OPTIONS, { ls: "filter", inspect: "format" })
  if (argv.booleans.get("help")) return (await import("../usage.ts")).printUsage("volume")
  const action = actionOf("volume", argv.rest, ["create", "ls", "inspect", "rm", "prune"])
  const paths = pathsFor(argv.strings.get("root") ?? process.env.TOYBOX_ROOT)
  // The caller's would close a new volume to the users of containers.
  process.umask(0o022)
  ensurePaths(paths)
  recoverAll(paths)
  return ACTIONS[action](paths, argv)
}
