/** toybox attach. */
import { attach } from "../../container/attach.ts"
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "../../container/detach-keys.ts"
import { takeSignals } from "../../container/supervise.ts"
import { UsageError } from "../../errors.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { withLatest } from "../chosen.ts"
import { ATTACH_OPTIONS } from "./attach-options.ts"

/** Returns the container's exit code, or 0 when the keys for detaching are typed. */
export async function attachCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, ATTACH_OPTIONS)
  const { booleans, strings } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("attach")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const [container, superfluous] = withLatest(paths, argv).rest
  if (container === undefined || superfluous !== undefined)
    throw new UsageError("attach needs one container's name or id", { hint: "toybox ps lists them" })
  const options = {
    input: !booleans.get("no-stdin"),
    inputEnd: false,
    sigProxy: booleans.get("sig-proxy") ?? true,
    detachKeys: parseDetachKeys(strings.get("detach-keys") ?? DEFAULT_DETACH_KEYS),
  }
  return attach(paths, container, options, takeSignals())
}
