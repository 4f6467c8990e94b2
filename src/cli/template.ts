/** `--format` as docker has it: Go's templates, "json", and before a template "table". */
import { UsageError } from "../errors.ts"
import { print } from "../log.ts"
import { printTable } from "./table.ts"
import { evaluate, type Look } from "./template/evaluate.ts"
import { FUNCTIONS, HEADING_FUNCTIONS } from "./template/functions.ts"
import { type Node, parse } from "./template/parse.ts"
import { isThings } from "./template/print.ts"
import { tokenize } from "./template/tokens.ts"

export interface Template {
  isTable: boolean
  nodes: readonly Node[]
  /** The names of all the fields that are asked for, at whatever depth. */
  fields: ReadonlySet<string>
}

const KNOWN = new Set([...Object.keys(FUNCTIONS), "and", "or"])

/** Throws UsageError for what is no template, or shows nothing of a thing. */
export function parseTemplate(text: string): Template {
  const isTable = text.startsWith("table ")
  const pieces = tokenize(text === "json" ? "{{json .}}" : isTable ? text.slice(6).trimStart() : text)
  const actions = pieces.flatMap((piece) => ("action" in piece ? [piece.action] : []))
  if (actions.length === 0)
    throw new UsageError(`--format: "${text}" has no field`, {
      hint: "use fields as {{.Name}}, with text between them",
    })
  const fields = actions.flat().flatMap((token) => (token.kind === "field" ? [token.name] : []))
  return { isTable, nodes: parse(pieces, KNOWN), fields: new Set(fields) }
}

/** Whether a template shows a field. */
export const mentions = ({ fields }: Template, name: string): boolean => fields.has(name)

/** Docker's own fields have names that begin with a capital; what has others, or none, is a map with any keys. */
const isMap = (value: object): boolean => {
  const names = Object.keys(value)
  return names.length === 0 || names.some((name) => !/^\p{Lu}/u.test(name))
}

const VALUES: Look = {
  functions: FUNCTIONS,
  field(of, asked, args, path) {
    // Docker's own name of what is Id in its JSON, by which templates can ask, too.
    const name = asked === "ID" && isThings(of) && !Object.hasOwn(of, asked) && Object.hasOwn(of, "Id") ? "Id" : asked
    const isThere = isThings(of) && Object.hasOwn(of, name)
    if (!isThere && isThings(of) && isMap(of)) return undefined
    if (!isThere) {
      const hint = isThings(of) ? { hint: `known: ${Object.keys(of).join(", ")}` } : {}
      throw new UsageError(`--format: there is no field ${path}`, hint)
    }
    const found = of[name]
    if (typeof found === "function") return found(args[0] ?? "")
    if (args.length > 0) throw new UsageError(`--format: ${path} takes no argument`)
    return found
  },
}

/** One thing. Throws UsageError for fields it has not. */
export const render = ({ nodes }: Template, value: object): string => evaluate(nodes, value, VALUES)

/** The headings of the columns that a template makes. */
const headings = ({ nodes }: Template, titles: Readonly<Record<string, string>>): string =>
  evaluate(nodes, "", {
    functions: HEADING_FUNCTIONS,
    field: (_, name, args) => args[0] ?? titles[name] ?? name.toUpperCase(),
  })

/**
 * Prints things, one a line or as a table, with a title over each column unless those are not wanted. False as of print. Throws
 * UsageError.
 */
export function printFormatted(
  text: string,
  values: readonly object[],
  titles: Readonly<Record<string, string>>,
  titled = true,
): boolean {
  const template = parseTemplate(text)
  const lines = values.map((value) => render(template, value))
  const rows = template.isTable && titled ? [headings(template, titles), ...lines] : lines
  return template.isTable ? printTable(rows.map((line) => line.split("\t"))) : print(lines)
}
