import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox volume`. */
export const VOLUME_OPTIONS = {
  label: { type: "string", repeated: true, valueHint: "KEY=VALUE", description: "create: label" },
  driver: { type: "string", alias: "d", valueHint: "local", description: "create: there is no other" },
  opt: {
    type: "string",
    alias: "o",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "create: type, device and o, as mount(8) has them: another place, or file system, than its own",
  },
  all: { type: "boolean", alias: "a", description: "prune: also those with names" },
  force: {
    type: "boolean",
    alias: "f",
    description: "rm: what is not there is no error; prune: do not ask (ls -f is --filter, inspect -f --format)",
  },
  quiet: { type: "boolean", alias: "q", description: "ls: names only" },
  filter: {
    type: "string",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "ls, prune: by name, label or dangling; prune: also until, label!",
  },
  format: { type: "string", valueHint: "TEMPLATE", description: "ls, inspect: docker's columns and fields" },
  json: { type: "boolean", description: "ls: one JSON object a line" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
