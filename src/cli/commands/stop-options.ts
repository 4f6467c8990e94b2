import type { OptionDefinitions } from "../argv.ts"
import { ALL, CIDFILE, FILTER, LATEST } from "./choice-options.ts"
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
  ...ALL,
  ...LATEST,
  ...FILTER,
  ...CIDFILE,
  ignore: { type: "boolean", alias: "i", description: "One that is not there is no error" },
  boot: { type: "boolean", description: "As the machine goes down: those that start --boot is to start again" },
  ...HELP,
} as const satisfies OptionDefinitions

/** Those of `toybox restart`. */
export const RESTART_OPTIONS = {
  ...HOW,
  ...ALL,
  ...LATEST,
  ...FILTER,
  ...CIDFILE,
  ...HELP,
} as const satisfies OptionDefinitions

/** Those of `toybox kill`. */
export const KILL_OPTIONS = {
  signal: { type: "string", alias: "s", valueHint: "SIGNAL", description: "Signal to send (default: KILL)" },
  ...ALL,
  ...LATEST,
  ...CIDFILE,
  ...HELP,
} as const satisfies OptionDefinitions

/** Those of `toybox wait`. */
export const WAIT_OPTIONS = {
  condition: {
    type: "string",
    valueHint: "not-running|next-exit|removed|stopped|exited|running|healthy|unhealthy",
    description: "For what to wait: docker's words and podman's (default: not-running)",
  },
  interval: {
    type: "string",
    alias: "i",
    valueHint: "250ms",
    description: "Accepted for the sake of scripts: it is told at once",
  },
  ...LATEST,
  ...HELP,
} as const satisfies OptionDefinitions

/** Those of `toybox pause` and `unpause`. */
export const PAUSE_OPTIONS = { ...ALL, ...LATEST, ...FILTER, ...CIDFILE, ...HELP } as const satisfies OptionDefinitions

/** Those of commands without any of their own. */
export const PLAIN_OPTIONS = HELP satisfies OptionDefinitions
