import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox events`: docker's. */
export const EVENTS_OPTIONS = {
  since: { type: "string", valueHint: "TIME|10m", description: "From this time on, or from so long ago" },
  until: { type: "string", valueHint: "TIME|10m", description: "Up to this time, and no longer" },
  filter: {
    type: "string",
    alias: "f",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "Only those of a container, volume, network, image, event, label, scope or type",
  },
  format: {
    type: "string",
    valueHint: "TEMPLATE",
    description: "Lines of {{.Action}}, {{.Actor.ID}} and the like, or json",
  },
  json: { type: "boolean", description: "A line of JSON each" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
