import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox network`. */
export const NETWORK_OPTIONS = {
  subnet: {
    type: "string",
    repeated: true,
    valueHint: "CIDR",
    description: "create: the network's addresses, IPv4 and IPv6 (default: free ones)",
  },
  gateway: {
    type: "string",
    repeated: true,
    valueHint: "ADDRESS",
    description: "create: this machine's address in it (default: the first)",
  },
  "ip-range": { type: "string", valueHint: "CIDR", description: "create: the part that addresses are given from" },
  internal: { type: "boolean", description: "create: without a way out" },
  isolate: { type: "boolean", description: "create: its containers do not reach one another" },
  ipv6: { type: "boolean", description: "create: with IPv6 (default: if this machine has it)" },
  driver: { type: "string", alias: "d", valueHint: "bridge", description: "create: there is no other" },
  opt: {
    type: "string",
    alias: "o",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "create: mtu, enable_ip_masquerade or enable_icc, also by docker's long names",
  },
  label: { type: "string", repeated: true, valueHint: "KEY=VALUE", description: "create: label" },
  ip: { type: "string", valueHint: "ADDRESS", description: "connect: IPv4 address in the network" },
  ip6: { type: "string", valueHint: "ADDRESS", description: "connect: IPv6 address in the network" },
  "mac-address": { type: "string", alias: "mac", valueHint: "MAC", description: "connect: link address" },
  alias: { type: "string", repeated: true, valueHint: "NAME", description: "connect: further name in the network" },
  force: { type: "boolean", alias: "f", description: "rm, disconnect: what is not there is no error" },
  quiet: { type: "boolean", alias: "q", description: "ls: ids only" },
  "no-trunc": { type: "boolean", description: "ls: full ids" },
  filter: {
    type: "string",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "ls: by name, id, label or dangling",
  },
  json: { type: "boolean", description: "ls: one JSON object a line" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
