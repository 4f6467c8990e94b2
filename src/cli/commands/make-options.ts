import type { OptionDefinitions } from "../argv.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

const CHANGE = {
  change: {
    type: "string",
    alias: "c",
    repeated: true,
    valueHint: "INSTRUCTION",
    description: "As of a Dockerfile: 'CMD [\"/bin/app\"]', 'ENV A=1', 'USER www', 'WORKDIR /srv', …",
  },
  message: { type: "string", alias: "m", valueHint: "TEXT", description: "Said of it in its history" },
} as const
const REST = {
  quiet: { type: "boolean", alias: "q", description: "No progress and no notices; prints the id alone" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const

/** The options of `toybox import`. */
export const IMPORT_OPTIONS = {
  ...CHANGE,
  platform: { type: "string", valueHint: "OS/ARCH[/VARIANT]", description: "What it is for (default: this machine)" },
  ca: { type: "string", repeated: true, valueHint: "FILE", description: "Certificates (PEM) to trust an address by" },
  ...REST,
} as const satisfies OptionDefinitions

/** The options of `toybox commit`. */
export const COMMIT_OPTIONS = {
  author: { type: "string", alias: "a", valueHint: "TEXT", description: "Who made it" },
  ...CHANGE,
  iidfile: { type: "string", valueHint: "FILE", description: "Write the image's id to FILE" },
  squash: { type: "boolean", description: "Not supported: refused; export and import make one layer of all" },
  pause: {
    type: "boolean",
    alias: "p",
    description: "Stop the container meanwhile (the default; --pause=false: do not)",
  },
  ...REST,
} as const satisfies OptionDefinitions
