/** Docker's management commands: other words for commands that there are. */
import { UsageError } from "../errors.ts"

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

/** The words of the command that is meant; null where `name` is no such group. Throws UsageError. */
export function spelledOut(name: string, [word, ...rest]: readonly string[]): string[] | null {
  const group = Object.hasOwn(GROUPS, name) ? GROUPS[name] : undefined
  if (group === undefined) return null
  const meant = word !== undefined && Object.hasOwn(group, word) ? group[word] : undefined
  if (meant !== undefined) return [...meant, ...rest]
  const hint = Object.keys(group).sort().join(", ")
  throw new UsageError(word === undefined ? `${name} needs a command` : `"${word}" is not a command of ${name}`, {
    hint,
  })
}
