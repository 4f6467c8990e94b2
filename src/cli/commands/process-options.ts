/** The options of `run` that are about its process, and what that may do. */
import { EMPTY, type OptionDefinitions } from "../argv.ts"

export const PROCESS_OPTIONS = {
  // The process.
  env: { type: "string", alias: "e", repeated: true, valueHint: "NAME[=VALUE]", description: "Environment variable" },
  "env-file": { type: "string", repeated: true, valueHint: "FILE", description: "Environment variables, one a line" },
  "env-host": { type: "boolean", description: "All environment variables of the caller, below those of the image" },
  "http-proxy": { type: "boolean", description: "Those of the caller that name proxies (default: false)" },
  unsetenv: {
    type: "string",
    repeated: true,
    valueHint: "NAME",
    description: "Leave out a variable of the image's or of toybox's own",
  },
  "unsetenv-all": { type: "boolean", description: "Leave out all of these but HOSTNAME and HOME" },
  user: { type: "string", unset: EMPTY, alias: "u", valueHint: "USER[:GROUP]", description: "Name or id to run as" },
  "group-add": { type: "string", repeated: true, valueHint: "GROUP", description: "Further supplementary group" },
  workdir: { type: "string", unset: EMPTY, alias: "w", valueHint: "DIR", description: "Working directory" },
  umask: { type: "string", valueHint: "0022", description: "File mode bits that the command does not give" },
  entrypoint: { type: "string", valueHint: "COMMAND", description: "Command to run, before the arguments" },
  ulimit: {
    type: "string",
    repeated: true,
    valueHint: "NAME=SOFT[:HARD]",
    description: "Resource limit, e.g. nofile=1024:4096",
  },
  "stop-signal": { type: "string", unset: EMPTY, valueHint: "SIGNAL", description: "Signal that stops the command" },
  "stop-timeout": {
    type: "string",
    valueHint: "SECONDS",
    description: "Kill it so long after that signal (default: 10; -1: never)",
  },
  init: { type: "boolean", description: "Put an init before the command, to reap and to pass signals on" },
  tty: { type: "boolean", alias: "t", description: "Give the command a terminal" },
  interactive: { type: "boolean", alias: "i", description: "Pass standard input on" },
  attach: {
    type: "string",
    alias: "a",
    repeated: true,
    valueHint: "STREAM",
    description: "Only stdin, stdout or stderr of the command is the caller's",
  },
  "sig-proxy": {
    type: "boolean",
    description: "Pass signals on; if not, it goes on without this toybox (default: true)",
  },
  "preserve-fds": { type: "string", valueHint: "N", description: "Pass N descriptors of the caller on, from 3" },
  "detach-keys": {
    type: "string",
    valueHint: "KEYS",
    description: "Keys reserved for detaching (default: ctrl-p,ctrl-q)",
  },
  // Security.
  "cap-add": { type: "string", repeated: true, valueHint: "CAP", description: "Add a capability, or ALL" },
  "cap-drop": { type: "string", repeated: true, valueHint: "CAP", description: "Drop a capability, or ALL" },
  "security-opt": {
    type: "string",
    repeated: true,
    valueHint: "OPTION",
    description:
      "no-new-privileges[=true|false], seccomp=FILE|unconfined; label=disable and apparmor=unconfined are so anyway",
  },
  privileged: { type: "boolean", description: "All capabilities, devices and paths of the host" },
  device: { type: "string", repeated: true, valueHint: "SRC[:DST[:rwm]]", description: "Device of the host" },
  "device-cgroup-rule": {
    type: "string",
    repeated: true,
    valueHint: "'c 42:* rwm'",
    description: "Devices that may be used, by type, major and minor number",
  },
  sysctl: {
    type: "string",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "Kernel setting of the container's namespaces",
  },
} as const satisfies OptionDefinitions
