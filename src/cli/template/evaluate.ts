/** A template's tree → text. */
import { UsageError } from "../../errors.ts"
import { FUNCTIONS, type Functions, isTrue, VARIADIC } from "./functions.ts"
import type { Assignment, Expression, Node } from "./parse.ts"
import { entriesOf, goText, isThings } from "./print.ts"

/** How a template looks at things. */
export interface Look {
  /** The value of a field; `args` are for what is a function, `path` is for errors. Throws UsageError where there is none. */
  field(of: unknown, name: string, args: readonly unknown[], path: string): unknown
  functions: Functions
}

class Scope {
  readonly #values = new Map<string, unknown>()
  readonly #outer: Scope | null

  constructor(outer: Scope | null) {
    this.#outer = outer
  }

  define(name: string, value: unknown): void {
    this.#values.set(name, value)
  }

  /** The scope that has a variable. Throws UsageError where there is none. */
  #holder(name: string): Scope {
    for (let scope: Scope | null = this; scope !== null; scope = scope.#outer) if (scope.#values.has(name)) return scope
    throw new UsageError(`--format: there is no variable $${name}`)
  }

  read(name: string): unknown {
    return this.#holder(name).#values.get(name)
  }

  change(name: string, value: unknown): void {
    this.#holder(name).#values.set(name, value)
  }
}

function pathOf(expression: Expression): string {
  if (expression.kind === "field") return `${pathOf(expression.of)}.${expression.name}`
  return expression.kind === "variable" ? `$${expression.name}` : expression.kind === "dot" ? "" : "(…)"
}

/** What a range goes through: keys and values. */
function turnsOf(value: unknown): (readonly [unknown, unknown])[] {
  if (value === null || value === undefined) return []
  if (Array.isArray(value)) return value.map((one, i) => [i, one] as const)
  if (isThings(value)) return entriesOf(value)
  if (typeof value === "number" && Number.isInteger(value)) return Array.from({ length: value }, (_, i) => [i, i])
  throw new UsageError(`--format: range takes a list or a map, not ${goText(value)}`)
}

type Ending = "break" | "continue" | null

class Evaluation {
  readonly #look: Look
  readonly #parts: string[] = []

  constructor(look: Look) {
    this.#look = look
  }

  get text(): string {
    return this.#parts.join("")
  }

  #value(expression: Expression, dot: unknown, scope: Scope): unknown {
    const of = (one: Expression) => this.#value(one, dot, scope)
    switch (expression.kind) {
      case "constant":
        return expression.value
      case "dot":
        return dot
      case "variable":
        return scope.read(expression.name)
      case "field":
        return this.#look.field(of(expression.of), expression.name, expression.args.map(of), pathOf(expression))
      case "call":
        return this.#call(expression.name, expression.args, of)
    }
  }

  #call(name: string, args: readonly Expression[], of: (one: Expression) => unknown): unknown {
    // These two look no further than they must: what comes behind may not be there.
    if (name === "and" || name === "or") {
      let value: unknown = null
      for (const one of args) {
        value = of(one)
        if (isTrue(value) === (name === "or")) break
      }
      return value
    }
    const call = this.#look.functions[name]
    if (call === undefined) throw new UsageError(`--format: there is no function "${name}"`)
    const isRight = VARIADIC.has(name) ? args.length >= call.length : args.length === call.length
    // Functions for headings take what those take that they stand for.
    if (!isRight && call === FUNCTIONS[name])
      throw new UsageError(`--format: ${name} takes ${call.length} argument${call.length === 1 ? "" : "s"}`)
    return call(...args.map(of))
  }

  #assign(into: Assignment | null, value: unknown, scope: Scope): void {
    if (into === null) return
    if (into.isNew) scope.define(into.name, value)
    else scope.change(into.name, value)
  }

  run(nodes: readonly Node[], dot: unknown, scope: Scope): Ending {
    for (const node of nodes) {
      const ending = this.#node(node, dot, scope)
      if (ending !== null) return ending
    }
    return null
  }

  #node(node: Node, dot: unknown, scope: Scope): Ending {
    switch (node.kind) {
      case "text":
        this.#parts.push(node.text)
        return null
      case "break":
      case "continue":
        return node.kind
      case "range":
        return this.#range(node, dot, scope)
      case "action": {
        const value = this.#value(node.value, dot, scope)
        if (node.into === null) this.#parts.push(goText(value))
        else this.#assign(node.into, value, scope)
        return null
      }
      default: {
        const value = this.#value(node.value, dot, scope)
        const inner = new Scope(scope)
        this.#assign(node.into, value, inner)
        if (isTrue(value)) return this.run(node.then, node.kind === "with" ? value : dot, inner)
        return this.run(node.otherwise, dot, inner)
      }
    }
  }

  #range({ value, names, then, otherwise }: Extract<Node, { kind: "range" }>, dot: unknown, scope: Scope): Ending {
    const turns = turnsOf(this.#value(value, dot, scope))
    if (turns.length === 0) return this.run(otherwise, dot, new Scope(scope))
    for (const [key, one] of turns) {
      const inner = new Scope(scope)
      const [first, second] = names
      if (first !== undefined) inner.define(first, second === undefined ? one : key)
      if (second !== undefined) inner.define(second, one)
      if (this.run(then, one, inner) === "break") break
    }
    return null
  }
}

/** Throws UsageError for what the value has not. */
export function evaluate(nodes: readonly Node[], value: unknown, look: Look): string {
  const evaluation = new Evaluation(look)
  const scope = new Scope(null)
  scope.define("", value)
  evaluation.run(nodes, value, scope)
  return evaluation.text
}
