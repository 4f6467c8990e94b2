/** What citty has to be told of a command for its usage text. */
import type { ArgsDef, CommandDef } from "citty"

/** Whose last word may be several. */
const SEVERAL = new Set(
  "run create exec start restart update stop kill wait pause unpause rm stats top inspect save rmi cache network volume".split(
    " ",
  ),
)

/** It puts one dash before each alias, and knows of no word that may be several. */
export function shownCommand(name: string, command: CommandDef): CommandDef {
  const all = Object.entries((command.args ?? {}) as ArgsDef)
  const last = all.findLast(([, { type }]) => type === "positional")
  const shown = all.map(([word, arg]) => {
    if (arg === last?.[1] && SEVERAL.has(name)) return [`${word}…`, arg]
    const { alias } = arg as { alias?: string | string[] }
    const long = (alias === undefined ? [] : [alias].flat()).map((one) => (one.length > 1 ? `-${one}` : one))
    return [word, long.length > 0 ? { ...arg, alias: long } : arg]
  })
  return { ...command, args: Object.fromEntries(shown) as ArgsDef }
}
