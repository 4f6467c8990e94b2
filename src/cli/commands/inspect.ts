/** toybox inspect: all that is known of containers, images, networks and volumes. */
import { recoverAll } from "../../container/recover.ts"
import { NoSuchContainer, resolveId } from "../../container/state.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { isNoSuchImage } from "../../image/store/remove.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { findVolume, volumeNamed } from "../../volume/volume.ts"
import { parseArgv } from "../argv.ts"
import { withLatest } from "../chosen.ts"
import { each } from "../each.ts"
import { inspectContainer } from "../inspect-container.ts"
import { inspectImage } from "../inspect-image.ts"
import { printInspected } from "../inspected.ts"
import { findListed, inspectNetwork, listedNetwork } from "../network-fields.ts"
import { dockerVolume } from "../volume-fields.ts"
import { INSPECT_OPTIONS } from "./inspect-options.ts"

const TYPES = ["container", "image", "network", "volume"]

function inspectOne(paths: Paths, word: string, type: string | undefined, sized: boolean): object {
  if (type === "image") return inspectImage(paths, word)
  if (type === "network") return inspectNetwork(paths, listedNetwork(paths, word))
  if (type === "volume") return dockerVolume(paths, volumeNamed(paths, word))
  try {
    return inspectContainer(paths, resolveId(paths, word), sized)
  } catch (error) {
    if (type === "container" || !(error instanceof NoSuchContainer)) throw error
  }
  try {
    return inspectImage(paths, word)
  } catch (error) {
    if (!isNoSuchImage(error)) throw error
    const network = findListed(paths, word)
    if (network) return inspectNetwork(paths, network)
    const volume = findVolume(paths, word)
    if (volume) return dockerVolume(paths, volume)
    throw new ToyboxError(`no such container, image, network or volume: ${word}`, {
      hint: "toybox ps -a, toybox images, toybox network ls and toybox volume ls list them",
    })
  }
}

export async function inspectCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, INSPECT_OPTIONS)
  const { booleans, strings } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("inspect")
  const type = strings.get("type")
  if (type !== undefined && !TYPES.includes(type))
    throw new UsageError(`--type: "${type}" is none of ${TYPES.join(", ")}`)
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  recoverAll(paths)
  const { rest } = withLatest(paths, argv)
  if (rest.length === 0) throw new UsageError("inspect needs a container or an image")
  const found: object[] = []
  const exitCode = await each(rest, (word) => {
    found.push(inspectOne(paths, word, type, booleans.get("size") ?? false))
  })
  await printInspected(found, strings.get("format"))
  return exitCode
}
