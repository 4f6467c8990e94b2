import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox cache`. */
export const CACHE_OPTIONS = {
  json: { type: "boolean", description: "ls: one JSON object a line" },
  quiet: { type: "boolean", alias: "q", description: "ls: ids only" },
  "no-trunc": { type: "boolean", description: "ls: full ids" },
  force: { type: "boolean", alias: "f", description: "rm: what is not there is no error" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
