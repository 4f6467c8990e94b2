/** What commands that inspect print. */
import { print } from "../log.ts"

/** All that was found as one array, as docker has it, or each by a template. Throws UsageError. */
export async function printInspected(found: readonly object[], format: string | undefined): Promise<void> {
  if (format === undefined) print([JSON.stringify(found, null, 4)])
  else if (format === "json") print([JSON.stringify(found)])
  else {
    const { parseTemplate, render } = await import("./template.ts")
    const template = parseTemplate(format)
    print(found.map((value) => render(template, value)))
  }
}
