import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox ps`. */
export const PS_OPTIONS = {
  all: { type: "boolean", alias: "a", description: "Also those that have ended" },
  quiet: { type: "boolean", alias: "q", description: "Ids only" },
  filter: {
    type: "string",
    alias: "f",
    repeated: true,
    valueHint: "KEY=VALUE",
    description:
      "Only those with this id, name (an expression), label, status, health, exited (code), ancestor (image), volume, network, publish, expose (port), before, since (container)",
  },
  last: { type: "string", alias: "n", valueHint: "N", description: "The N made last, whether they run or not" },
  latest: { type: "boolean", alias: "l", description: "The one made last" },
  size: { type: "boolean", alias: "s", description: "Also how much each has written" },
  format: {
    type: "string",
    valueHint: "TEMPLATE",
    description: "Docker's columns: '{{.ID}} {{.Names}}', 'table {{.Names}}\\t{{.Status}}', json",
  },
  noheading: { type: "boolean", description: "No titles over the columns" },
  sort: {
    type: "string",
    valueHint: "KEY",
    description: "By command, created (the default), id, image, names, runningfor, size or status",
  },
  watch: { type: "string", alias: "w", valueHint: "SECONDS", description: "Look again each time so long has passed" },
  "no-trunc": { type: "boolean", description: "Full ids and commands" },
  json: { type: "boolean", description: "One JSON object a line" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
