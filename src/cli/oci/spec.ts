/** toybox oci spec. */
import { close, createExclusive, writeAll } from "../../../ffi/fs.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { bundleSpec } from "../../spec/bundle.ts"
import { parseArgv } from "../argv.ts"
import type { OciContext } from "./context.ts"
import { SPEC_OPTIONS } from "./options.ts"

export async function specCommand(words: readonly string[], _: OciContext): Promise<number> {
  const { strings, booleans, rest } = parseArgv(words, SPEC_OPTIONS)
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("spec")
  if (rest.length > 0) throw new UsageError(`spec takes no arguments, but got "${rest[0]}"`)
  if (booleans.get("rootless")) throw new UsageError("--rootless: running as an ordinary user is not supported")
  const path = `${strings.get("bundle") ?? "."}/config.json`
  const fd = createExclusive(path, 0o644)
  if (fd === null) throw new ToyboxError(`${path} exists`, { hint: "remove it first" })
  try {
    writeAll(fd, new TextEncoder().encode(`${JSON.stringify(bundleSpec(), null, 2)}\n`))
  } finally {
    close(fd)
  }
  return 0
}
