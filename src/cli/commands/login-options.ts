import type { OptionDefinitions } from "../argv.ts"
import { TRUST_OPTIONS } from "../flags/image.ts"
import { GLOBAL_OPTIONS } from "./run-options.ts"

/** The options of `toybox login`. */
export const LOGIN_OPTIONS = {
  username: { type: "string", alias: "u", valueHint: "USER", description: "User name" },
  password: {
    type: "string",
    alias: "p",
    valueHint: "PASSWORD",
    description: "Password; it stays in the shell's history, and everybody sees it meanwhile",
  },
  "get-login": { type: "boolean", description: "Print the user name that is logged in" },
  "password-stdin": { type: "boolean", description: "Read the password from standard input" },
  ca: { type: "string", repeated: true, valueHint: "FILE", description: "Certificates (PEM) to trust the registry by" },
  ...TRUST_OPTIONS,
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions

/** The options of `toybox logout`. */
export const LOGOUT_OPTIONS = {
  all: { type: "boolean", alias: "a", description: "Of every registry" },
  help: { type: "boolean", description: "Show this text" },
  ...GLOBAL_OPTIONS,
} as const satisfies OptionDefinitions
