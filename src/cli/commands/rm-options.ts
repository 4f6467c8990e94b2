import type { OptionDefinitions } from "../argv.ts"
import { CIDFILE, FILTER, LATEST } from "./choice-options.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox rm`. */
export const RM_OPTIONS = {
  force: { type: "boolean", alias: "f", description: "Kill a container that runs" },
  all: { type: "boolean", alias: "a", description: "All that have ended (with --force: all)" },
  ...LATEST,
  filter: { ...FILTER.filter, alias: [] },
  ...CIDFILE,
  time: {
    type: "string",
    alias: "t",
    valueHint: "SECONDS",
    description: "With --force: its stop signal first, and so long to end by itself",
  },
  volumes: { type: "boolean", alias: "v", description: "Its volumes that have no names, too" },
  "if-exists": { type: "boolean", alias: ["i", "ignore"], description: "One that is not there is no error" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
