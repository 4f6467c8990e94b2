/** Dispatch by the first word, and the only exit; prints one error, in two lines. */
import { errorChain, errorHint, ToyboxError } from "./errors.ts"

/** Called through a link of one of these names, toybox is an OCI runtime. */
const OCI_NAMES = new Set(["toybox-oci", "runc", "crun"])
const calledAs = () => process.argv0.slice(process.argv0.lastIndexOf("/") + 1)

async function dispatch(words: readonly string[]): Promise<number> {
  for (const word of words) if (word.includes("\uFFFD")) (await import("./cli/utf8.ts")).checkArguments()
  if (process.env.TOYBOX_ROOT?.includes("\uFFFD")) (await import("./cli/utf8.ts")).variableOf("TOYBOX_ROOT", {})
  if (OCI_NAMES.has(calledAs())) return (await import("./cli/oci/index.ts")).runOci(words)
  // The hot path imports nothing that it does not use; citty, which knows all commands, comes with the others.
  if (words[0] === "run") {
    const { runCommand } = await import("./cli/commands/run.ts")
    return runCommand(words.slice(1))
  }
  if (words[0] === "exec") return (await import("./cli/commands/exec.ts")).execCommand(words.slice(1))
  if (words[0] === "oci") return (await import("./cli/oci/index.ts")).runOci(words.slice(1))
  if (words[0] === "supervise") return (await import("./cli/commands/supervise.ts")).superviseCommand(words.slice(1))
  if (words[0] === "forward") return (await import("./cli/commands/forward.ts")).forwardCommand(words.slice(1))
  if (words[0] === "unpack-layer") return (await import("./image/layer/apart.ts")).unpackLayerCommand(words.slice(1))
  const { runOther } = await import("./cli/index.ts")
  return runOther(words)
}

const words = process.argv.slice(2)
try {
  process.exitCode = await dispatch(words)
} catch (error) {
  const { notice } = await import("./log.ts")
  notice(errorChain(error))
  const hint = errorHint(error)
  if (hint) notice(`hint: ${hint}`)
  if (words.includes("--debug") && error instanceof Error) notice(error.stack ?? "")
  process.exitCode = error instanceof ToyboxError ? error.exitCode : 125
}
process.exit()
