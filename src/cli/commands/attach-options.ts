import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS, RUN_OPTIONS } from "./run-options.ts"

/** The options of `toybox attach`: docker's. */
export const ATTACH_OPTIONS = {
  "detach-keys": RUN_OPTIONS["detach-keys"],
  "no-stdin": { type: "boolean", description: "Do not pass standard input on" },
  "sig-proxy": { type: "boolean", description: "Pass signals on, without a terminal (default: true)" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
