/** The options of `toybox run`: docker's names, and our short ones. */
import { EMPTY, type OptionDefinitions, ZERO } from "../argv.ts"
import { IMAGE_OPTIONS } from "../flags/image.ts"
import { LIMIT_OPTIONS } from "./limit-options.ts"
import { PROCESS_OPTIONS } from "./process-options.ts"

export const GLOBAL_OPTIONS = {
  root: { type: "string", valueHint: "DIR", description: "Keep all state under DIR (also: TOYBOX_ROOT)" },
  debug: { type: "boolean", description: "Show stack traces with errors" },
} as const satisfies OptionDefinitions

/** What may stand before a group's word, */
export const GROUP_OPTIONS = {
  ...GLOBAL_OPTIONS,
  help: { type: "boolean", alias: "h", description: "Show the commands" },
} as const satisfies OptionDefinitions

/** and before a command. */
export const LEADING_OPTIONS = {
  ...GROUP_OPTIONS,
  version: { type: "boolean", alias: "v", description: "Print the version" },
} as const satisfies OptionDefinitions

export const RUN_OPTIONS = {
  ...LIMIT_OPTIONS,
  // To update these lift a limit.
  cpus: { ...LIMIT_OPTIONS.cpus, unset: ZERO },
  "cpu-shares": { ...LIMIT_OPTIONS["cpu-shares"], unset: ZERO },
  cpuset: { ...LIMIT_OPTIONS.cpuset, unset: EMPTY },
  "cpuset-mems": { ...LIMIT_OPTIONS["cpuset-mems"], unset: EMPTY },
  mem: { ...LIMIT_OPTIONS.mem, unset: ZERO },
  "memory-reservation": { ...LIMIT_OPTIONS["memory-reservation"], unset: ZERO },
  "memory-swap": { ...LIMIT_OPTIONS["memory-swap"], unset: ZERO },
  "blkio-weight": { ...LIMIT_OPTIONS["blkio-weight"], unset: ZERO },
  "oom-kill-disable": { type: "boolean", description: "Out of memory, let it wait rather than kill (cgroup v1)" },
  "cgroup-parent": {
    type: "string",
    unset: EMPTY,
    valueHint: "PATH",
    description: "Cgroup to make the container's in",
  },
  "oom-score-adj": { type: "string", valueHint: "N", description: "Who the OOM killer prefers, -1000 to 1000" },
  ...PROCESS_OPTIONS,
  // Namespaces.
  hostname: { type: "string", unset: EMPTY, alias: "h", valueHint: "NAME", description: "Host name" },
  domainname: { type: "string", unset: EMPTY, valueHint: "NAME", description: "NIS domain name" },
  pid: { type: "string", unset: EMPTY, valueHint: "MODE", description: "private, host or container:ID" },
  ipc: { type: "string", unset: EMPTY, valueHint: "MODE", description: "private, host or container:ID" },
  uts: { type: "string", unset: EMPTY, valueHint: "MODE", description: "private, host or container:ID" },
  net: {
    type: "string",
    alias: "network",
    repeated: true,
    valueHint: "NETWORK",
    description: "bridge, none, host, container:ID, ns:PATH, a network, or name=NETWORK,ip=…,alias=… (default: bridge)",
  },
  ip: { type: "string", unset: EMPTY, valueHint: "ADDRESS", description: "IPv4 address in the network" },
  ip6: { type: "string", unset: EMPTY, valueHint: "ADDRESS", description: "IPv6 address in the network" },
  "mac-address": {
    type: "string",
    unset: EMPTY,
    alias: "mac",
    valueHint: "MAC",
    description: "Link address in the network",
  },
  "network-alias": {
    type: "string",
    alias: "net-alias",
    repeated: true,
    valueHint: "NAME",
    description: "Further name in the network",
  },
  publish: {
    type: "string",
    alias: "p",
    repeated: true,
    valueHint: "[IP:][HOST:]PORT[/PROTO]",
    description: "Port of the machine that leads to one of the container; ranges too",
  },
  "publish-all": { type: "boolean", alias: "P", description: "Publish all exposed ports, on free ports" },
  expose: { type: "string", repeated: true, valueHint: "PORT[/PROTO]", description: "Port that the container serves" },
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
  "no-hosts": { type: "boolean", description: "Leave the image's /etc/hosts as it is" },
  userns: {
    type: "string",
    unset: EMPTY,
    valueHint: "host",
    description: "The machine's user ids, which every container has",
  },
  cgroupns: { type: "string", unset: EMPTY, valueHint: "MODE", description: "private, host or container:ID" },
  time: { type: "string", valueHint: "MODE", description: "host, private or container:ID" },
  // Files.
  volume: {
    type: "string",
    alias: "v",
    repeated: true,
    valueHint: "[SRC:]DST[:ro]",
    description: "Bind mount of a path, or volume: by name, or one that goes with the container",
  },
  "volumes-from": {
    type: "string",
    repeated: true,
    valueHint: "CONTAINER[:ro]",
    description: "The volumes and bind mounts of another container",
  },
  mount: { type: "string", repeated: true, valueHint: "type=bind|volume|tmpfs,…", description: "Mount" },
  tmpfs: { type: "string", repeated: true, valueHint: "DST[:OPTIONS]", description: "Mount a tmpfs" },
  "read-only": { type: "boolean", description: "Mount the root read-only" },
  "shm-size": { type: "string", unset: ZERO, valueHint: "SIZE", description: "Size of /dev/shm (default: 64M)" },
  tz: {
    type: "string",
    valueHint: "ZONE|local",
    description: "Time zone, by this machine's file; local is this machine's own (default: the image's)",
  },
  // The root file system.
  checksum: {
    type: "string",
    valueHint: "sha256:HEX",
    description: "What an archive must have, or sha512:HEX; with it one that is in the cache is not asked for again",
  },
  pull: {
    type: "string",
    unset: EMPTY,
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
  name: { type: "string", unset: EMPTY, valueHint: "NAME", description: "Name of the container" },
  replace: { type: "boolean", description: "Remove the container that has the name of this one" },
  label: { type: "string", alias: "l", repeated: true, valueHint: "KEY=VALUE", description: "Label" },
  "label-file": { type: "string", repeated: true, valueHint: "FILE", description: "Labels, one a line" },
  annotation: {
    type: "string",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "Note for other programs, as the OCI specification has them",
  },
  detach: { type: "boolean", alias: "d", description: "Run in the background, and print the id" },
  restart: {
    type: "string",
    unset: EMPTY,
    valueHint: "no|on-failure[:N]|always|unless-stopped",
    description: "With --detach: when it is started again (default: no)",
  },
  "health-cmd": {
    type: "string",
    unset: EMPTY,
    valueHint: "COMMAND",
    description: "Run by /bin/sh in the container now and then; it is healthy while that exits with 0",
  },
  "health-interval": { type: "string", valueHint: "30s", description: "Time between two of these (default: 30s)" },
  "health-timeout": { type: "string", valueHint: "30s", description: "What takes longer has failed (default: 30s)" },
  "health-retries": { type: "string", valueHint: "N", description: "So many failures are unhealthy (default: 3)" },
  "health-start-period": {
    type: "string",
    valueHint: "0s",
    description: "So long failures do not count (default: 0s)",
  },
  "health-start-interval": {
    type: "string",
    valueHint: "5s",
    description: "Time between two in that (default: 5s, but no longer than the interval)",
  },
  "health-on-failure": {
    type: "string",
    unset: EMPTY,
    valueHint: "none|kill|restart|stop",
    description: "What is done to it when it becomes unhealthy; what kill ends, --restart starts again (default: none)",
  },
  "no-healthcheck": { type: "boolean", description: "Nor what the image asks for" },
  "log-driver": {
    type: "string",
    unset: EMPTY,
    valueHint: "k8s-file|none",
    description: "What keeps the output with --detach; json-file and local mean k8s-file",
  },
  "log-opt": {
    type: "string",
    repeated: true,
    valueHint: "max-size=SIZE|max-file=N",
    description: "How much is kept (default: max-size=10m, max-file=3)",
  },
  rm: { type: "boolean", description: "Remove the container when it ends" },
  rmi: { type: "boolean", description: "Remove it and, unless others are made of it, its image when it ends" },
  timeout: { type: "string", valueHint: "SECONDS", description: "Kill it when it has run for so long (exit code 255)" },
  pidfile: { type: "string", valueHint: "FILE", description: "Write the number of its first process to FILE" },
  "result-fd": { type: "string", valueHint: "N", description: "Write how it ended to this descriptor, as JSON" },
  cidfile: { type: "string", unset: EMPTY, valueHint: "FILE", description: "Write the id to FILE" },
  quiet: { type: "boolean", alias: "q", description: "No notices, no progress" },
  explain: {
    type: "string",
    optionalValue: true,
    valueHint: "shell|calls",
    description: "Print what would be done, and do nothing; --explain=calls: as system calls",
  },
  trace: { type: "boolean", description: "Print each call with its result and time" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
