/** The options of the OCI commands: runc's, with those of crun that engines use. */
import type { OptionDefinitions } from "../argv.ts"

export const OCI_GLOBAL_OPTIONS = {
  root: { type: "string", valueHint: "DIR", description: "Where the containers are kept" },
  log: { type: "string", valueHint: "FILE", description: "Append failures to FILE" },
  "log-format": { type: "string", valueHint: "text|json", description: "What the log looks like" },
  "log-level": { type: "string", valueHint: "LEVEL", description: "Accepted for the sake of engines" },
  debug: { type: "boolean", description: "Show stack traces with errors" },
  "systemd-cgroup": { type: "boolean", description: "Not supported: refused" },
  "cgroup-manager": { type: "string", valueHint: "cgroupfs|disabled", description: "Who makes the cgroups" },
  rootless: { type: "string", valueHint: "auto|true|false", description: "Accepted for the sake of engines" },
  criu: { type: "string", valueHint: "FILE", description: "Accepted for the sake of engines" },
  version: { type: "boolean", alias: "v", description: "Print the version" },
  help: { type: "boolean", alias: "h", description: "Show this text" },
} as const satisfies OptionDefinitions

const HELP = { help: { type: "boolean", alias: "h", description: "Show this text" } } as const

export const CREATE_OPTIONS = {
  bundle: { type: "string", alias: "b", valueHint: "DIR", description: "The bundle (default: the current directory)" },
  config: { type: "string", alias: "f", valueHint: "FILE", description: "Its configuration, instead of config.json" },
  "console-socket": { type: "string", valueHint: "SOCKET", description: "Where the terminal's master is sent" },
  "pid-file": { type: "string", valueHint: "FILE", description: "Write the process's number to FILE" },
  "preserve-fds": { type: "string", valueHint: "N", description: "Pass N descriptors after standard error on" },
  "no-pivot": { type: "boolean", description: "Move the root instead of pivoting, for a ramfs" },
  "no-new-keyring": { type: "boolean", description: "Keep the session keyring of the caller" },
  "no-subreaper": { type: "boolean", description: "Accepted for the sake of engines" },
  ...HELP,
} as const satisfies OptionDefinitions

export const RUN_OPTIONS = {
  detach: { type: "boolean", alias: "d", description: "Return once it runs" },
  keep: { type: "boolean", description: "Do not delete it when it has ended" },
  ...CREATE_OPTIONS,
} as const satisfies OptionDefinitions

const REGEX = {
  regex: { type: "boolean", alias: "r", description: "The id is a regular expression: all that match" },
} as const

export const DELETE_OPTIONS = {
  force: { type: "boolean", alias: "f", description: "Kill it first; none is no error" },
  ...REGEX,
  ...HELP,
} as const satisfies OptionDefinitions

export const KILL_OPTIONS = {
  all: { type: "boolean", alias: "a", description: "Every process of the container" },
  ...REGEX,
  ...HELP,
} as const satisfies OptionDefinitions

export const EXEC_OPTIONS = {
  process: { type: "string", alias: "p", valueHint: "FILE", description: "The process to run, as JSON" },
  cwd: { type: "string", valueHint: "DIR", description: "Its working directory" },
  env: { type: "string", alias: "e", repeated: true, valueHint: "NAME=VALUE", description: "Add to its environment" },
  tty: { type: "boolean", alias: "t", description: "Give it a terminal" },
  user: { type: "string", alias: "u", valueHint: "UID[:GID]", description: "Its user" },
  "additional-gids": { type: "string", alias: "g", repeated: true, valueHint: "GID", description: "One more group" },
  detach: { type: "boolean", alias: "d", description: "Return once it runs" },
  "pid-file": { type: "string", valueHint: "FILE", description: "Write its number to FILE" },
  "console-socket": { type: "string", valueHint: "SOCKET", description: "Where the terminal's master is sent" },
  "process-label": { type: "string", valueHint: "LABEL", description: "Its SELinux label" },
  apparmor: { type: "string", valueHint: "PROFILE", description: "Its AppArmor profile" },
  "no-new-privs": { type: "boolean", description: "Set no_new_privs" },
  cap: { type: "string", alias: "c", repeated: true, valueHint: "NAME", description: "One more capability" },
  "preserve-fds": { type: "string", valueHint: "N", description: "Pass N descriptors after standard error on" },
  cgroup: { type: "string", valueHint: "PATH", description: "A cgroup below the container's that is there" },
  "ignore-paused": { type: "boolean", description: "In a paused container wait until it is resumed" },
  "no-subreaper": { type: "boolean", description: "Accepted for the sake of engines" },
  ...HELP,
} as const satisfies OptionDefinitions

export const UPDATE_OPTIONS = {
  resources: { type: "string", alias: "r", valueHint: "FILE|-", description: "linux.resources, as JSON" },
  "blkio-weight": { type: "string", valueHint: "N", description: "Relative weight of I/O, 10 to 1000" },
  "cpu-period": { type: "string", valueHint: "MICROSECONDS", description: "Period of the CPU quota" },
  "cpu-quota": { type: "string", valueHint: "MICROSECONDS", description: "CPU time in a period" },
  "cpu-burst": { type: "string", valueHint: "MICROSECONDS", description: "CPU time saved up at most" },
  "cpu-rt-period": { type: "string", valueHint: "MICROSECONDS", description: "Period of realtime CPU time" },
  "cpu-rt-runtime": { type: "string", valueHint: "MICROSECONDS", description: "Realtime CPU time in a period" },
  "cpu-share": { type: "string", valueHint: "N", description: "Relative CPU share, 2 to 262144" },
  "cpu-idle": { type: "string", valueHint: "0|1", description: "Run only when nothing else does" },
  "cpuset-cpus": { type: "string", valueHint: "0-3", description: "Processors to run on" },
  "cpuset-mems": { type: "string", valueHint: "0", description: "Memory nodes to use" },
  memory: { type: "string", valueHint: "SIZE", description: "Memory limit" },
  "memory-reservation": { type: "string", valueHint: "SIZE", description: "Soft memory limit" },
  "memory-swap": { type: "string", valueHint: "SIZE", description: "Memory and swap together" },
  "kernel-memory": { type: "string", valueHint: "SIZE", description: "Accepted for the sake of engines" },
  "kernel-memory-tcp": { type: "string", valueHint: "SIZE", description: "Accepted for the sake of engines" },
  "pids-limit": { type: "string", valueHint: "N", description: "Most processes and threads" },
  "l3-cache-schema": { type: "string", valueHint: "SCHEMA", description: "Not supported: refused" },
  "mem-bw-schema": { type: "string", valueHint: "SCHEMA", description: "Not supported: refused" },
  ...HELP,
} as const satisfies OptionDefinitions

export const EVENTS_OPTIONS = {
  interval: { type: "string", valueHint: "5s", description: "Time between two reports" },
  stats: { type: "boolean", description: "One report, now" },
  ...HELP,
} as const satisfies OptionDefinitions

export const PS_OPTIONS = {
  format: { type: "string", alias: "f", valueHint: "table|json", description: "What the list looks like" },
  ...HELP,
} as const satisfies OptionDefinitions

export const LIST_OPTIONS = {
  ...PS_OPTIONS,
  quiet: { type: "boolean", alias: "q", description: "Ids only" },
} as const satisfies OptionDefinitions

export const SPEC_OPTIONS = {
  bundle: { type: "string", alias: "b", valueHint: "DIR", description: "Where to write config.json" },
  rootless: { type: "boolean", description: "Not supported: refused" },
  ...HELP,
} as const satisfies OptionDefinitions

export const PLAIN_OPTIONS = HELP satisfies OptionDefinitions
