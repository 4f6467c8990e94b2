/** The keys reserved for detaching from a terminal: docker's --detach-keys. */
import { UsageError } from "../errors.ts"

export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q"

/** "ctrl-p,q" → the bytes. Empty text reserves nothing. Throws UsageError. */
export function parseDetachKeys(text: string): number[] {
  if (text === "") return []
  return text.split(",").map((word) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(word)
    if (control) return (control[1] ?? "").toUpperCase().charCodeAt(0) & 0x1f
    if (/^[\x21-\x7e]$/.test(word)) return word.charCodeAt(0)
    throw new UsageError(
      `--detach-keys: "${text}" are no keys (use single characters and ctrl-a to ctrl-z, with commas between)`,
    )
  })
}

/** How many of the first `matched` keys remain a beginning of the sequence when the first of them is let go. */
function fallBack(keys: readonly number[], matched: number): number {
  for (let rest = matched - 1; rest > 0; rest--) {
    if (keys.slice(0, rest).every((key, i) => key === keys[matched - rest + i])) return rest
  }
  return 0
}

/**
 * A filter of typed bytes that holds the sequence back: what turns out not to be it goes through. What is typed behind it is meant
 * for whoever reads there next, and not for the container: it ends there.
 */
export function detachFilter(keys: readonly number[], detached: () => void): (bytes: Uint8Array) => Uint8Array {
  let matched = 0
  return (bytes) => {
    const result: number[] = []
    for (const byte of bytes) {
      while (matched > 0 && byte !== keys[matched]) {
        const rest = fallBack(keys, matched)
        result.push(...keys.slice(0, matched - rest))
        matched = rest
      }
      if (byte !== keys[matched]) result.push(byte)
      else if (++matched === keys.length) {
        matched = 0
        detached()
        break
      }
    }
    return Uint8Array.from(result)
  }
}
