/**
 * `--format` as docker has it, in the forms that are used: fields ({{.Names}}, {{.State.Pid}}), {{json .}} and
 * {{json .Field}}, {{.Label "key"}}, text with \t and \n between them, and before it all "table". Go's language is not here.
 */
import { UsageError } from "../errors.ts"
import { print } from "../log.ts"
import { table } from "./table.ts"

interface Field {
  /** None: the whole. */
  path: readonly string[]
  argument?: string
  json: boolean
}

export interface Template {
  isTable: boolean
  parts: readonly (string | Field)[]
}

const ACTION = /^(?<json>json )?\s*\.(?<path>[A-Za-z_][\w.]*)?(?:\s+"(?<argument>[^"\\]*)")?$/
const FORMS = "use fields as {{.Names}} and {{json .}}, with text between them"

function readAction(text: string): Field {
  const { json, path, argument } = ACTION.exec(text.trim())?.groups ?? {}
  const isKnown = ACTION.test(text.trim()) && (json !== undefined || path !== undefined) && !path?.match(/\.(\.|$)/)
  if (!isKnown) throw new UsageError(`--format: {{${text}}} is not understood`, { hint: FORMS })
  return {
    path: path === undefined ? [] : path.split("."),
    json: json !== undefined,
    ...(argument === undefined ? {} : { argument }),
  }
}

/** Throws UsageError for what is not one of these forms. */
export function parseTemplate(text: string): Template {
  if (text === "json") return { isTable: false, parts: [{ path: [], json: true }] }
  const isTable = text.startsWith("table ")
  const parts: (string | Field)[] = []
  let rest = isTable ? text.slice(6).trimStart() : text
  while (rest !== "") {
    const start = rest.indexOf("{{")
    const end = rest.indexOf("}}", start)
    if (start >= 0 && end < 0) throw new UsageError(`--format: "${rest.slice(start)}" has no }}`, { hint: FORMS })
    const literal = start < 0 ? rest : rest.slice(0, start)
    if (literal !== "") parts.push(literal.replace(/\\([tn])/g, (_, letter) => (letter === "t" ? "\t" : "\n")))
    if (start < 0) break
    parts.push(readAction(rest.slice(start + 2, end)))
    rest = rest.slice(end + 2)
  }
  if (!parts.some((part) => typeof part !== "string"))
    throw new UsageError(`--format: "${text}" has no field`, { hint: FORMS })
  return { isTable, parts }
}

/** Whether a template shows a field. */
export const mentions = ({ parts }: Template, name: string): boolean =>
  parts.some((part) => typeof part !== "string" && part.path[0] === name)

/** The value of a field: of an object, whose functions take the field's argument. Throws UsageError. */
function lookUp(value: unknown, { path, argument }: Field): unknown {
  let found = value
  for (const name of path) {
    const isThere = typeof found === "object" && found !== null && Object.hasOwn(found, name)
    if (!isThere) {
      const known = typeof found === "object" && found !== null ? Object.keys(found).join(", ") : ""
      throw new UsageError(`--format: there is no field .${path.join(".")}`, known ? { hint: `known: ${known}` } : {})
    }
    found = (found as Record<string, unknown>)[name]
  }
  if (typeof found === "function") return found(argument ?? "")
  if (argument !== undefined) throw new UsageError(`--format: .${path.join(".")} takes no argument`)
  return found
}

function shownValue(value: unknown, field: Field): string {
  if (field.json) return JSON.stringify(value ?? null)
  if (typeof value === "object" && value !== null)
    throw new UsageError(`--format: .${field.path.join(".")} has parts`, { hint: `{{json .${field.path.join(".")}}}` })
  return value === null || value === undefined ? "" : String(value)
}

/** One thing. Throws UsageError for fields it has not. */
export const render = ({ parts }: Template, value: object): string =>
  parts.map((part) => (typeof part === "string" ? part : shownValue(lookUp(value, part), part))).join("")

const titleOf = (field: Field, titles: Readonly<Record<string, string>>): string => {
  const name = field.path.at(-1) ?? ""
  return field.argument ?? titles[name] ?? name.toUpperCase()
}

/** Prints things, one a line or as a table with a title over each column. Throws UsageError. */
export function printFormatted(
  text: string,
  values: readonly object[],
  titles: Readonly<Record<string, string>>,
): void {
  const template = parseTemplate(text)
  const lines = values.map((value) => render(template, value))
  const head = template.parts.map((part) => (typeof part === "string" ? part : titleOf(part, titles))).join("")
  print(template.isTable ? [table([head, ...lines].map((line) => line.split("\t")))] : lines)
}
