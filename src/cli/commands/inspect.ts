/** toybox inspect and history: all that is known of containers and images. */
import { recoverAll } from "../../container/recover.ts"
import { NoSuchContainer, resolveId } from "../../container/state.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { findVolume, volumeNamed } from "../../volume/volume.ts"
import { parseArgv } from "../argv.ts"
import { each } from "../each.ts"
import { inspectContainer } from "../inspect-container.ts"
import { imageOf, inspectImage } from "../inspect-image.ts"
import { ago, shown, table } from "../table.ts"
import { dockerVolume } from "../volume-fields.ts"
import { HISTORY_OPTIONS, INSPECT_OPTIONS } from "./inspect-options.ts"

const TYPES = ["container", "image", "volume"]

function inspectOne(paths: Paths, word: string, type: string | undefined): object {
  if (type === "image") return inspectImage(paths, word)
  if (type === "volume") return dockerVolume(paths, volumeNamed(paths, word))
  try {
    return inspectContainer(paths, resolveId(paths, word))
  } catch (error) {
    if (type === "container" || !(error instanceof NoSuchContainer)) throw error
  }
  try {
    return inspectImage(paths, word)
  } catch (error) {
    if (!(error instanceof ToyboxError && error.message.startsWith("no such image"))) throw error
    const volume = findVolume(paths, word)
    if (volume) return dockerVolume(paths, volume)
    throw new ToyboxError(`no such container, image or volume: ${word}`, {
      hint: "toybox ps -a, toybox images and toybox volume ls list them",
    })
  }
}

export async function inspectCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, INSPECT_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("inspect")
  const type = strings.get("type")
  if (type !== undefined && !TYPES.includes(type))
    throw new UsageError(`--type: "${type}" is none of ${TYPES.join(", ")}`)
  if (rest.length === 0) throw new UsageError("inspect needs a container or an image")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  recoverAll(paths)
  const found: object[] = []
  const exitCode = await each(rest, (word) => {
    found.push(inspectOne(paths, word, type))
  })
  const format = strings.get("format")
  if (format !== undefined) {
    const { parseTemplate, render } = await import("../template.ts")
    const template = parseTemplate(format)
    print(found.map((value) => render(template, value)))
    return exitCode
  }
  // As docker does: what was found is an array in any case.
  print([JSON.stringify(found, null, 4)])
  return exitCode
}

export async function historyCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, HISTORY_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("history")
  const [word, ...more] = rest
  if (word === undefined || more.length > 0)
    throw new UsageError("history needs one image", { hint: "toybox images lists them" })
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  // The newest first.
  const history = imageOf(paths, word).config.history.toReversed()
  if (booleans.get("json")) print(history.map((entry) => JSON.stringify(entry)))
  else {
    const full = booleans.get("no-trunc") ?? false
    const rows = history.map(({ created = "", created_by = "", comment = "", empty_layer }) => {
      const by = shown(created_by)
      const cut = full || by.length <= 60 ? by : `${by.slice(0, 59)}…`
      return [Date.parse(created) > 0 ? ago(created) : "", cut, empty_layer ? "no" : "yes", shown(comment)]
    })
    print([table([["CREATED", "CREATED BY", "LAYER", "COMMENT"], ...rows])])
  }
  return 0
}
