/** The command lines of a service that runs a container: made anew at each start, as it was made the first time. */
import { parseLeading } from "../argv.ts"
import { RUN_OPTIONS } from "../commands/run-options.ts"
import { parseRestartPolicy } from "../flags/restart.ts"

export interface Service {
  name: string
  /** Of toybox: an absolute path. */
  executable: string
  /** Options that all of its commands need. */
  global: readonly string[]
  /** What comes after `toybox run`: the options with long names, the root and the command. */
  run: readonly string[]
  /** In which `run` is to be understood (absolute path). */
  directory: string
  /** Seconds from the stop signal to SIGKILL. */
  stopSeconds: number
  stopSignal: number
  restart: Restart
}

/** The command lines that a service is made of. */
export interface ServiceCommands {
  remove: string[]
  /** To stay with it, or to leave it in the background. */
  run: string[]
  runDetached: string[]
  stop: string[]
  /** Prints "true" while it runs. */
  isRunning: string[]
}

export function commandsOf({ name, executable, global, run, stopSeconds }: Service): ServiceCommands {
  const command = (word: string, ...words: readonly string[]) => [executable, word, ...global, ...words]
  return {
    remove: command("rm", "--force", "--if-exists", name),
    run: command("run", "--rm", `--name=${name}`, ...run),
    runDetached: command("run", "--detach", `--name=${name}`, ...run),
    stop: command("stop", `--time=${stopSeconds}`, name),
    isRunning: command("inspect", "--type=container", "--format={{.State.Running}}", name),
  }
}

/** docker's words for it. */
export interface Restart {
  when: "no" | "on-failure" | "always"
  /** Of on-failure: so often; null for any number. */
  most: number | null
}

/** Reads docker's restart policies, for a service. Throws UsageError. */
export function parseRestart(option: string, text: string): Restart {
  const policy = parseRestartPolicy(option, text)
  if (policy === undefined) return { when: "no", most: null }
  // Who stops a service has stopped it.
  return policy.name === "on-failure" ? { when: policy.name, most: policy.most } : { when: "always", most: null }
}

// What is the service's, or of one run only.
const DROPPED = new Set([
  "restart",
  "name",
  "rm",
  "detach",
  "tty",
  "interactive",
  "cidfile",
  "result-fd",
  "trace",
  "root",
  "restart",
])

/** The words of a `run` without what a service sees to itself. */
export function serviceWords(words: readonly string[]): string[] {
  const { strings, lists, booleans, rest } = parseLeading(words, RUN_OPTIONS)
  const options = [
    ...[...booleans].map(([name, value]) => [name, value ? "" : "=false"] as const),
    ...[...strings].map(([name, value]) => [name, `=${value}`] as const),
    ...[...lists].flatMap(([name, values]) => values.map((value) => [name, `=${value}`] as const)),
  ]
  const kept = options.filter(([name]) => !DROPPED.has(name)).map(([name, value]) => `--${name}${value}`)
  return [...kept, ...(rest[0]?.startsWith("-") ? ["--"] : []), ...rest]
}
