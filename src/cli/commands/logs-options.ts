import type { OptionDefinitions } from "../argv.ts"
import { LATEST } from "./choice-options.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox logs`: docker's. */
export const LOGS_OPTIONS = {
  follow: { type: "boolean", alias: "f", description: "Go on until the container ends" },
  ...LATEST,
  timestamps: { type: "boolean", alias: "t", description: "Show times" },
  details: { type: "boolean", description: "Also what --log-opt has asked for with it: there is nothing of the kind" },
  since: { type: "string", valueHint: "TIME|10m", description: "From this time on, or from so long ago" },
  until: { type: "string", valueHint: "TIME|10m", description: "Up to this time, or to so long ago" },
  tail: { type: "string", alias: "n", valueHint: "N|all", description: "The last lines only" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
