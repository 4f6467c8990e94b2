import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox rm`. */
export const RM_OPTIONS = {
  force: { type: "boolean", alias: "f", description: "Kill a container that runs" },
  all: { type: "boolean", alias: "a", description: "All that have ended (with --force: all)" },
  volumes: { type: "boolean", alias: "v", description: "Its volumes that have no names, too" },
  "if-exists": { type: "boolean", description: "One that is not there is no error" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
