import type { OptionDefinitions } from "../argv.ts"
import { FILTER, LATEST } from "./choice-options.ts"
import { GLOBAL_OPTIONS, RUN_OPTIONS } from "./run-options.ts"

const { detach: _, "result-fd": __, explain: ___, trace: ____, "sig-proxy": _____, ...others } = RUN_OPTIONS
const { "preserve-fds": ______, ...made } = others

/** The options of `toybox create`: those of `run` but what is of one run. */
export const CREATE_OPTIONS = made satisfies OptionDefinitions

/** Those of `toybox start`: docker's. */
export const START_OPTIONS = {
  attach: { type: "boolean", alias: "a", description: "Stay with it: output, signals and exit code" },
  interactive: { type: "boolean", alias: "i", description: "Stay with it, and pass standard input on" },
  all: { type: "boolean", description: "All that do not run" },
  ...LATEST,
  ...FILTER,
  boot: {
    type: "boolean",
    description: "After the machine was started: all containers whose --restart says so",
  },
  "sig-proxy": { type: "boolean", description: "Pass signals on, without a terminal (default: true)" },
  "detach-keys": RUN_OPTIONS["detach-keys"],
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
