import type { OptionDefinitions } from "../argv.ts"

/** Of commands for one container, or for several: chosen.ts reads them. */
export const LATEST = {
  latest: { type: "boolean", alias: "l", description: "The container made last" },
} as const satisfies OptionDefinitions

export const CIDFILE = {
  cidfile: {
    type: "string",
    repeated: true,
    valueHint: "FILE",
    description: "The container whose id run --cidfile has written to FILE",
  },
} as const satisfies OptionDefinitions

export const FILTER = {
  filter: {
    type: "string",
    alias: "f",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "Those that ps --filter shows",
  },
} as const satisfies OptionDefinitions

export const ALL = {
  all: { type: "boolean", alias: "a", description: "All that there are, as far as it makes sense" },
} as const satisfies OptionDefinitions
