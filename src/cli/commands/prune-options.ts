import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox prune`. */
export const PRUNE_OPTIONS = {
  all: {
    type: "boolean",
    alias: "a",
    description: "Also images with names that no container stands on, and what archives were unpacked to",
  },
  only: {
    type: "string",
    repeated: true,
    valueHint: "KIND",
    description: "Only containers, networks, images, volumes or cache",
  },
  volumes: { type: "boolean", description: "Also volumes without names that no container has" },
  filter: {
    type: "string",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "Only what is older than until=TIME|24h, has label=KEY[=VALUE], or has not (label!=KEY[=VALUE])",
  },
  force: { type: "boolean", alias: "f", description: "Do not ask" },
  json: { type: "boolean", description: "One JSON object" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions

/** The options of `toybox df`. */
export const DF_OPTIONS = {
  verbose: { type: "boolean", alias: "v", description: "One line for each image, container and layer" },
  format: {
    type: "string",
    valueHint: "TEMPLATE",
    description: "Docker's columns: '{{.Type}} {{.Reclaimable}}', 'table {{.Type}}\\t{{.Size}}', json",
  },
  json: { type: "boolean", description: "One JSON object a line" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
