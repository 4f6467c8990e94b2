/** The commands as citty knows them: names, descriptions, options; and their usage texts. */
import { type ArgsDef, type CommandDef, defineCommand } from "citty"
import { version } from "../../package.json"
import { print } from "../log.ts"
import type { OptionDefinitions } from "./argv.ts"
import { LOAD_OPTIONS, PUSH_OPTIONS, SAVE_OPTIONS, TAG_OPTIONS } from "./commands/archive-options.ts"
import { ATTACH_OPTIONS } from "./commands/attach-options.ts"
import { CACHE_OPTIONS } from "./commands/cache-options.ts"
import { COPY_OPTIONS } from "./commands/copy-options.ts"
import { DOCTOR_OPTIONS } from "./commands/doctor-options.ts"
import { EVENTS_OPTIONS } from "./commands/events-options.ts"
import { EXEC_OPTIONS } from "./commands/exec-options.ts"
import { EXPORT_OPTIONS } from "./commands/export-options.ts"
import { GENERATE_OPTIONS } from "./commands/generate-options.ts"
import { IMAGES_OPTIONS, PULL_OPTIONS, RMI_OPTIONS } from "./commands/images-options.ts"
import { INFO_OPTIONS, VERSION_OPTIONS } from "./commands/info-options.ts"
import { HISTORY_OPTIONS, INSPECT_OPTIONS } from "./commands/inspect-options.ts"
import { LOGIN_OPTIONS, LOGOUT_OPTIONS } from "./commands/login-options.ts"
import { LOGS_OPTIONS } from "./commands/logs-options.ts"
import { COMMIT_OPTIONS, IMPORT_OPTIONS } from "./commands/make-options.ts"
import { NETWORK_OPTIONS } from "./commands/network-options.ts"
import { DIFF_OPTIONS, PORT_OPTIONS, STATS_OPTIONS, TOP_OPTIONS, WHY_OPTIONS } from "./commands/observe-options.ts"
import { DF_OPTIONS, PRUNE_OPTIONS } from "./commands/prune-options.ts"
import { PS_OPTIONS } from "./commands/ps-options.ts"
import { RM_OPTIONS } from "./commands/rm-options.ts"
import { RUN_OPTIONS } from "./commands/run-options.ts"
import { CREATE_OPTIONS, START_OPTIONS } from "./commands/start-options.ts"
import {
  KILL_OPTIONS,
  PAUSE_OPTIONS,
  PLAIN_OPTIONS,
  RESTART_OPTIONS,
  STOP_OPTIONS,
  WAIT_OPTIONS,
} from "./commands/stop-options.ts"
import { UPDATE_OPTIONS } from "./commands/update-options.ts"
import { VOLUME_OPTIONS } from "./commands/volume-options.ts"
import { EXAMPLES } from "./examples.ts"
import { GROUP_NAMES, groupUsage } from "./groups.ts"
import { section, title, usageText } from "./usage-text.ts"

export const args = (definitions: OptionDefinitions, positional: ArgsDef = {}): ArgsDef => ({
  ...positional,
  ...Object.fromEntries(
    Object.entries(definitions).map(([name, { type, description, alias, valueHint }]) => [
      name,
      {
        type,
        description,
        ...(valueHint ? { valueHint } : {}),
        ...(alias ? { alias: typeof alias === "string" ? alias : [...alias] } : {}),
      },
    ]),
  ),
})

const ofContainer = (name: string, description: string, definitions: OptionDefinitions): CommandDef =>
  defineCommand({
    meta: { name, description },
    args: args(definitions, { container: { type: "positional", required: true, description: "Name or id" } }),
  })

const ROOT_AND_COMMAND = {
  rootfs: {
    type: "positional",
    required: false,
    description: "Directory, archive or address of a root file system, or base (the default)",
  },
  command: { type: "positional", required: false, description: "Command and its arguments (default: /bin/sh)" },
} as const

/** By name, in the order they are shown in. */
export const COMMANDS: Record<string, CommandDef> = {
  run: defineCommand({
    meta: { name: "run", description: "Run a command in a new container" },
    args: args(RUN_OPTIONS, ROOT_AND_COMMAND),
  }),
  exec: defineCommand({
    meta: { name: "exec", description: "Run a command in a running container" },
    args: args(EXEC_OPTIONS, {
      container: { type: "positional", required: true, description: "Name or id" },
      command: { type: "positional", required: true, description: "Command and its arguments" },
    }),
  }),
  attach: ofContainer("attach", "Be at the terminal, or the output and input, of a detached container", ATTACH_OPTIONS),
  logs: ofContainer("logs", "Show what a detached container has written", LOGS_OPTIONS),
  events: defineCommand({
    meta: { name: "events", description: "Show what happens to containers, images, volumes and networks" },
    args: args(EVENTS_OPTIONS),
  }),
  ps: defineCommand({ meta: { name: "ps", description: "List containers" }, args: args(PS_OPTIONS) }),
  top: defineCommand({
    meta: { name: "top", description: "Show the processes of a container" },
    args: args(TOP_OPTIONS, {
      container: { type: "positional", required: true, description: "Name or id" },
      options: { type: "positional", required: false, description: "Of ps: -ef (the default), aux, -o pid,user,args" },
    }),
  }),
  port: defineCommand({
    meta: { name: "port", description: "Show where the ports of a container are reached" },
    args: args(PORT_OPTIONS, {
      container: { type: "positional", required: true, description: "Name or id" },
      port: { type: "positional", required: false, description: "Of the container: 80, 53/udp (default: all)" },
    }),
  }),
  cp: defineCommand({
    meta: { name: "cp", description: "Copy files between a container and this machine" },
    args: args(COPY_OPTIONS, {
      source: { type: "positional", required: true, description: "CONTAINER:PATH, PATH, or - for a tar archive" },
      destination: { type: "positional", required: true, description: "The same, one of the two in a container" },
    }),
  }),
  diff: ofContainer("diff", "Show what a container added, changed and deleted", DIFF_OPTIONS),
  why: ofContainer("why", "Show why a container ended, and what it used", WHY_OPTIONS),
  stats: defineCommand({
    meta: { name: "stats", description: "Show what running containers use" },
    args: args(STATS_OPTIONS, {
      container: { type: "positional", required: false, description: "Names or ids (default: all)" },
    }),
  }),
  rm: ofContainer("rm", "Remove containers", RM_OPTIONS),
  create: defineCommand({
    meta: { name: "create", description: "Make a container, to be started later" },
    args: args(CREATE_OPTIONS, ROOT_AND_COMMAND),
  }),
  start: ofContainer("start", "Start containers that do not run", START_OPTIONS),
  restart: ofContainer("restart", "End containers, and start them again", RESTART_OPTIONS),
  rename: defineCommand({
    meta: { name: "rename", description: "Give a container another name" },
    args: args(PLAIN_OPTIONS, {
      container: { type: "positional", required: true, description: "Name or id" },
      name: { type: "positional", required: true, description: "The new name" },
    }),
  }),
  update: ofContainer("update", "Give containers other limits, now and for later", UPDATE_OPTIONS),
  stop: ofContainer("stop", "End containers: their stop signal, then SIGKILL", STOP_OPTIONS),
  kill: ofContainer("kill", "Send a signal to containers", KILL_OPTIONS),
  wait: ofContainer("wait", "Wait until containers end, and print their exit codes", WAIT_OPTIONS),
  pause: ofContainer("pause", "Stop all processes of containers where they are", PAUSE_OPTIONS),
  unpause: ofContainer("unpause", "Let paused containers go on", PAUSE_OPTIONS),
  cache: defineCommand({
    meta: { name: "cache", description: "List or remove what archives and addresses were unpacked to" },
    args: args(CACHE_OPTIONS, {
      action: { type: "positional", required: true, description: "ls, rm or prune" },
      reference: { type: "positional", required: false, description: "rm: id, address or path" },
    }),
  }),
  network: defineCommand({
    meta: { name: "network", description: "Make, list, show or remove networks of containers" },
    args: args(NETWORK_OPTIONS, {
      action: {
        type: "positional",
        required: true,
        description: "create, ls, inspect, rm, prune, connect, disconnect or reload",
      },
      network: { type: "positional", required: false, description: "Name, or beginning of the id" },
      container: { type: "positional", required: false, description: "connect, disconnect: name or id" },
    }),
  }),
  volume: defineCommand({
    meta: { name: "volume", description: "Make, list, show or remove volumes" },
    args: args(VOLUME_OPTIONS, {
      action: { type: "positional", required: true, description: "create, ls, inspect, rm or prune" },
      volume: { type: "positional", required: false, description: "Name" },
    }),
  }),
  pull: defineCommand({
    meta: { name: "pull", description: "Bring images here, or up to date" },
    args: args(PULL_OPTIONS, {
      image: { type: "positional", required: true, description: "[HOST/]NAME[:TAG][@DIGEST], or several of these" },
    }),
  }),
  load: defineCommand({
    meta: { name: "load", description: "Bring the images of an archive here" },
    args: args(LOAD_OPTIONS),
  }),
  save: defineCommand({
    meta: { name: "save", description: "Write images to an archive" },
    args: args(SAVE_OPTIONS, {
      image: { type: "positional", required: true, description: "Names or ids" },
    }),
  }),
  import: defineCommand({
    meta: { name: "import", description: "Make an image of an archive of a root file system" },
    args: args(IMPORT_OPTIONS, {
      archive: { type: "positional", required: true, description: "File, address, or - for standard input" },
      name: { type: "positional", required: false, description: "[HOST/]NAME[:TAG]" },
    }),
  }),
  commit: defineCommand({
    meta: { name: "commit", description: "Make an image of a container" },
    args: args(COMMIT_OPTIONS, {
      container: { type: "positional", required: true, description: "Name or id" },
      name: { type: "positional", required: false, description: "[HOST/]NAME[:TAG]" },
    }),
  }),
  export: ofContainer("export", "Write a container's root file system to an archive", EXPORT_OPTIONS),
  tag: defineCommand({
    meta: { name: "tag", description: "Give an image a further name" },
    args: args(TAG_OPTIONS, {
      image: { type: "positional", required: true, description: "Name or id" },
      name: { type: "positional", required: true, description: "[HOST/]NAME[:TAG]" },
    }),
  }),
  push: defineCommand({
    meta: { name: "push", description: "Bring an image to a registry" },
    args: args(PUSH_OPTIONS, {
      image: { type: "positional", required: true, description: "Name or id" },
      destination: { type: "positional", required: false, description: "[HOST/]NAME[:TAG] (default: its own name)" },
    }),
  }),
  images: defineCommand({ meta: { name: "images", description: "List images" }, args: args(IMAGES_OPTIONS) }),
  inspect: defineCommand({
    meta: { name: "inspect", description: "Show all that is known of containers and images, as JSON" },
    args: args(INSPECT_OPTIONS, { what: { type: "positional", required: true, description: "Names or ids" } }),
  }),
  history: defineCommand({
    meta: { name: "history", description: "Show how an image was made" },
    args: args(HISTORY_OPTIONS, { image: { type: "positional", required: true, description: "Name or id" } }),
  }),
  rmi: defineCommand({
    meta: { name: "rmi", description: "Remove images" },
    args: args(RMI_OPTIONS, { image: { type: "positional", required: false, description: "Name or id" } }),
  }),
  df: defineCommand({ meta: { name: "df", description: "Show what takes room on the disk" }, args: args(DF_OPTIONS) }),
  prune: defineCommand({
    meta: { name: "prune", description: "Remove what is not used: containers, networks, images" },
    args: args(PRUNE_OPTIONS),
  }),
  login: defineCommand({
    meta: { name: "login", description: "Keep a password for a registry" },
    args: args(LOGIN_OPTIONS, {
      registry: { type: "positional", required: false, description: "HOST[:PORT] (default: docker.io)" },
    }),
  }),
  logout: defineCommand({
    meta: { name: "logout", description: "Forget the password for a registry" },
    args: args(LOGOUT_OPTIONS, {
      registry: { type: "positional", required: false, description: "HOST[:PORT] (default: docker.io)" },
    }),
  }),
  generate: defineCommand({
    meta: { name: "generate", description: "Print a service of the machine that runs containers" },
    args: args(GENERATE_OPTIONS, {
      kind: { type: "positional", required: true, description: "systemd or openrc" },
      container: { type: "positional", required: false, description: "Name or id; none: all with a restart policy" },
    }),
  }),
  doctor: defineCommand({
    meta: { name: "doctor", description: "Show what this machine has and lacks for containers" },
    args: args(DOCTOR_OPTIONS),
  }),
  completion: defineCommand({
    meta: { name: "completion", description: "Print what completes command lines in a shell" },
    args: args({}, { shell: { type: "positional", required: true, description: "bash, zsh or fish" } }),
  }),
  info: defineCommand({
    meta: { name: "info", description: "Show what toybox keeps here, and what it runs on" },
    args: args(INFO_OPTIONS),
  }),
  version: defineCommand({ meta: { name: "version", description: "Print the version" }, args: args(VERSION_OPTIONS) }),
}

export const MAIN = defineCommand({
  meta: { name: "toybox", version, description: "Run containers without a daemon" },
  subCommands: COMMANDS,
})

export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS)

/** Whose last word may be several. */
const SEVERAL =
  "run create exec start restart update stop kill wait pause unpause rm stats top inspect save rmi cache network volume"

/** Prints the usage of a command, of a group of them, or of toybox. */
export async function printUsage(name?: string): Promise<number> {
  const group = name === undefined ? null : groupUsage(name)
  if (group !== null) {
    print([group])
    return 0
  }
  const command = name === undefined ? undefined : COMMANDS[name]
  if (command === undefined || name === undefined) {
    const others = section("BESIDE THESE", [
      [GROUP_NAMES.join(", "), "Docker's words for these, each with its --help"],
      ["oci", "The command line of runc, for the engines above it"],
    ])
    print([[usageText(MAIN, MAIN), ...others].join("\n\n"), ""])
    return 0
  }
  const examples = (EXAMPLES[name] ?? []).map((line) => `  ${line}`).join("\n")
  print([
    [
      usageText(command, MAIN, SEVERAL.split(" ").includes(name)),
      ...(examples ? [title("EXAMPLES"), examples] : []),
    ].join("\n\n"),
    "",
  ])
  return 0
}
