/** Images brought into the store, as a command line asks for it. */
import { fileIdentity } from "../../ffi/file-identity.ts"
import { ToyboxError, UsageError } from "../errors.ts"
import { recordTransfer } from "../image/events.ts"
import { loadSettings } from "../image/registry/settings.ts"
import type { PullPolicy } from "../image/source.ts"
import { hasAllBlobs } from "../image/store/blobs.ts"
import { type Pulled, type PullOptions, pullImage, storedImage } from "../image/store/pull.ts"
import { type ImageOrigin, remoteImage } from "../image/store/remote.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import type { ParsedArgv } from "./argv.ts"
import { isInsecure, platformOption } from "./flags/remote.ts"
import { absolute, type ImageName } from "./image.ts"

/** What a command line says of how images are had. */
export function pullOptions(
  argv: ParsedArgv,
  paths: Paths,
  signal: AbortSignal,
): Pick<PullOptions, "paths" | "platform" | "keepBlobs" | "quiet" | "signal" | "notice"> {
  const quiet = argv.booleans.get("quiet") ?? false
  return {
    ...{ paths, quiet, signal },
    keepBlobs: argv.booleans.get("keep-blobs") ?? false,
    platform: platformOption(argv),
    notice: (text) => {
      if (!quiet) notice(text)
    },
  }
}

/** Does something with where the image is; files of it are open as long as that lasts. */
async function withOrigin<T>(
  { source, shown }: ImageName,
  argv: ParsedArgv,
  options: Pick<PullOptions, "paths" | "quiet" | "signal">,
  action: (origin: ImageOrigin) => Promise<T>,
): Promise<T> {
  const { paths, quiet, signal } = options
  switch (source.kind) {
    case "registry":
      return action(
        remoteImage(source.reference, {
          settings: loadSettings(paths.state),
          state: paths.state,
          wishes: { insecure: isInsecure(argv), ca: argv.lists.get("ca") },
          signal,
          ...(quiet ? {} : { notice }),
        }),
      )
    case "stored":
      throw new ToyboxError(`${shown} is the id of an image that is here`, { hint: "by its name it can be pulled" })
    case "oci": {
      const { directoryFiles, taggedImage } = await import("../image/store/layout.ts")
      return action(taggedImage(directoryFiles(absolute(source.path)), source.tag))
    }
    case "oci-archive":
    case "docker-archive": {
      const { openImageArchive } = await import("../image/saved/open.ts")
      const { files, close } = await openImageArchive(absolute(source.path), { paths, signal })
      try {
        if (source.kind === "oci-archive") {
          const { taggedImage } = await import("../image/store/layout.ts")
          return await action(taggedImage(files, source.tag))
        }
        const { namedDockerImage } = await import("../image/saved/content.ts")
        return await action(namedDockerImage(files, source.reference))
      } finally {
        close()
      }
    }
    default:
      throw new ToyboxError("this is no image")
  }
}

/** Brings an image into the store as `policy` has it. Throws ToyboxError. */
export async function obtainImage(
  image: ImageName,
  argv: ParsedArgv,
  paths: Paths,
  policy: PullPolicy,
  signal: AbortSignal,
): Promise<Pulled> {
  const { name, shown, source } = image
  const isFile = source.kind === "oci-archive" || source.kind === "docker-archive"
  const identity = isFile ? (fileIdentity(absolute(source.path)) ?? undefined) : undefined
  const options = { ...pullOptions(argv, paths, signal), name, shown, policy, identity }
  // The same file says the same: it is not read again.
  const known = identity === undefined ? null : storedImage(options)
  const isSame = known !== null && known.record.identity === identity
  if (isSame && (!options.keepBlobs || hasAllBlobs(paths, known.record))) return { ...known, fresh: true }
  return withOrigin(image, argv, options, async (origin) => {
    const pulled = await pullImage(origin, options)
    if (!pulled.fresh) recordTransfer(paths, "pull", shown)
    return pulled
  })
}

/** The tags that a registry has of the image's repository. Throws UsageError where it is in none. */
export function registryTags(image: ImageName, argv: ParsedArgv, paths: Paths, signal: AbortSignal): Promise<string[]> {
  const quiet = argv.booleans.get("quiet") ?? false
  return withOrigin(image, argv, { paths, quiet, signal }, ({ tags }) => {
    if (tags === undefined) throw new UsageError(`${image.shown} is in no registry, and has no other tags`)
    return tags()
  })
}
