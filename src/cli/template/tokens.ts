/** The text of a Go template in pieces: what stands as it is, and the words of each action {{…}}. */
import { UsageError } from "../../errors.ts"

export type Token =
  /** .Name */
  | { kind: "field"; name: string; spaced: boolean }
  /** $name; the empty name is the whole. */
  | { kind: "variable"; name: string; spaced: boolean }
  | { kind: "word"; name: string; spaced: boolean }
  | { kind: "constant"; value: string | number | bigint; spaced: boolean }
  | { kind: "mark"; name: string; spaced: boolean }

export type Piece = { text: string } | { action: readonly Token[]; source: string }

const NAME = "[\\p{L}_][\\p{L}\\p{N}_]*"
const TOKEN = new RegExp(
  [
    "(?<space>\\s+)",
    '"(?<quoted>(?:[^"\\\\\\n]|\\\\.)*)"',
    "`(?<raw>[^`]*)`",
    "(?<number>[+-]?\\d+(?:\\.\\d+)?)",
    `\\$(?<variable>(?:${NAME})?)`,
    `\\.(?<field>${NAME})`,
    `(?<word>${NAME})`,
    "(?<mark>:=|[=|(),.])",
  ].join("|"),
  "uy",
)
const CLOSE = /(?<trim>\s-)?\}\}/uy
const COMMENT = /\s*\/\*.*?\*\/\s*/suy

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" },
}

/** A string of Go's, without its quotes. */
const unquote = (text: string): string =>
  text.replace(/\\(?:[ux](?<hex>[0-9a-fA-F]{4}|[0-9a-fA-F]{2})|(?<one>.))/gu, (_, hex, one) =>
    hex === undefined ? (ESCAPES[one] ?? one) : String.fromCharCode(Number.parseInt(hex, 16)),
  )

/** A bigint where a double does not hold it. */
function numberOf(text: string): number | bigint {
  const value = Number(text)
  return Number.isInteger(value) && !Number.isSafeInteger(value) && !text.includes(".") ? BigInt(text) : value
}

function tokenOf(groups: Partial<Record<string, string>>, spaced: boolean): Token {
  const { quoted, raw, number, variable, field, word, mark = "" } = groups
  if (quoted !== undefined) return { kind: "constant", value: unquote(quoted), spaced }
  if (raw !== undefined) return { kind: "constant", value: raw, spaced }
  if (number !== undefined) return { kind: "constant", value: numberOf(number), spaced }
  if (variable !== undefined) return { kind: "variable", name: variable, spaced }
  if (field !== undefined) return { kind: "field", name: field, spaced }
  if (word !== undefined) return { kind: "word", name: word, spaced }
  return { kind: "mark", name: mark, spaced }
}

const matchAt = (pattern: RegExp, text: string, position: number): RegExpExecArray | null => {
  pattern.lastIndex = position
  return pattern.exec(text)
}

/** The tokens from `position` to }}, and where the text goes on. Throws UsageError. */
function readAction(text: string, position: number): { action: Token[]; end: number; trims: boolean } {
  const action: Token[] = []
  let spaced = true
  let at = matchAt(COMMENT, text, position) ? COMMENT.lastIndex : position
  for (;;) {
    const close = matchAt(CLOSE, text, at)
    if (close) return { action, end: CLOSE.lastIndex, trims: close.groups?.trim !== undefined }
    const groups = matchAt(TOKEN, text, at)?.groups
    if (groups === undefined) {
      const rest = text.slice(at).trim()
      throw new UsageError(
        rest === ""
          ? `--format: "${text.slice(position - 2)}" has no }}`
          : `--format: "${rest}" is not understood in "${text}"`,
      )
    }
    at = TOKEN.lastIndex
    if (groups.space === undefined) action.push(tokenOf(groups, spaced))
    spaced = groups.space !== undefined
  }
}

/** Cuts a template up. \t and \n stand for a tab and a new line outside the actions, too. Throws UsageError. */
export function tokenize(template: string): Piece[] {
  const pieces: Piece[] = []
  let position = 0
  let trims = false
  while (position < template.length) {
    const start = template.indexOf("{{", position)
    const isTrimmed = start >= 0 && /^-\s/.test(template.slice(start + 2))
    const plain = template.slice(position, start < 0 ? undefined : start)
    const ahead = trims ? plain.trimStart() : plain
    const literal = isTrimmed ? ahead.trimEnd() : ahead
    if (literal !== "") pieces.push({ text: literal.replaceAll("\\t", "\t").replaceAll("\\n", "\n") })
    if (start < 0) break
    const { action, end, trims: next } = readAction(template, start + (isTrimmed ? 3 : 2))
    // What is left of a comment is nothing.
    if (action.length > 0) pieces.push({ action, source: template.slice(start, end) })
    else if (!/\/\*/.test(template.slice(start, end))) throw new UsageError("--format: {{}} says nothing")
    position = end
    trims = next
  }
  return pieces
}
