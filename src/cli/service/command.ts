/** The command lines of a service that runs a container: made anew at each start, as it was made the first time. */

import type { StoredRequest } from "../../container/stored-request.ts"
import { DEFAULT_NETWORK } from "../../network/default.ts"
import { parseLeading } from "../argv.ts"
import { LIMIT_OPTIONS } from "../commands/limit-options.ts"
import { RUN_OPTIONS } from "../commands/run-options.ts"
import { isProxyVariable } from "../flags/process.ts"
import { parseRestartPolicy } from "../flags/restart.ts"
import { limitOptions } from "./limits.ts"

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
  /** One after the other before the first of the others. */
  before: string[][]
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
  const remove = command("rm", "--force", "--if-exists", name)
  const { booleans } = parseLeading(run, RUN_OPTIONS)
  // A service has no terminal, and no input but an end: with a supervisor of its own there is one to attach to.
  const attachable = booleans.get("tty") || booleans.get("interactive")
  return {
    before: attachable ? [remove, command("create", "--rm", `--name=${name}`, ...run)] : [remove],
    remove,
    run: attachable ? command("start", "--attach", name) : command("run", "--rm", `--name=${name}`, ...run),
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
  "rmi",
  "attach",
  "sig-proxy",
  "preserve-fds",
  "detach",
  "cidfile",
  "result-fd",
  "trace",
  "quiet",
  "replace",
  "root",
  "debug",
  // Their variables are spelled out.
  "env-host",
  "http-proxy",
])

/** What a service keeps of a container: its command line, and what has not come from that. */
export type Kept = Pick<StoredRequest, "requested" | "networks" | "process"> & { words: readonly string[] }

/** The network of one that did not ask for any: TOYBOX_NETWORK of its caller may have told. */
function networkOf({ networks, process }: Kept): string | null {
  if (process.namespaces.network?.mode === "host") return "host"
  const [first] = networks
  if (first === undefined) return "none"
  return first.network === DEFAULT_NETWORK ? null : first.network
}

/** A variable that is named only has had a value then. */
const withValue = (entry: string, { process }: Kept) =>
  entry.includes("=") ? [entry] : process.env.filter((one) => one.startsWith(`${entry}=`))

/** What a container has of its caller's variables by --env-host and --http-proxy: who starts the service has others. */
const ofCaller = (booleans: ReadonlyMap<string, boolean>, { process }: Kept): string[] =>
  booleans.get("env-host")
    ? [...process.env]
    : booleans.get("http-proxy")
      ? process.env.filter((entry) => isProxyVariable(entry.split("=", 1)[0] ?? ""))
      : []

/** The words of a `run` that makes the container as it is now, without what a service sees to itself. */
export function serviceWords(kept: Kept): string[] {
  const { strings, lists, booleans, rest } = parseLeading(kept.words, RUN_OPTIONS)
  const network = strings.has("net") || lists.has("net") ? null : networkOf(kept)
  const options = [
    ...ofCaller(booleans, kept).map((entry) => ["env", `=${entry}`] as const),
    ...[...booleans].map(([name, value]) => [name, value ? "" : "=false"] as const),
    ...[...strings].map(([name, value]) => [name, `=${value}`] as const),
    ...[...lists].flatMap(([name, values]) =>
      (name === "env" ? values.flatMap((value) => withValue(value, kept)) : values).map(
        (value) => [name, `=${value}`] as const,
      ),
    ),
  ].filter(([name]) => !DROPPED.has(name) && !Object.hasOwn(LIMIT_OPTIONS, name))
  const own = [...limitOptions(kept.requested), ...(network === null ? [] : [["net", network] as const])]
  return [
    ...own.map(([name, value]) => `--${name}=${value}`),
    ...options.map(([name, value]) => `--${name}${value}`),
    ...(rest[0]?.startsWith("-") ? ["--"] : []),
    ...rest,
  ]
}
