import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox export`. */
export const EXPORT_OPTIONS = {
  output: { type: "string", alias: "o", valueHint: "FILE", description: "The archive (default: standard output)" },
  quiet: { type: "boolean", alias: "q", description: "No progress" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
