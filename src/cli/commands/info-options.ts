import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox info`. */
export const INFO_OPTIONS = {
  json: { type: "boolean", description: "As one JSON object, with docker's names" },
  format: {
    type: "string",
    alias: "f",
    valueHint: "TEMPLATE",
    description: "Some fields only: '{{.ServerVersion}}', json",
  },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions

/** The options of `toybox version`. */
export const VERSION_OPTIONS = {
  json: { type: "boolean", description: "As one JSON object, with docker's names" },
  format: { type: "string", alias: "f", valueHint: "TEMPLATE", description: "Some fields only: '{{.Version}}', json" },
  help: { type: "boolean", description: "Show this text" },
} as const satisfies OptionDefinitions
