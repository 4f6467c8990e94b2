/** Every command, each loaded when it is called. */
import { UsageError } from "../errors.ts"
import { closest, parseLeading } from "./argv.ts"
import { LEADING_OPTIONS } from "./commands/run-options.ts"

const COMMANDS: Record<string, (words: readonly string[]) => Promise<number>> = {
  run: async (words) => (await import("./commands/run.ts")).runCommand(words),
  exec: async (words) => (await import("./commands/exec.ts")).execCommand(words),
  "check-health": async (words) => (await import("./commands/check-health.ts")).checkHealthCommand(words),
  "exec-detached": async (words) => (await import("./commands/exec.ts")).detachedExecCommand(words),
  "exec-held": async (words) => (await import("./commands/exec.ts")).heldExecCommand(words),
  oci: async (words) => (await import("./oci/index.ts")).runOci(words),
  login: async (words) => (await import("./commands/login.ts")).loginCommand(words),
  logout: async (words) => (await import("./commands/login.ts")).logoutCommand(words),
  create: async (words) => (await import("./commands/start.ts")).createCommand(words),
  start: async (words) => (await import("./commands/start.ts")).startCommand(words),
  restart: async (words) => (await import("./commands/start.ts")).restartCommand(words),
  rename: async (words) => (await import("./commands/start.ts")).renameCommand(words),
  attach: async (words) => (await import("./commands/attach.ts")).attachCommand(words),
  events: async (words) => (await import("./commands/events.ts")).eventsCommand(words),
  logs: async (words) => (await import("./commands/logs.ts")).logsCommand(words),
  ps: async (words) => (await import("./commands/ps.ts")).psCommand(words),
  top: async (words) => (await import("./commands/top.ts")).topCommand(words),
  port: async (words) => (await import("./commands/port.ts")).portCommand(words),
  cp: async (words) => (await import("./commands/copy.ts")).copyCommand(words),
  diff: async (words) => (await import("./commands/diff.ts")).diffCommand(words),
  stats: async (words) => (await import("./commands/stats.ts")).statsCommand(words),
  why: async (words) => (await import("./commands/why.ts")).whyCommand(words),
  generate: async (words) => (await import("./commands/generate.ts")).generateCommand(words),
  doctor: async (words) => (await import("./commands/doctor.ts")).doctorCommand(words),
  completion: async (words) => (await import("./commands/completion.ts")).completionCommand(words),
  update: async (words) => (await import("./commands/update.ts")).updateCommand(words),
  import: async (words) => (await import("./commands/import.ts")).importCommand(words),
  commit: async (words) => (await import("./commands/commit.ts")).commitCommand(words),
  volume: async (words) => (await import("./commands/volume.ts")).volumeCommand(words),
  df: async (words) => (await import("./commands/df.ts")).dfCommand(words),
  prune: async (words) => (await import("./commands/prune.ts")).pruneCommand(words),
  rm: async (words) => (await import("./commands/rm.ts")).rmCommand(words),
  stop: async (words) => (await import("./commands/stop.ts")).stopCommand(words),
  kill: async (words) => (await import("./commands/stop.ts")).killCommand(words),
  wait: async (words) => (await import("./commands/stop.ts")).waitCommand(words),
  pause: async (words) => (await import("./commands/stop.ts")).pauseCommand(words, true),
  unpause: async (words) => (await import("./commands/stop.ts")).pauseCommand(words, false),
  cache: async (words) => (await import("./commands/cache.ts")).cacheCommand(words),
  network: async (words) => (await import("./commands/network.ts")).networkCommand(words),
  pull: async (words) => (await import("./commands/pull.ts")).pullCommand(words),
  load: async (words) => (await import("./commands/load.ts")).loadCommand(words),
  save: async (words) => (await import("./commands/save.ts")).saveCommand(words),
  export: async (words) => (await import("./commands/export.ts")).exportCommand(words),
  tag: async (words) => (await import("./commands/tag.ts")).tagCommand(words),
  push: async (words) => (await import("./commands/push.ts")).pushCommand(words),
  images: async (words) => (await import("./commands/images.ts")).imagesCommand(words),
  rmi: async (words) => (await import("./commands/images.ts")).rmiCommand(words),
  inspect: async (words) => (await import("./commands/inspect.ts")).inspectCommand(words),
  history: async (words) => (await import("./commands/history.ts")).historyCommand(words),
  info: async (words) => (await import("./commands/info.ts")).infoCommand(words),
  version: async (words) => (await import("./commands/info.ts")).versionCommand(words),
}

/** Runs the command that the first word names; options of every command may stand before it. Throws UsageError. */
export async function runOther(words: readonly string[]): Promise<number> {
  const { booleans, rest: named } = parseLeading(words, LEADING_OPTIONS)
  const [name, ...own] = named
  if (booleans.get("version")) return COMMANDS.version?.([]) ?? 0
  if (name === undefined || name === "help" || booleans.get("help")) return showHelp(name === "help" ? own : named)
  const before = words.slice(0, words.length - named.length).filter((word) => word !== "--")
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!command) {
    const meant = (await import("./groups.ts")).spelledOut(name, own)
    if (meant !== null) return runOther([...before, ...meant])
    throw unknown(name, Object.keys(COMMANDS))
  }
  return command([...before, ...own])
}

/** Prints the usage of the command that the words name, or of toybox. Throws UsageError. */
async function showHelp([name, ...own]: readonly string[]): Promise<number> {
  if (name === "oci") return (await import("./oci/usage.ts")).printOciUsage(own[0])
  const { COMMAND_NAMES, printUsage } = await import("./usage.ts")
  const { GROUP_NAMES } = await import("./groups.ts")
  const known = [...COMMAND_NAMES, ...GROUP_NAMES]
  if (name !== undefined && !known.includes(name)) throw unknown(name, known)
  return printUsage(name)
}

function unknown(name: string, known: readonly string[]): UsageError {
  const like = closest(name, known)
  return new UsageError(`"${name}" is not a command of toybox`, {
    hint: like ? `did you mean toybox ${like}?` : "toybox --help lists them",
  })
}
