import type { OptionDefinitions } from "../argv.ts"
import { LATEST } from "./choice-options.ts"
import { GLOBAL_OPTIONS, RUN_OPTIONS } from "./run-options.ts"

/** The options of `toybox exec`. */
export const EXEC_OPTIONS = {
  detach: { type: "boolean", alias: "d", description: "Leave it running in the background" },
  ...LATEST,
  interactive: RUN_OPTIONS.interactive,
  tty: RUN_OPTIONS.tty,
  env: RUN_OPTIONS.env,
  "env-file": RUN_OPTIONS["env-file"],
  "detach-keys": { type: "string", valueHint: "KEYS", description: "Keys that let go of its terminal (default: none)" },
  "preserve-fds": RUN_OPTIONS["preserve-fds"],
  user: RUN_OPTIONS.user,
  workdir: RUN_OPTIONS.workdir,
  privileged: { type: "boolean", description: "All capabilities that toybox has, and no filter" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
