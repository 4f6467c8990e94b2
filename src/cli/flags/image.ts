/** The options that say how an image is had. */
import { UsageError } from "../../errors.ts"
import type { PullPolicy } from "../../image/source.ts"
import type { OptionDefinitions } from "../argv.ts"

export const IMAGE_OPTIONS = {
  platform: {
    type: "string",
    valueHint: "OS/ARCH[/VARIANT]",
    description: "Platform of the image (default: this one)",
  },
  insecure: { type: "boolean", description: "Do not look at the registry's certificate; plain http will do" },
} as const satisfies OptionDefinitions

const POLICIES: readonly PullPolicy[] = ["always", "newer", "missing", "never"]

/** Reads --pull. Throws UsageError. */
export function pullPolicy(text: string | undefined, otherwise: PullPolicy): PullPolicy {
  const policy = POLICIES.find((known) => known === (text ?? otherwise))
  if (policy === undefined) throw new UsageError(`--pull: "${text}" is not known (use ${POLICIES.join(", ")})`)
  return policy
}
