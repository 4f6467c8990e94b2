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
  ipv4: { type: "boolean", description: "create: with IPv4, as all are" },
  driver: { type: "string", alias: "d", valueHint: "bridge", description: "create: there is no other" },
  "ipam-driver": { type: "string", valueHint: "default", description: "create: there is no other" },
  "aux-address": {
    type: "string",
    repeated: true,
    valueHint: "NAME=ADDRESS",
    description: "create: one that no container is given",
  },
  scope: { type: "string", valueHint: "local", description: "create: there is no other" },
  attachable: { type: "boolean", description: "create: containers can join, as in all networks" },
  opt: {
    type: "string",
    alias: "o",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "create: mtu, enable_ip_masquerade, enable_icc, host_binding_ipv4, com.docker.network.bridge.name",
  },
  label: { type: "string", repeated: true, valueHint: "KEY=VALUE", description: "create: label" },
  ip: { type: "string", valueHint: "ADDRESS", description: "connect: IPv4 address in the network" },
  ip6: { type: "string", valueHint: "ADDRESS", description: "connect: IPv6 address in the network" },
  "mac-address": { type: "string", alias: "mac", valueHint: "MAC", description: "connect: link address" },
  alias: { type: "string", repeated: true, valueHint: "NAME", description: "connect: further name in the network" },
  force: {
    type: "boolean",
    alias: "f",
    description: "rm, disconnect: what is not there is no error (ls -f is --filter, inspect -f --format)",
  },
  quiet: { type: "boolean", alias: "q", description: "ls: ids only" },
  "no-trunc": { type: "boolean", description: "ls: full ids" },
  filter: {
    type: "string",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "ls: by name, id, driver, type, scope, label or dangling; prune: until, label, label!",
  },
  format: { type: "string", valueHint: "TEMPLATE", description: "ls, inspect: docker's columns and fields" },
  json: { type: "boolean", description: "ls: one JSON object a line" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
