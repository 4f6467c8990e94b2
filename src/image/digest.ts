/** Content digests as the OCI image specification writes them: descriptor.md, "Digests". */
import { ToyboxError } from "../errors.ts"

export type DigestAlgorithm = "sha256" | "sha384" | "sha512"

/** Bytes are not what was promised, or cannot be it: maybe they only came wrong. */
export class BadBytes extends ToyboxError {}

/** Hexadecimal digits by algorithm. */
const LENGTHS: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha384: 96, sha512: 128 }

/** Why `text` is no digest that can be verified; null where it is one. It becomes part of paths: nothing else gets through. */
export function digestFault(text: string): string | null {
  const colon = text.indexOf(":")
  if (colon < 0) return "it has no algorithm: sha256:… is the form"
  const algorithm = text.slice(0, colon)
  if (!Object.hasOwn(LENGTHS, algorithm)) return `the algorithm "${algorithm}" is not known: sha256, sha384 or sha512`
  const length = LENGTHS[algorithm as DigestAlgorithm]
  const hex = text.slice(colon + 1)
  if (!/^[0-9a-f]*$/.test(hex)) return "its digits must be 0-9 and a-f"
  return hex.length === length ? null : `${algorithm} has ${length} digits, not ${hex.length}`
}

export const isDigest = (text: string): boolean => digestFault(text) === null

/** A checked digest → its parts. */
export function splitDigest(digest: string): { algorithm: DigestAlgorithm; hex: string } {
  const fault = digestFault(digest)
  if (fault !== null) throw new ToyboxError(`"${digest.slice(0, 150)}" is not a digest: ${fault}`)
  const colon = digest.indexOf(":")
  return { algorithm: digest.slice(0, colon) as DigestAlgorithm, hex: digest.slice(colon + 1) }
}

/** The digest of bytes at hand. */
export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = "sha256"): string {
  return `${algorithm}:${new Bun.CryptoHasher(algorithm).update(bytes).digest("hex")}`
}

/** Whether bytes at hand are what `digest` names. */
export const matches = (bytes: Uint8Array, digest: string): boolean =>
  digestOf(bytes, splitDigest(digest).algorithm) === digest
