import type { OptionDefinitions } from "../argv.ts"
import { LATEST } from "./choice-options.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox top`; what follows the container is of ps. */
export const TOP_OPTIONS = {
  ...LATEST,
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions

/** The options of `toybox port`. */
export const PORT_OPTIONS = {
  ...LATEST,
  json: { type: "boolean", description: "One JSON object a line" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions

/** The options of `toybox diff`. */
export const DIFF_OPTIONS = {
  format: { type: "string", valueHint: "json", description: "Podman's: one JSON object of changed, added and deleted" },
  json: { type: "boolean", description: "One JSON object a line" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions

/** The options of `toybox why`. */
export const WHY_OPTIONS = {
  json: { type: "boolean", description: "One JSON object" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions

/** The options of `toybox stats`. */
export const STATS_OPTIONS = {
  all: { type: "boolean", alias: "a", description: "Also those that do not run" },
  ...LATEST,
  "no-trunc": { type: "boolean", description: "Full ids" },
  "no-stream": { type: "boolean", description: "One look, and end" },
  interval: { type: "string", valueHint: "SECONDS", description: "Time between two looks (default: 1)" },
  format: {
    type: "string",
    valueHint: "TEMPLATE",
    description: "Docker's columns: '{{.Name}} {{.CPUPerc}}', 'table {{.Name}}\\t{{.MemUsage}}', json",
  },
  json: { type: "boolean", description: "One JSON object a line" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
