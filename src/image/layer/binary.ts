/**
 * Names and values of archives are bytes, not text. Here they are "binary strings": one character for each byte, as
 * latin1, so that they can be compared, split and used as keys.
 */

/** The bytes with a closing NUL, as a call takes a name. */
export const toName = (text: string): Uint8Array => Buffer.from(`${text}\0`, "latin1")

/** The bytes. */
export const toBytes = (text: string): Uint8Array => Buffer.from(text, "latin1")

/** The binary string of a part of `bytes`. */
export const fromBytes = (bytes: Uint8Array, start = 0, end = bytes.length): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1", start, end)

const LONGEST_SHOWN = 200

/** For people: UTF-8 where it is that, and nothing that a terminal would obey. */
export function shownName(text: string): string {
  const decoded = Buffer.from(text.slice(0, LONGEST_SHOWN), "latin1").toString("utf8")
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for.
  const plain = decoded.replace(/[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0)
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`
  })
  return `"${plain}${text.length > LONGEST_SHOWN ? "…" : ""}"`
}
