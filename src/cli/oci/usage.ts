/** The OCI commands as citty knows them, and their usage texts. */
import { type CommandDef, defineCommand } from "citty"
import { print } from "../../log.ts"
import type { OptionDefinitions } from "../argv.ts"
import { args } from "../usage.ts"
import { usageText } from "../usage-text.ts"
import * as options from "./options.ts"

const ID = { container: { type: "positional", required: true, description: "The container's id" } } as const
const command = (name: string, description: string, definitions: OptionDefinitions, positional = {}): CommandDef =>
  defineCommand({ meta: { name, description }, args: args(definitions, positional) })

const COMMANDS: Record<string, CommandDef> = {
  create: command("create", "Make a container that waits for its start", options.CREATE_OPTIONS, ID),
  start: command("start", "Start a created container", options.PLAIN_OPTIONS, ID),
  state: command("state", "Print the state of a container", options.PLAIN_OPTIONS, ID),
  kill: command("kill", "Send a signal to a container", options.KILL_OPTIONS, {
    ...ID,
    signal: { type: "positional", required: false, description: "Name or number (default: TERM)" },
  }),
  delete: command("delete", "Remove a container", options.DELETE_OPTIONS, ID),
  run: command("run", "Create, start, wait for and delete a container", options.RUN_OPTIONS, ID),
  exec: command("exec", "Run another process in a container", options.EXEC_OPTIONS, {
    ...ID,
    command: { type: "positional", required: false, description: "Command and its arguments" },
  }),
  pause: command("pause", "Stop the processes of a container where they are", options.PLAIN_OPTIONS, ID),
  resume: command("resume", "Let the processes of a container go on", options.PLAIN_OPTIONS, ID),
  ps: command("ps", "List the processes of a container", options.PS_OPTIONS, ID),
  list: command("list", "List the containers", options.LIST_OPTIONS),
  update: command("update", "Change the limits of a container", options.UPDATE_OPTIONS, ID),
  events: command(
    "events",
    "Tell how much a container uses, and when it runs out of memory",
    options.EVENTS_OPTIONS,
    ID,
  ),
  features: command("features", "Tell what this runtime can do, as JSON", options.PLAIN_OPTIONS),
  spec: command("spec", "Write a config.json to begin with", options.SPEC_OPTIONS),
}

const MAIN = defineCommand({
  meta: { name: "toybox oci", description: "An OCI runtime with the command line of runc" },
  args: args(options.OCI_GLOBAL_OPTIONS),
  subCommands: COMMANDS,
})

/** Prints the usage of an OCI command, or of all of them. */
export async function printOciUsage(name?: string): Promise<number> {
  const command = name === undefined ? undefined : COMMANDS[name]
  print([usageText(command ?? MAIN, MAIN)])
  return 0
}
