/** `run` of an image: it is pulled if need be, and its config completes the request. */
import { ToyboxError } from "../errors.ts"
import { openImage } from "../image/store/open.ts"
import type { Paths } from "../paths.ts"
import type { ParsedArgv } from "./argv.ts"
import { pullPolicy } from "./flags/image.ts"
import { imageName, storedName } from "./image.ts"
import { applyImage } from "./image-config.ts"
import type { RunCommandRequest } from "./request.ts"
import { untilSignal } from "./unpack.ts"

const nameOf = (argv: ParsedArgv, paths: Paths) => {
  const image = imageName(argv.rest[0] ?? "", paths)
  if (image === null) throw new ToyboxError(`${argv.rest[0]} is no image`)
  return image
}

/** Completes a request that is only explained: nothing is fetched. Throws ToyboxError where the image is not here. */
export async function applyStored(request: RunCommandRequest, argv: ParsedArgv, paths: Paths): Promise<void> {
  const image = nameOf(argv, paths)
  const stored = openImage(paths, storedName(image, paths))
  if (stored === null)
    throw new ToyboxError(`${image.shown} is not here, and so its config is not known`, {
      hint: `toybox pull ${image.shown}`,
    })
  await applyImage(request, stored, argv, paths)
}

/** Completes a request; the image is pulled as --pull has it. `signalFd` is of takeSignals. Throws ToyboxError. */
export async function applyObtained(
  request: RunCommandRequest,
  argv: ParsedArgv,
  paths: Paths,
  signalFd: number,
): Promise<void> {
  const image = nameOf(argv, paths)
  // What is on this disk costs little to be looked at, and is meant as it is now.
  const isElsewhere = image.source.kind === "registry" || image.source.kind === "stored"
  const policy = pullPolicy(argv.strings.get("pull"), isElsewhere ? "missing" : "newer")
  const asked = ["platform", "arch", "variant", "os"].some((name) => argv.strings.has(name))
  // What is there and will do costs no look at how registries are spoken to.
  const there =
    asked || (policy !== "missing" && policy !== "never") ? null : openImage(paths, storedName(image, paths))
  const stored =
    there ??
    (await untilSignal(image.shown, signalFd, async (signal) => {
      const { obtainImage } = await import("./obtain.ts")
      return obtainImage(image, argv, paths, policy, signal)
    }))
  await applyImage(request, stored, argv, paths)
}
