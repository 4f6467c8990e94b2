/** toybox exec. */
import { exec } from "../../container/exec.ts"
import { takeSignals } from "../../container/supervise.ts"
import { UsageError } from "../../errors.ts"
import { pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { environment } from "../flags/process.ts"
import { workingDirectory } from "../request.ts"
import { EXEC_OPTIONS } from "./exec-options.ts"

/** Runs the command; returns its exit code. */
export async function execCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, EXEC_OPTIONS)
  const { booleans, strings, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("exec")
  const [container, ...args] = rest
  if (container === undefined)
    throw new UsageError("exec needs a container's name or id", { hint: "toybox ps lists them" })
  if (args.length === 0) throw new UsageError("exec needs a command to run in the container")
  const workdir = strings.get("workdir")
  const signalFd = takeSignals()
  return exec(
    pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT),
    container,
    {
      args,
      env: environment(argv),
      user: strings.get("user"),
      workdir: workdir === undefined ? undefined : workingDirectory(workdir),
      privileged: booleans.get("privileged") ?? false,
      terminal: booleans.get("tty") ?? false,
      interactive: booleans.get("interactive") ?? false,
    },
    signalFd,
  )
}
