/** --label, of networks and volumes. */
import { UsageError } from "../errors.ts"

/** KEY=VALUE, or KEY alone. Throws UsageError. */
export function labelsOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const [key = "", ...value] = text.split("=")
      if (key === "") throw new UsageError(`--label: "${text}" is no label (use KEY=VALUE)`)
      return [key, value.join("=")]
    }),
  )
}
