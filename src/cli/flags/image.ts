/** The options that say how an image is had. */
import { UsageError } from "../../errors.ts"
import type { PullPolicy } from "../../image/source.ts"
import { EMPTY, type OptionDefinitions } from "../argv.ts"

/** How far a registry is trusted; `isInsecure` reads them. */
export const TRUST_OPTIONS = {
  insecure: { type: "boolean", description: "Do not look at the registry's certificate; plain http will do" },
  "tls-verify": { type: "boolean", description: "Podman's word: --tls-verify=false is --insecure" },
} as const satisfies OptionDefinitions

export const IMAGE_OPTIONS = {
  platform: {
    type: "string",
    unset: EMPTY,
    valueHint: "OS/ARCH[/VARIANT]",
    description: "Platform of the image (default: this one)",
  },
  arch: { type: "string", valueHint: "ARCH", description: "Its architecture alone, as podman has it" },
  variant: { type: "string", valueHint: "VARIANT", description: "Its variant alone" },
  os: { type: "string", valueHint: "linux", description: "Its operating system alone" },
  ...TRUST_OPTIONS,
} as const satisfies OptionDefinitions

/** Of the commands that bring images here. */
export const KEEP_BLOBS = {
  type: "boolean",
  description: "Keep the compressed layers, too, for save and push to give them again as they were",
} as const

const POLICIES: readonly PullPolicy[] = ["always", "newer", "missing", "never"]

/** Reads --pull, or what else it is called. Throws UsageError. */
export function pullPolicy(text: string | undefined, otherwise: PullPolicy, option = "--pull"): PullPolicy {
  const policy = POLICIES.find((known) => known === (text ?? otherwise))
  if (policy === undefined) throw new UsageError(`${option}: "${text}" is not known (use ${POLICIES.join(", ")})`)
  return policy
}
