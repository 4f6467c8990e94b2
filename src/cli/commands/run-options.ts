/** The options of `toybox run`: docker's names, and our short ones. */
import type { OptionDefinitions } from "../argv.ts"
import { IMAGE_OPTIONS } from "../flags/image.ts"

export const GLOBAL_OPTIONS = {
  root: { type: "string", valueHint: "DIR", description: "Keep all state under DIR (also: TOYBOX_ROOT)" },
  debug: { type: "boolean", description: "Show stack traces with errors" },
} as const satisfies OptionDefinitions

export const RUN_OPTIONS = {
  // Limits.
  cpu: { type: "string", valueHint: "10%|100m|0.1|2", description: "CPU time, of one processor" },
  cpus: { type: "string", valueHint: "N", description: "CPU time, in processors" },
  "cpu-shares": { type: "string", alias: "c", valueHint: "N", description: "Relative CPU share, 2 to 262144" },
  "cpu-weight": { type: "string", valueHint: "N", description: "Relative CPU weight, 1 to 10000" },
  cpuset: { type: "string", alias: "cpuset-cpus", valueHint: "0-3", description: "Processors to run on" },
  "cpuset-mems": { type: "string", valueHint: "0", description: "Memory nodes to use" },
  mem: { type: "string", alias: ["m", "memory"], valueHint: "500M", description: "Memory limit" },
  "memory-reservation": { type: "string", valueHint: "SIZE", description: "Soft memory limit" },
  swap: { type: "string", valueHint: "SIZE", description: "Swap on top of the memory (default: none)" },
  "memory-swap": { type: "string", valueHint: "SIZE", description: "Memory and swap together, as docker counts" },
  pids: {
    type: "string",
    alias: "pids-limit",
    valueHint: "N",
    description: "Most processes and threads (default: 4096)",
  },
  "io-weight": { type: "string", valueHint: "N", description: "Relative I/O weight, 1 to 10000" },
  "blkio-weight": { type: "string", valueHint: "N", description: "Relative I/O weight, 10 to 1000, as docker counts" },
  "device-read-bps": {
    type: "string",
    repeated: true,
    valueHint: "DEV:RATE",
    description: "Read rate, bytes per second",
  },
  "device-write-bps": {
    type: "string",
    repeated: true,
    valueHint: "DEV:RATE",
    description: "Write rate, bytes per second",
  },
  "device-read-iops": { type: "string", repeated: true, valueHint: "DEV:RATE", description: "Reads per second" },
  "device-write-iops": { type: "string", repeated: true, valueHint: "DEV:RATE", description: "Writes per second" },
  "cgroup-parent": { type: "string", valueHint: "PATH", description: "Cgroup to make the container's in" },
  "oom-score-adj": { type: "string", valueHint: "N", description: "Who the OOM killer prefers, -1000 to 1000" },
  // The process.
  env: { type: "string", alias: "e", repeated: true, valueHint: "NAME[=VALUE]", description: "Environment variable" },
  "env-file": { type: "string", repeated: true, valueHint: "FILE", description: "Environment variables, one a line" },
  user: { type: "string", alias: "u", valueHint: "USER[:GROUP]", description: "Name or id to run as" },
  "group-add": { type: "string", repeated: true, valueHint: "GROUP", description: "Further supplementary group" },
  workdir: { type: "string", alias: "w", valueHint: "DIR", description: "Working directory" },
  entrypoint: { type: "string", valueHint: "COMMAND", description: "Command to run, before the arguments" },
  ulimit: {
    type: "string",
    repeated: true,
    valueHint: "NAME=SOFT[:HARD]",
    description: "Resource limit, e.g. nofile=1024:4096",
  },
  "stop-signal": { type: "string", valueHint: "SIGNAL", description: "Signal that stops the command" },
  init: { type: "boolean", description: "Put an init before the command, to reap and to pass signals on" },
  tty: { type: "boolean", alias: "t", description: "Give the command a terminal" },
  interactive: { type: "boolean", alias: "i", description: "Pass standard input on" },
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
    description: "no-new-privileges[=true|false], seccomp=FILE|unconfined",
  },
  privileged: { type: "boolean", description: "All capabilities, devices and paths of the host" },
  device: { type: "string", repeated: true, valueHint: "SRC[:DST[:rwm]]", description: "Device of the host" },
  sysctl: {
    type: "string",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "Kernel setting of the container's namespaces",
  },
  // Namespaces.
  hostname: { type: "string", alias: "h", valueHint: "NAME", description: "Host name" },
  domainname: { type: "string", valueHint: "NAME", description: "NIS domain name" },
  pid: { type: "string", valueHint: "MODE", description: "private, host or container:ID" },
  ipc: { type: "string", valueHint: "MODE", description: "private, host or container:ID" },
  uts: { type: "string", valueHint: "MODE", description: "private, host or container:ID" },
  net: { type: "string", alias: "network", valueHint: "MODE", description: "none, host or container:ID" },
  dns: { type: "string", repeated: true, valueHint: "ADDRESS", description: "Name server, instead of the host's" },
  "dns-search": {
    type: "string",
    repeated: true,
    valueHint: "DOMAIN",
    description: "Search domain, instead of the host's; . for none",
  },
  "dns-opt": {
    type: "string",
    alias: "dns-option",
    repeated: true,
    valueHint: "OPTION",
    description: "Option of resolv.conf, instead of the host's",
  },
  "add-host": {
    type: "string",
    repeated: true,
    valueHint: "NAME:ADDRESS",
    description: "Line of /etc/hosts; the address may be host-gateway",
  },
  cgroupns: { type: "string", valueHint: "MODE", description: "private, host or container:ID" },
  time: { type: "string", valueHint: "MODE", description: "host, private or container:ID" },
  // Files.
  volume: { type: "string", alias: "v", repeated: true, valueHint: "SRC:DST[:ro]", description: "Bind mount" },
  mount: { type: "string", repeated: true, valueHint: "type=bind|tmpfs,…", description: "Mount" },
  tmpfs: { type: "string", repeated: true, valueHint: "DST[:OPTIONS]", description: "Mount a tmpfs" },
  "read-only": { type: "boolean", description: "Mount the root read-only" },
  "shm-size": { type: "string", valueHint: "SIZE", description: "Size of /dev/shm (default: 64M)" },
  // The root file system.
  checksum: {
    type: "string",
    valueHint: "sha256:HEX",
    description: "What an archive must have, or sha512:HEX; with it one that is in the cache is not asked for again",
  },
  pull: {
    type: "string",
    valueHint: "always|newer|missing|never",
    description: "When a registry or an address is asked (default: missing for images, newer for addresses)",
  },
  ...IMAGE_OPTIONS,
  ca: {
    type: "string",
    repeated: true,
    valueHint: "FILE",
    description: "Certificates (PEM) to trust besides the usual",
  },
  // The container.
  name: { type: "string", valueHint: "NAME", description: "Name of the container" },
  label: { type: "string", alias: "l", repeated: true, valueHint: "KEY=VALUE", description: "Label" },
  detach: { type: "boolean", alias: "d", description: "Run in the background, and print the id" },
  rm: { type: "boolean", description: "Remove the container when it ends" },
  cidfile: { type: "string", valueHint: "FILE", description: "Write the id to FILE" },
  quiet: { type: "boolean", alias: "q", description: "No notices, no progress" },
  explain: {
    type: "string",
    optionalValue: true,
    valueHint: "shell|calls",
    description: "Print what would be done, and do nothing",
  },
  trace: { type: "boolean", description: "Print each call with its result and time" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
