/** toybox oci: the command line of an OCI runtime, as runc and crun have it. */
import { version } from "../../../package.json"
import { defaultRoot } from "../../container/oci/state.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { closest, type ParsedArgv, parseLeading } from "../argv.ts"
import type { OciContext } from "./context.ts"
import { openLog } from "./log.ts"
import { OCI_GLOBAL_OPTIONS } from "./options.ts"

type Command = (words: readonly string[], context: OciContext) => Promise<number>

const COMMANDS: Record<string, () => Promise<Command>> = {
  create: async () => (await import("./create.ts")).createCommand,
  delete: async () => (await import("./delete.ts")).deleteCommand,
  events: async () => (await import("./events.ts")).eventsCommand,
  exec: async () => (await import("./exec.ts")).execCommand,
  features: async () => (await import("./features.ts")).featuresCommand,
  kill: async () => (await import("./kill.ts")).killCommand,
  list: async () => (await import("./list.ts")).listCommand,
  pause: async () => (await import("./pause.ts")).pauseCommand,
  ps: async () => (await import("./ps.ts")).psCommand,
  resume: async () => (await import("./pause.ts")).resumeCommand,
  run: async () => (await import("./run.ts")).runCommand,
  spec: async () => (await import("./spec.ts")).specCommand,
  start: async () => (await import("./start.ts")).startCommand,
  state: async () => (await import("./state.ts")).stateCommand,
  update: async () => (await import("./update.ts")).updateCommand,
}

/** Exit codes of runc: 1 for its own failures, 255 where `exec` itself failed. */
const failureCode = (command: string) => (command === "exec" ? 255 : 1)

/** Runs an OCI command; failures go to the log as well as to standard error. */
export async function runOci(words: readonly string[]): Promise<number> {
  let argv: ParsedArgv
  try {
    argv = parseLeading(words, OCI_GLOBAL_OPTIONS)
  } catch (error) {
    // The log may be named all the same.
    openLog(named("--log", words), named("--log-format", words) === "json" ? "json" : "text", false).error(error)
    return failureCode("")
  }
  const { strings, booleans, rest } = argv
  const log = openLog(strings.get("log"), strings.get("log-format"), booleans.get("debug") ?? false)
  const [name, ...own] = rest
  if (booleans.get("version")) return printVersion()
  if (booleans.get("help") || name === undefined || name === "help")
    return (await import("./usage.ts")).printOciUsage(own[0])
  try {
    const manager = strings.get("cgroup-manager") ?? "cgroupfs"
    if (manager !== "cgroupfs" && manager !== "disabled" && manager !== "systemd") {
      throw new UsageError(`--cgroup-manager: "${manager}" is not known (use cgroupfs or disabled)`)
    }
    if (booleans.get("systemd-cgroup") || manager === "systemd") {
      throw new UsageError("--systemd-cgroup: toybox makes cgroups by itself, not through systemd", {
        hint: "use the cgroupfs driver of the engine",
      })
    }
    const root = strings.get("root") ?? defaultRoot()
    const command = await find(name)
    const context = { log, noCgroup: manager === "disabled" }
    return await command(own, { root: root.startsWith("/") ? root : `${process.cwd()}/${root}`, ...context })
  } catch (error) {
    log.error(error)
    return failureCode(name)
  }
}

/** The value of an option among words that cannot be parsed. */
function named(option: string, words: readonly string[]): string | undefined {
  const at = words.findIndex((word) => word === option || word.startsWith(`${option}=`))
  if (at < 0) return undefined
  return words[at] === option ? words[at + 1] : words[at]?.slice(option.length + 1)
}

async function find(name: string): Promise<Command> {
  if (name === "checkpoint" || name === "restore") throw new ToyboxError(`${name} is not supported: it needs CRIU`)
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (load) return load()
  const like = closest(name, Object.keys(COMMANDS))
  throw new UsageError(`"${name}" is not a command of toybox oci`, {
    hint: like ? `did you mean ${like}?` : "--help lists them",
  })
}

function printVersion(): number {
  // In runc's form, of which engines show the first line.
  print([`toybox-oci version ${version}`, "spec: 1.2.0"])
  return 0
}
