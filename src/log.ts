/** Messages to people, on standard error. */
import { writeAll } from "../ffi/fs.ts"

/** One line at once, in the middle of a run: also from where nothing can be awaited. */
export function notice(text: string): void {
  const bytes = new TextEncoder().encode(`toybox: ${text}\n`)
  try {
    writeAll(2, bytes)
  } catch {
    // Nobody reads standard error any more: there is nobody to tell.
  }
}

/** consola with our plain form; imported here only, because loading it takes longer than making a container. */
export async function logger() {
  const { createConsola } = await import("consola/basic")
  return createConsola({
    reporters: [{ log: ({ type, args }) => notice(`${type === "error" || type === "fatal" ? "" : `${type}: `}${args.join(" ")}`) }],
  })
}
