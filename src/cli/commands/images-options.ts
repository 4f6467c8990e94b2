import type { OptionDefinitions } from "../argv.ts"
import { IMAGE_OPTIONS, KEEP_BLOBS } from "../flags/image.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

const HELP = { type: "boolean", description: "Show this text" } as const

/** The options of `toybox pull`. */
export const PULL_OPTIONS = {
  policy: {
    type: "string",
    valueHint: "always|newer|missing|never",
    description: "When the registry is asked (default: always)",
  },
  ca: { type: "string", repeated: true, valueHint: "FILE", description: "Certificates (PEM) to trust the registry by" },
  ...IMAGE_OPTIONS,
  "keep-blobs": KEEP_BLOBS,
  "all-tags": { type: "boolean", alias: "a", description: "All images that the repository has, under whatever tag" },
  quiet: { type: "boolean", alias: "q", description: "No progress and no notices" },
  help: HELP,
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions

/** The options of `toybox images`. */
export const IMAGES_OPTIONS = {
  all: { type: "boolean", alias: "a", description: "All images: there are no others than those shown without it" },
  filter: {
    type: "string",
    alias: "f",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "By reference, label, dangling, before, since or until",
  },
  quiet: { type: "boolean", alias: "q", description: "Ids only" },
  "no-trunc": { type: "boolean", description: "Full ids" },
  format: {
    type: "string",
    valueHint: "TEMPLATE",
    description: "Docker's columns: '{{.Repository}}:{{.Tag}}', 'table {{.ID}}\\t{{.Size}}', json",
  },
  noheading: { type: "boolean", alias: "n", description: "No titles over the columns" },
  sort: { type: "string", valueHint: "KEY", description: "By created, id, repository, size or tag" },
  digests: { type: "boolean", description: "Also the digests that registries know them by" },
  json: { type: "boolean", description: "One JSON object a line" },
  help: HELP,
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions

/** The options of `toybox rmi`. */
export const RMI_OPTIONS = {
  force: { type: "boolean", alias: "f", description: "Also while containers stand on it" },
  ignore: { type: "boolean", alias: "i", description: "One that is not there is no error" },
  all: { type: "boolean", alias: "a", description: "Every image that no container stands on" },
  help: HELP,
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
