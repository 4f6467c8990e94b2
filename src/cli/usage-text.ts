/** Usage texts: what a command is for, then its words, options or commands in two columns that fit a terminal. */
import { styleText } from "node:util"
import type { ArgDef, ArgsDef, CommandDef, CommandMeta } from "citty"

/** Where no terminal tells its own, as behind a pipe. */
const WIDTH = 80

/** A term that is wider has its description below it, and keeps the others' columns where they are. */
const TERM_WIDTH = 32

/** Of "-m, ": long names stand below one another, whether a short one comes before or not. */
const SHORT_WIDTH = 4

type Row = readonly [term: string, description: string]

/** The text of one command; `of` is what it is a command of, `several` says that its last word may be several. */
export function usageText(command: CommandDef, of: CommandDef, several = false): string {
  const { name = "", description = "" } = metaOf(command)
  const { name: above, version } = metaOf(of)
  const called = command === of ? name : `${above} ${name}`
  const args = Object.entries((command.args ?? {}) as ArgsDef)
  const words = args.filter(([, { type }]) => type === "positional")
  const options = args.filter(([, { type }]) => type !== "positional").map(([long, arg]) => optionRow(long, arg))
  const commands = Object.entries((command.subCommands ?? {}) as Record<string, CommandDef>)
  const shownWords = words.map(([word, arg], place): [string, ArgDef] => {
    return [`${word.toUpperCase()}${several && place === words.length - 1 ? "…" : ""}`, arg]
  })
  const usage = [
    called,
    ...(args.length > 0 ? ["[OPTIONS]"] : []),
    ...shownWords.map(([word, { required }]) => (required === false ? `[${word}]` : `<${word}>`)),
    ...(commands.length > 0 ? ["<COMMAND>"] : []),
  ]
  return [
    `${description} (${called}${version ? ` v${version}` : ""})`,
    `${title("USAGE")} ${usage.join(" ")}`,
    ...section(
      "ARGUMENTS",
      shownWords.map(([word, arg]) => [word, arg.description ?? ""]),
    ),
    ...section("OPTIONS", options),
    ...section(
      "COMMANDS",
      commands.map(([word, one]) => [word, metaOf(one).description ?? ""]),
    ),
    ...(commands.length > 0 ? [`Use ${called} <command> --help for more information about a command.`] : []),
  ].join("\n\n")
}

/** A heading, set off on a terminal that shows such things. */
export const title = (text: string): string => styleText(["bold", "underline"], text, { stream: process.stdout })

/** Rows below a heading; none where there are no rows. */
export function section(heading: string, rows: readonly Row[]): string[] {
  if (rows.length === 0) return []
  const columns = process.stdout.columns || WIDTH
  // On a narrow terminal the descriptions have half of it.
  const most = Math.min(TERM_WIDTH, Math.floor(columns / 2) - 4)
  const fitting = rows.map(([term]) => term.length).filter((length) => length <= most)
  const indent = 2 + Math.max(0, ...fitting) + 2
  const width = columns - indent
  const lines = rows.flatMap(([term, description]) => {
    const [first = "", ...others] = wrapped(description, width)
    const start = `  ${term}`
    const head =
      start.length + 2 <= indent ? [`${start.padEnd(indent)}${first}`] : [start, `${" ".repeat(indent)}${first}`]
    return [...head.map((line) => line.trimEnd()), ...others.map((line) => `${" ".repeat(indent)}${line}`)]
  })
  return [title(heading), lines.join("\n")]
}

/** Text in lines of at most `width` characters, where its words allow that. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** "-m, --memory, --mem=<500M>": the short name first, and the one that the others are aliases of last. */
function optionRow(long: string, arg: ArgDef): Row {
  const { alias, valueHint } = arg as { alias?: string | string[]; valueHint?: string }
  const aliases = alias === undefined ? [] : [alias].flat()
  const short = aliases.filter((one) => one.length === 1).map((one) => `-${one}`)
  const names = [...short, ...[...aliases.filter((one) => one.length > 1), long].map((one) => `--${one}`)].join(", ")
  const value = arg.type === "string" ? `=<${valueHint ?? long.toUpperCase()}>` : ""
  return [`${short.length > 0 ? "" : " ".repeat(SHORT_WIDTH)}${names}${value}`, arg.description ?? ""]
}

const metaOf = (command: CommandDef): CommandMeta => (command.meta ?? {}) as CommandMeta
