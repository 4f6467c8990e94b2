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
    throw new UsageError(`--detach-keys: "${text}" are no keys (use single characters and ctrl-a to ctrl-z, with commas between)`)
  })
}

/** A filter of typed bytes that holds the sequence back: what turns out not to be it goes through. */
export function detachFilter(keys: readonly number[], detached: () => void): (bytes: Uint8Array) => Uint8Array {
  let matched = 0
  return (bytes) => {
    const result: number[] = []
    for (const byte of bytes) {
      if (byte === keys[matched]) {
        matched++
        if (matched === keys.length) {
          matched = 0
          detached()
        }
        continue
      }
      result.push(...keys.slice(0, matched))
      matched = byte === keys[0] ? 1 : 0
      if (matched === 0) result.push(byte)
    }
    return Uint8Array.from(result)
  }
}
