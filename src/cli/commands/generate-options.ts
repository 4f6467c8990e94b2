import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox generate`. */
export const GENERATE_OPTIONS = {
  "restart-policy": {
    type: "string",
    valueHint: "no|on-failure[:N]|always",
    description: "When systemd starts it anew (default: its --restart, else on-failure)",
  },
  time: {
    type: "string",
    alias: "t",
    valueHint: "SECONDS",
    description: "From stop signal to SIGKILL (default: its --stop-timeout)",
  },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
