/** WWW-Authenticate: RFC 7235, sections 2.1 and 4.1. */

export interface Challenge {
  /** In lower case: "bearer", "basic". */
  scheme: string
  /** By name in lower case. */
  parameters: Readonly<Record<string, string>>
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y
const BLANKS = /[ \t]*/y
const LIST_GAP = /[ \t,]*/y

/**
 * Reads the value of one or several such headers, joined by commas. What is malformed ends it: what came before stands.
 */
export function parseChallenges(value: string): Challenge[] {
  let position = 0
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = position
    const found = pattern.exec(value)?.[0]
    if (found === undefined) return null
    position += found.length
    return found
  }
  const quoted = (): string | null => {
    let text = ""
    for (position++; position < value.length; position++) {
      if (value[position] === '"') {
        position++
        return text
      }
      if (value[position] === "\\") position++
      text += value[position] ?? ""
    }
    return null
  }
  /** NAME = VALUE; null, and nothing read, where it is something else. */
  const parameter = (): [string, string] | null => {
    const start = position
    const name = take(TOKEN)
    take(BLANKS)
    if (name !== null && value[position] === "=") {
      position++
      take(BLANKS)
      const text = value[position] === '"' ? quoted() : take(TOKEN)
      if (text !== null) return [name.toLowerCase(), text]
    }
    position = start
    return null
  }
  const challenges: Challenge[] = []
  for (take(LIST_GAP); position < value.length; take(LIST_GAP)) {
    const scheme = take(TOKEN)
    if (scheme === null) break
    const parameters: Record<string, string> = Object.create(null)
    challenges.push({ scheme: scheme.toLowerCase(), parameters })
    if (value[position] !== " " && value[position] !== "\t") continue
    take(BLANKS)
    // A bare token68 ("Negotiate abc==") tells us nothing, but must be passed over.
    if (take(TOKEN68) !== null) continue
    for (;;) {
      const before = position
      take(LIST_GAP)
      const found = parameter()
      if (found === null) {
        position = before
        break
      }
      parameters[found[0]] = found[1]
    }
    if (!/^[ \t]*(,|$)/.test(value.slice(position))) break
  }
  return challenges
}
