/** toybox oci features. */
import { features } from "../../container/oci/features.ts"
import { print } from "../../log.ts"
import { parseArgv } from "../argv.ts"
import type { OciContext } from "./context.ts"
import { PLAIN_OPTIONS } from "./options.ts"

export async function featuresCommand(words: readonly string[], _: OciContext): Promise<number> {
  const { booleans } = parseArgv(words, PLAIN_OPTIONS)
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("features")
  print([JSON.stringify(features(), null, 2)])
  return 0
}
