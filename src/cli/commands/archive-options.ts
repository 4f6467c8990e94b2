import type { OptionDefinitions } from "../argv.ts"
import { KEEP_BLOBS, TRUST_OPTIONS } from "../flags/image.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

const HELP = { type: "boolean", description: "Show this text" } as const

/** The options of `toybox save`. */
export const SAVE_OPTIONS = {
  output: { type: "string", alias: "o", valueHint: "FILE", description: "The archive (default: standard output)" },
  format: {
    type: "string",
    valueHint: "docker-archive|oci-archive",
    description: "Form of the archive (default: docker-archive)",
  },
  quiet: { type: "boolean", alias: "q", description: "No progress and no notices" },
  help: HELP,
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions

/** The options of `toybox push`. */
export const PUSH_OPTIONS = {
  "all-tags": { type: "boolean", alias: "a", description: "All images that have the name, under whatever tag" },
  ...TRUST_OPTIONS,
  ca: { type: "string", repeated: true, valueHint: "FILE", description: "Certificates (PEM) to trust the registry by" },
  quiet: { type: "boolean", alias: "q", description: "No progress and no notices; prints the digest alone" },
  json: { type: "boolean", description: "One JSON object: digest, layers, and how each came there" },
  help: HELP,
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions

/** The options of `toybox tag`. */
export const TAG_OPTIONS = { help: HELP, ...GLOBAL_OPTIONS } as const satisfies OptionDefinitions

/** The options of `toybox load`. */
export const LOAD_OPTIONS = {
  input: { type: "string", alias: "i", valueHint: "FILE", description: "The archive (default: standard input)" },
  platform: {
    type: "string",
    valueHint: "OS/ARCH[/VARIANT]",
    description: "Platform to take of images for several (default: this one)",
  },
  "keep-blobs": KEEP_BLOBS,
  quiet: { type: "boolean", alias: "q", description: "No progress and no notices" },
  json: { type: "boolean", description: "One JSON object a line" },
  help: HELP,
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
