/** --label and its like. */
import { UsageError } from "../errors.ts"

/** KEY=VALUE, or KEY alone; `option` is where they are from. Throws UsageError. */
export function labelsOf(texts: readonly string[], option = "--label"): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const [key = "", ...value] = text.split("=")
      if (key === "")
        throw new UsageError(
          `${option}: "${text}" is no ${option === "--annotation" ? "annotation" : "label"} (use KEY=VALUE)`,
        )
      return [key, value.join("=")]
    }),
  )
}
