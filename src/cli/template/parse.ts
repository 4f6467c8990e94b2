/** The tree of a Go template: https://pkg.go.dev/text/template, without define, template and block. */
import { UsageError } from "../../errors.ts"
import type { Piece, Token } from "./tokens.ts"

export type Expression =
  | { kind: "constant"; value: unknown }
  | { kind: "dot" }
  /** The empty name is the whole. */
  | { kind: "variable"; name: string }
  /** `args` are there for what is a function. */
  | { kind: "field"; of: Expression; name: string; args: readonly Expression[] }
  | { kind: "call"; name: string; args: readonly Expression[] }

/** $name := value, or $name = value. */
export interface Assignment {
  name: string
  isNew: boolean
}

export type Node =
  | { kind: "text"; text: string }
  | { kind: "action"; value: Expression; into: Assignment | null }
  | { kind: "if" | "with"; value: Expression; into: Assignment | null; then: Node[]; otherwise: Node[] }
  | { kind: "range"; value: Expression; names: readonly string[]; then: Node[]; otherwise: Node[] }
  | { kind: "break" | "continue" }

const CONSTANTS: Readonly<Record<string, unknown>> = { true: true, false: false, nil: null }

/** The words of one action, taken from the front. */
class Words {
  readonly #tokens: readonly Token[]
  readonly #source: string
  readonly #functions: ReadonlySet<string>
  #position = 0

  constructor(tokens: readonly Token[], source: string, functions: ReadonlySet<string>) {
    this.#tokens = tokens
    this.#source = source
    this.#functions = functions
  }

  fault(why: string): UsageError {
    return new UsageError(`--format: ${this.#source} is not understood: ${why}`)
  }

  peek(ahead = 0): Token | undefined {
    return this.#tokens[this.#position + ahead]
  }

  /** Takes the next word if it is this mark or word. */
  takes(kind: "mark" | "word", name: string): boolean {
    const token = this.peek()
    if (token?.kind !== kind || token.name !== name) return false
    this.#position++
    return true
  }

  /** `$a, $b :=`, if that is next; else nothing is taken. */
  takesNames(most: number): { names: string[]; isNew: boolean } | null {
    const names: string[] = []
    for (let ahead = 0; ; ahead += 2) {
      const [variable, mark] = [this.peek(ahead), this.peek(ahead + 1)]
      if (variable?.kind !== "variable" || mark?.kind !== "mark") return null
      names.push(variable.name)
      if (mark.name === ",") continue
      if (mark.name !== ":=" && mark.name !== "=") return null
      if (names.length > most || names.includes("")) throw this.fault("there is no room for these variables")
      this.#position += ahead + 2
      return { names, isNew: mark.name === ":=" }
    }
  }

  #fieldsOf(start: Expression): Expression {
    let value = start
    for (let token = this.peek(); token?.kind === "field" && !token.spaced; token = this.peek()) {
      value = { kind: "field", of: value, name: token.name, args: [] }
      this.#position++
    }
    return value
  }

  #operand(): Expression {
    const token = this.peek()
    if (token === undefined) throw this.fault("a value is missing")
    this.#position++
    if (token.kind === "field")
      return this.#fieldsOf({ kind: "field", of: { kind: "dot" }, name: token.name, args: [] })
    if (token.kind === "variable") return this.#fieldsOf({ kind: "variable", name: token.name })
    if (token.kind === "constant") return { kind: "constant", value: token.value }
    if (token.kind === "word") {
      if (Object.hasOwn(CONSTANTS, token.name)) return { kind: "constant", value: CONSTANTS[token.name] }
      if (this.#functions.has(token.name)) return { kind: "call", name: token.name, args: [] }
      const known = [...this.#functions].join(", ")
      throw new UsageError(`--format: there is no function "${token.name}"`, { hint: `functions: ${known}` })
    }
    if (token.name === ".") return { kind: "dot" }
    if (token.name !== "(") throw this.fault(`"${token.name}" is out of place`)
    const inner = this.pipeline()
    if (!this.takes("mark", ")")) throw this.fault("a ) is missing")
    return this.#fieldsOf(inner)
  }

  #command(piped: readonly Expression[]): Expression {
    const first = this.#operand()
    const args: Expression[] = []
    for (let token = this.peek(); token !== undefined; token = this.peek()) {
      if (token.kind === "mark" && token.name !== "." && token.name !== "(") break
      if (!token.spaced && !(token.kind === "mark" && token.name === "(")) throw this.fault("a space is missing")
      args.push(this.#operand())
    }
    args.push(...piped)
    if (args.length === 0) return first
    if (first.kind === "call" || first.kind === "field") return { ...first, args: [...first.args, ...args] }
    throw this.fault("only functions take arguments")
  }

  /** a | b: what is in front is the last argument of what comes behind. */
  pipeline(): Expression {
    let value = this.#command([])
    while (this.takes("mark", "|")) value = this.#command([value])
    return value
  }

  end(): void {
    const token = this.peek()
    if (token !== undefined) throw this.fault(`"${"name" in token ? token.name : token.value}" is too much`)
  }
}

interface Nodes {
  nodes: Node[]
  /** What ended them: {{else …}}, {{end}} or, where that is null, the end of the text. */
  ended: { words: Words; isElse: boolean } | null
}

class Parser {
  readonly #pieces: readonly Piece[]
  readonly #functions: ReadonlySet<string>
  #position = 0

  constructor(pieces: readonly Piece[], functions: ReadonlySet<string>) {
    this.#pieces = pieces
    this.#functions = functions
  }

  nodes(): Nodes {
    const nodes: Node[] = []
    for (;;) {
      const piece = this.#pieces[this.#position++]
      if (piece === undefined) return { nodes, ended: null }
      if ("text" in piece) {
        nodes.push({ kind: "text", text: piece.text })
        continue
      }
      const words = new Words(piece.action, piece.source, this.#functions)
      if (words.takes("word", "end")) {
        words.end()
        return { nodes, ended: { words, isElse: false } }
      }
      if (words.takes("word", "else")) return { nodes, ended: { words, isElse: true } }
      nodes.push(this.#node(words, piece.source))
    }
  }

  #node(words: Words, source: string): Node {
    for (const kind of ["if", "with", "range"] as const)
      if (words.takes("word", kind)) return this.#branch(kind, words, source)
    for (const kind of ["break", "continue"] as const) {
      if (!words.takes("word", kind)) continue
      words.end()
      return { kind }
    }
    const into = assignment(words)
    const value = words.pipeline()
    words.end()
    return { kind: "action", value, into }
  }

  #branch(kind: "if" | "with" | "range", words: Words, source: string): Node {
    const names = kind === "range" ? (words.takesNames(2)?.names ?? []) : []
    const into = kind === "range" ? null : assignment(words)
    const value = words.pipeline()
    words.end()
    const { nodes: then, ended } = this.nodes()
    if (ended === null) throw new UsageError(`--format: ${source} has no {{end}}`)
    const otherwise = ended.isElse ? this.#otherwise(ended.words, source) : []
    return kind === "range" ? { kind, value, names, then, otherwise } : { kind, value, into, then, otherwise }
  }

  /** {{else}}, and {{else if …}}, which has the {{end}} of all. */
  #otherwise(words: Words, source: string): Node[] {
    for (const kind of ["if", "with"] as const)
      if (words.takes("word", kind)) return [this.#branch(kind, words, source)]
    words.end()
    const { nodes, ended } = this.nodes()
    if (ended === null) throw new UsageError(`--format: ${source} has no {{end}}`)
    if (ended.isElse) throw new UsageError(`--format: ${source} has two {{else}}`)
    return nodes
  }
}

function assignment(words: Words): Assignment | null {
  const found = words.takesNames(1)
  return found === null ? null : { name: found.names[0] ?? "", isNew: found.isNew }
}

/** Reads a template that calls these functions. Throws UsageError. */
export function parse(pieces: readonly Piece[], functions: ReadonlySet<string>): Node[] {
  const { nodes, ended } = new Parser(pieces, functions).nodes()
  if (ended !== null) throw new UsageError(`--format: {{${ended.isElse ? "else" : "end"}}} without {{if}} or {{range}}`)
  return nodes
}
