/** Digests as they are written: ALGORITHM:HEX. */
import { UsageError } from "../errors.ts"

export interface Checksum {
  algorithm: "sha256" | "sha512"
  /** As "sha256:<hex>", in lower case. */
  text: string
}

const LENGTHS = { sha256: 64, sha512: 128 } as const

/** Reads a checksum; a bare one is told by its length. Throws UsageError that names `option`. */
export function parseChecksum(option: string, text: string): Checksum {
  const [, name, hex = ""] = /^(?:(sha256|sha512):)?([0-9a-f]+)$/i.exec(text.trim()) ?? []
  for (const algorithm of ["sha256", "sha512"] as const) {
    if (hex.length === LENGTHS[algorithm] && (name === undefined || name.toLowerCase() === algorithm))
      return { algorithm, text: `${algorithm}:${hex.toLowerCase()}` }
  }
  throw new UsageError(`${option}: "${text}" is not a checksum`, {
    hint: "use sha256: and 64 hexadecimal digits, or sha512: and 128",
  })
}
