/** Docker's management commands: other words for commands that there are. */
import { UsageError } from "../errors.ts"
import { parseLeading } from "./argv.ts"
import { GROUP_OPTIONS } from "./commands/run-options.ts"
import { table } from "./table.ts"

type Group = Readonly<Record<string, readonly string[]>>

/** Commands that are called the same in the group. */
const same = (names: string): Group => Object.fromEntries(names.split(" ").map((name) => [name, [name]]))

const GROUPS: Readonly<Record<string, Group>> = {
  image: {
    ...same("history import load pull push save tag"),
    inspect: ["inspect", "--type", "image"],
    ls: ["images"],
    list: ["images"],
    prune: ["prune", "--only", "images"],
    rm: ["rmi"],
    remove: ["rmi"],
  },
  container: {
    ...same(
      "attach commit cp create diff exec export kill logs pause port ps rename restart rm run start stats stop top",
    ),
    ...same("unpause update wait"),
    inspect: ["inspect", "--type", "container"],
    ls: ["ps"],
    list: ["ps"],
    prune: ["prune", "--only", "containers"],
    remove: ["rm"],
  },
  system: same("df events info prune"),
}

const groupOf = (name: string): Group | undefined => (Object.hasOwn(GROUPS, name) ? GROUPS[name] : undefined)

const namesOf = (group: Group): string[] => Object.keys(group).sort()

export const GROUP_NAMES: readonly string[] = Object.keys(GROUPS)

/** The words in a group, each with those of the command that it is; null where `name` is no group. */
export function groupWords(name: string): [word: string, meant: readonly string[]][] | null {
  const group = groupOf(name)
  return group === undefined ? null : namesOf(group).map((word) => [word, group[word] ?? []])
}

/** What there is in a group, each with the command that it is; null where `name` is no group. */
export function groupUsage(name: string): string | null {
  const words = groupWords(name)
  if (words === null) return null
  const rows = words.map(([word, meant]) => [`  ${word}`, ["toybox", ...meant].join(" ")])
  return `USAGE toybox ${name} COMMAND\n\nCOMMANDS, each with what it is the same as\n\n${table(rows)}\n`
}

/** The words of the command that is meant; null where `name` is no such group. Throws UsageError. */
export function spelledOut(name: string, words: readonly string[]): string[] | null {
  const group = groupOf(name)
  if (group === undefined) return null
  const { booleans, rest: named } = parseLeading(words, GROUP_OPTIONS)
  if (booleans.get("help")) return ["help", name]
  const [word, ...rest] = named
  const meant = word !== undefined && Object.hasOwn(group, word) ? group[word] : undefined
  const options = words.slice(0, words.length - named.length).filter((one) => one !== "--")
  if (meant !== undefined) return [...options, ...meant, ...rest]
  const hint = namesOf(group).join(", ")
  throw new UsageError(word === undefined ? `${name} needs a command` : `"${word}" is not a command of ${name}`, {
    hint,
  })
}
