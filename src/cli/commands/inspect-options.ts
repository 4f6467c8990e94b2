import type { OptionDefinitions } from "../argv.ts"
import { LATEST } from "./choice-options.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

const HELP = { help: { type: "boolean", description: "Show this text" }, ...GLOBAL_OPTIONS } as const

/** The options of `toybox inspect`. */
export const INSPECT_OPTIONS = {
  type: { type: "string", valueHint: "container|image|network|volume", description: "Look among these only" },
  format: {
    type: "string",
    alias: "f",
    valueHint: "TEMPLATE",
    description: "Some fields only: '{{.State.Pid}}', '{{json .Config.Env}}'",
  },
  ...LATEST,
  size: { type: "boolean", alias: "s", description: "Also what a container takes on the disk" },
  ...HELP,
} as const satisfies OptionDefinitions

/** The options of `toybox history`. */
export const HISTORY_OPTIONS = {
  quiet: { type: "boolean", alias: "q", description: "Ids only" },
  "no-trunc": { type: "boolean", description: "Whole ids and commands" },
  human: { type: "boolean", alias: "H", description: "Sizes and times for people (default), or as they are (=false)" },
  format: {
    type: "string",
    valueHint: "TEMPLATE",
    description: "Docker's columns: '{{.ID}} {{.Size}}', table …, json",
  },
  json: { type: "boolean", description: "One JSON object a line" },
  ...HELP,
} as const satisfies OptionDefinitions
