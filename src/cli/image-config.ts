/** What an image's config asks for → a run request, as docker combines them: config.md, "Conversion to runtime-spec". */
import { windowSize } from "../../ffi/tty.ts"
import { ToyboxError } from "../errors.ts"
import type { StoredImage } from "../image/store/open.ts"
import { parseExposed } from "../network/ports.ts"
import type { Mount } from "../oci/runtime.ts"
import type { Paths } from "../paths.ts"
import type { ParsedArgv } from "./argv.ts"
import { normalPath } from "./flags/path.ts"
import { refusedVolume } from "./flags/places.ts"
import { callerVariables, imageVariables, signalNumber } from "./flags/process.ts"
import { detachKeysOf, type RunCommandRequest, readHealthOptions, supervised, wantsTerminal } from "./request.ts"

/** --entrypoint takes the place of the image's, and of its command; words on the command line that of the command alone. */
function commandOf(given: string | undefined, words: readonly string[], image: StoredImage) {
  const { Entrypoint, Cmd } = image.config.config
  // An empty one clears the image's.
  if (given !== undefined) return { entrypoint: given === "" ? [] : [given], command: words }
  return { entrypoint: Entrypoint, command: words.length > 0 ? words : Cmd }
}

const withProtocol = (port: string) => (port.includes("/") ? port : `${port}/tcp`)

/** The mounts, and where none is at the place of a volume of the image, one of a volume without a name. */
async function withVolumes(
  request: RunCommandRequest,
  places: readonly string[],
  paths: Paths,
): Promise<readonly Mount[]> {
  const { mounts } = request.process
  const missing = [...new Set(places.map((place) => normalPath(`/${place}`)))].filter(
    (place) => place !== "/" && mounts.every(({ destination }) => destination !== place),
  )
  if (missing.length === 0) return mounts
  for (const place of missing) {
    const why = refusedVolume(place)
    if (why !== null) throw new ToyboxError(`the image has a volume at ${place}: ${why}`)
  }
  const { settleVolumes } = await import("./flags/volumes.ts")
  const wanted = missing.map((destination) => ({ destination, type: "volume", source: "", options: ["rbind"] }))
  const own = settleVolumes(paths, wanted)
  request.volumes = [...request.volumes, ...own.volumes]
  return [...mounts, ...own.mounts]
}

/** Lays what the command line asks for over what the image does. Throws ToyboxError where there is no command. */
export async function applyImage(
  request: RunCommandRequest,
  image: StoredImage,
  argv: ParsedArgv,
  paths: Paths,
): Promise<void> {
  const { config } = image.config
  const { strings } = argv
  const { entrypoint, command } = commandOf(strings.get("entrypoint"), argv.rest.slice(1), image)
  const args = [...entrypoint, ...command]
  if (args.length === 0 || args[0] === "")
    throw new ToyboxError(`${request.image} does not say what to run`, { hint: "give a command after its name" })
  const [top, ...below] = image.roots
  if (top === undefined) throw new ToyboxError(`${request.image} has no layers: there is nothing to run in it`)
  request.imageId = image.record.id
  if (argv.booleans.get("rmi")) request.removedImage = image.record.name
  request.entrypoint = entrypoint.length
  request.lower = top
  request.below = below
  const { process } = request
  const { terminal, interactive } = wantsTerminal(argv, args)
  const size = terminal ? (windowSize(1) ?? windowSize(0)) : null
  request.interactive = interactive
  if (config.StopSignal !== undefined && !strings.has("stop-signal"))
    request.stopSignal = signalNumber(`the stop signal of ${request.image}`, config.StopSignal)
  request.detachKeys = detachKeysOf(argv, terminal)
  request.detached = supervised(argv, { terminal, interactive }, request.detachKeys, request.wishes)
  // The image's own wish alone brings no supervisor to the foreground.
  if (request.detached && config.Healthcheck) {
    const { health: _, ...others } = request.detached
    request.detached = { ...others, ...(await readHealthOptions(argv, config.Healthcheck)) }
  }
  request.exposed = [...new Set([...request.exposed, ...config.ExposedPorts.map(withProtocol)])]
  // -P is known of only now.
  if (request.ports?.all) {
    const own = config.ExposedPorts.map((text) => parseExposed(`the ports of ${request.image}`, text))
    request.ports = { ...request.ports, exposed: [...request.ports.exposed, ...own] }
  }
  const mounts = await withVolumes(request, config.Volumes, paths)
  // The first of those that the request has (flags/rare.ts).
  const caller = callerVariables(argv)
  request.process = {
    ...process,
    mounts,
    args,
    env: [...caller, ...imageVariables(config.Env, argv), ...process.env.slice(caller.length)],
    user: strings.get("user") ?? (config.User || "0"),
    ...(strings.has("user") ? {} : { userOf: `the user of ${request.image}` }),
    workdir: strings.has("workdir") ? process.workdir : normalPath(`/${config.WorkingDir}`),
    terminal,
    ...(size ? { consoleSize: size } : {}),
    labels: { ...config.Labels, ...process.labels },
  }
}
