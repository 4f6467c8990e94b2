import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

const HELP = { help: { type: "boolean", description: "Show this text" }, ...GLOBAL_OPTIONS } as const

const HOW = {
  time: {
    type: "string",
    alias: ["t", "timeout"],
    valueHint: "SECONDS",
    description: "Wait so long (default: --stop-timeout, 10; -1: without end)",
  },
  signal: { type: "string", alias: "s", valueHint: "SIGNAL", description: "Instead of the container's stop signal" },
} as const

/** The options of `toybox stop`: docker's. */
export const STOP_OPTIONS = {
  ...HOW,
  boot: { type: "boolean", description: "As the machine goes down: those that start --boot is to start again" },
  ...HELP,
} as const satisfies OptionDefinitions

/** Those of `toybox restart`. */
export const RESTART_OPTIONS = { ...HOW, ...HELP } as const satisfies OptionDefinitions

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
