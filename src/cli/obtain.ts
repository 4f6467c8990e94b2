/** Images brought into the store, as a command line asks for it. */
import { ToyboxError } from "../errors.ts"
import { parsePlatform } from "../image/platform.ts"
import { loadSettings } from "../image/registry/settings.ts"
import type { PullPolicy } from "../image/source.ts"
import { type Pulled, pullImage } from "../image/store/pull.ts"
import { type ImageOrigin, remoteImage } from "../image/store/remote.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import type { ParsedArgv } from "./argv.ts"
import { absolute, type ImageName } from "./image.ts"

async function originOf(
  { source }: ImageName,
  argv: ParsedArgv,
  paths: Paths,
  signal: AbortSignal,
  quiet: boolean,
): Promise<ImageOrigin> {
  if (source.kind === "oci") {
    const { layoutImage } = await import("../image/store/layout.ts")
    return layoutImage(absolute(source.path), source.tag)
  }
  if (source.kind !== "registry") throw new ToyboxError("this is no image")
  return remoteImage(source.reference, {
    settings: loadSettings(paths.state),
    state: paths.state,
    wishes: { insecure: argv.booleans.get("insecure"), ca: argv.lists.get("ca") },
    signal,
    ...(quiet ? {} : { notice }),
  })
}

/** Brings an image into the store as `policy` has it. Throws ToyboxError. */
export async function obtainImage(
  image: ImageName,
  argv: ParsedArgv,
  paths: Paths,
  policy: PullPolicy,
  signal: AbortSignal,
): Promise<Pulled> {
  const quiet = argv.booleans.get("quiet") ?? false
  const platform = argv.strings.get("platform")
  const origin = await originOf(image, argv, paths, signal, quiet)
  const { name, shown } = image
  return pullImage(origin, {
    ...{ paths, name, shown, policy, quiet, signal },
    platform: platform === undefined ? null : parsePlatform(platform),
    notice: (text) => {
      if (!quiet) notice(text)
    },
  })
}
