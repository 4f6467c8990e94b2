import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox doctor`. */
export const DOCTOR_OPTIONS = {
  fix: { type: "boolean", description: "Run the safe mends, after asking" },
  yes: { type: "boolean", alias: "y", description: "Do not ask" },
  json: { type: "boolean", description: "One JSON object a line" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
