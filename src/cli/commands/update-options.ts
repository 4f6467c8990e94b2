import type { OptionDefinitions } from "../argv.ts"
import { LIMIT_OPTIONS } from "./limit-options.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox update`. */
export const UPDATE_OPTIONS = {
  ...LIMIT_OPTIONS,
  restart: {
    type: "string",
    valueHint: "no|on-failure[:N]|always|unless-stopped",
    description: "When it is started again",
  },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
