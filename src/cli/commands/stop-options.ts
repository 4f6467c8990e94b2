import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

const HELP = { help: { type: "boolean", description: "Show this text" }, ...GLOBAL_OPTIONS } as const

/** The options of `toybox stop`: docker's. */
export const STOP_OPTIONS = {
  time: { type: "string", alias: ["t", "timeout"], valueHint: "SECONDS", description: "Wait so long (default: 10)" },
  signal: { type: "string", alias: "s", valueHint: "SIGNAL", description: "Instead of the container's stop signal" },
  ...HELP,
} as const satisfies OptionDefinitions

/** Those of `toybox kill`. */
export const KILL_OPTIONS = {
  signal: { type: "string", alias: "s", valueHint: "SIGNAL", description: "Signal to send (default: KILL)" },
  ...HELP,
} as const satisfies OptionDefinitions

/** Those of `toybox wait`. */
export const WAIT_OPTIONS = {
  condition: {
    type: "string",
    valueHint: "WHAT",
    description: "not-running (the default), next-exit, removed, running or healthy",
  },
  ...HELP,
} as const satisfies OptionDefinitions

/** Those of `toybox pause` and `unpause`, and of others without any of their own. */
export const PLAIN_OPTIONS = HELP satisfies OptionDefinitions
