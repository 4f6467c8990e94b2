import type { OptionDefinitions } from "../argv.ts"
import { LATEST } from "./choice-options.ts"
import { GLOBAL_OPTIONS, RUN_OPTIONS } from "./run-options.ts"
import { START_OPTIONS } from "./start-options.ts"

/** The options of `toybox attach`: docker's. */
export const ATTACH_OPTIONS = {
  "detach-keys": RUN_OPTIONS["detach-keys"],
  ...LATEST,
  "no-stdin": { type: "boolean", description: "Do not pass standard input on" },
  "sig-proxy": START_OPTIONS["sig-proxy"],
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
