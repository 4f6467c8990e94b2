/** Words of a Dockerfile's instructions: quotes, backslashes and variables, as docker reads them. */

const RAW = /(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'\\]|\\$)+/gs
const VARIABLE = String.raw`\$(?:(?<name>[A-Za-z_]\w*)|\{(?<braced>[A-Za-z_]\w*)(?:(?<how>:?[-+])(?<other>(?:\$\{[^}]*\}|[^}])*))?\})`
const QUOTED = new RegExp(String.raw`\\(?<escaped>["$\\])|${VARIABLE}`, "gs")
const BARE = new RegExp(String.raw`\\(?<escaped>.)|'(?<single>[^']*)'|"(?<double>(?:\\.|[^"\\])*)"|${VARIABLE}`, "gs")

/** Variables of a container as its config has them: NAME=VALUE. */
export type Variables = readonly string[]

/** The words of a line, with their quotes and backslashes; null where a quote is not closed. */
export function rawWords(text: string): string[] | null {
  const isWhole = text.replace(RAW, "").trim() === ""
  return isWhole ? (text.match(RAW) ?? []) : null
}

function substituted(groups: Record<string, string | undefined>, variables: Variables): string {
  const { name = groups.braced, how, other = "" } = groups
  const value = variables.find((entry) => entry.startsWith(`${name}=`))?.slice(`${name}=`.length)
  // With a colon an empty one is none.
  const isSet = value !== undefined && (value !== "" || !how?.startsWith(":"))
  if (how?.endsWith("+")) return isSet ? expanded(other, variables) : ""
  return isSet || how === undefined ? (value ?? "") : expanded(other, variables)
}

/** What a word means: without its quotes, and with the values of its variables, "" for those that are not there. */
export function expanded(raw: string, variables: Variables): string {
  const replace = (text: string, pattern: RegExp): string =>
    text.replace(pattern, (...found) => {
      const groups = found.at(-1) as Record<string, string | undefined>
      const { escaped, single, double } = groups
      if (double !== undefined) return replace(double, QUOTED)
      return escaped ?? single ?? substituted(groups, variables)
    })
  return replace(raw, BARE)
}
