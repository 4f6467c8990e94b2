/** Questions to whoever sits at the terminal. */
import { read } from "../../ffi/fs.ts"

/** Asks on the terminal; "y" is yes. */
export function agrees(question: string): boolean {
  process.stderr.write(`${question} [y/N] `)
  return /^y(es)?\s*$/i.test(new TextDecoder().decode(read(0)))
}
