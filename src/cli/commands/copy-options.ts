import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox cp`. */
export const COPY_OPTIONS = {
  archive: { type: "boolean", alias: "a", description: "Keep owners, as numbers; without it all is root's" },
  "follow-link": { type: "boolean", alias: "L", description: "Copy what the source, if it is a symlink, leads to" },
  quiet: { type: "boolean", alias: "q", description: "Do not say how much was copied" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
