/** The options of ps(1) that `top` understands, and podman's words for columns. */
import { UsageError } from "../../errors.ts"
import { COLUMNS, type Column, INNER_COLUMNS } from "./columns.ts"
import type { ProcessInfo } from "./processes.ts"

/** A table of processes. */
export interface ProcessTable {
  columns: readonly Column[]
  /** Whether there is a line of titles. */
  titles: boolean
  /** By which columns the processes are sorted; else by their numbers. */
  sort: readonly { column: Column; descending: boolean }[]
}

const own = (title: string, name: string): Column => ({ ...columnNamed(name), title })
const listed = (names: string): Column[] => names.split(" ").map((name) => columnNamed(name))

// Where ps -f and ps u have titles of their own.
const BASIC = [...listed("pid tname time"), own("CMD", "comm")]
const FULL = [own("UID", "user"), ...listed("pid ppid c stime tname time cmd")]
const BSD_BASIC = [...listed("pid"), own("TTY", "tt"), ...listed("stat bsdtime command")]
const BSD_FULL = [...listed("user pid %cpu %mem vsz rss"), own("TTY", "tt"), ...listed("stat bsdstart bsdtime command")]

function columnNamed(name: string, columns = COLUMNS): Column {
  const found = Object.hasOwn(columns, name.toLowerCase()) ? columns[name.toLowerCase()] : undefined
  if (found) return found
  throw new UsageError(`top: "${name}" is not a column`, { hint: `use ${Object.keys(COLUMNS).join(", ")}` })
}

/** `pid,args` or `pid=NUMBER,args=`: with titles of the caller's own. */
const columnList = (list: string, columns?: typeof COLUMNS): Column[] =>
  list
    .split(/[,\s]+/)
    .filter(Boolean)
    .map((word) => {
      const [name = "", title] = word.split(/=(.*)/s, 2)
      const column = columnNamed(name, columns)
      return title === undefined ? column : { ...column, title }
    })

const sortKeys = (list: string): ProcessTable["sort"] =>
  list.split(",").map((word) => ({
    column: columnNamed(word.replace(/^[+-]/, "")),
    descending: word.startsWith("-"),
  }))

interface Asked {
  own: Column[]
  usual: readonly Column[] | null
  titles: boolean
  sort: ProcessTable["sort"]
}

/** Reads letters that stand together, as in -ef and axo; returns whether a list of columns is to follow, or the list itself. */
function readLetters(asked: Asked, letters: string, isUnix: boolean, whole: string): boolean | string {
  for (const [i, letter] of [...letters].entries()) {
    if (letter === "o") return letters.slice(i + 1) || true
    if (letter === "f" || letter === "F") asked.usual = FULL
    else if (letter === "u") asked.usual = BSD_FULL
    // All processes of the container are meant anyway, at any width.
    else if ("axw".includes(letter)) asked.usual ??= isUnix ? null : BSD_BASIC
    else if (!"eAd".includes(letter))
      throw new UsageError(`top: "${whole}" is not understood`, { hint: "use -ef, aux, or -o pid,user,args" })
  }
  return false
}

/** Reads ps options: `-ef` (also where there are none), `aux`, `-o LIST`, `--sort`, or podman's `pid user args`. Throws UsageError. */
export function processTable(options: readonly string[]): ProcessTable {
  // podman's words name columns, of which some mean the container's numbers.
  const bare = options.length > 0 && options.every((word) => Object.hasOwn(COLUMNS, word.toLowerCase()))
  if (bare) return { columns: options.map((word) => columnNamed(word, INNER_COLUMNS)), titles: true, sort: [] }
  const asked: Asked = { own: [], usual: options.length === 0 ? FULL : null, titles: true, sort: [] }
  const words = [...options]
  const next = (option: string, value: string | undefined): string => {
    const text = value ?? words.shift()
    if (text === undefined) throw new UsageError(`top: ${option} needs a list of columns`, { hint: "-o pid,user,args" })
    return text
  }
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [option = "", value] = word.split(/=(.*)/s, 2)
    if (option === "--sort") asked.sort = sortKeys(next(option, value))
    else if (option === "--format") asked.own.push(...columnList(next(option, value)))
    else if (/^--no-?head(ers?|ings?)$/.test(option)) asked.titles = false
    else {
      const isUnix = word.startsWith("-")
      const list = readLetters(asked, isUnix ? word.slice(1) : word, isUnix, word)
      if (list !== false) asked.own.push(...columnList(next("-o", list === true ? undefined : list)))
    }
  }
  const columns = asked.own.length > 0 ? asked.own : (asked.usual ?? BASIC)
  return { columns, titles: asked.titles && columns.some(({ title }) => title !== ""), sort: asked.sort }
}

/** As numbers where both are. */
const compare = (a: string, b: string): number => Number(a) - Number(b) || (a < b ? -1 : a > b ? 1 : 0)

/** Titles and rows. */
export function processRows(processes: readonly ProcessInfo[], { columns, titles, sort }: ProcessTable): string[][] {
  const sorted = processes.toSorted((a, b) => {
    for (const { column, descending } of sort) {
      const order = compare(column.value(a), column.value(b))
      if (order !== 0) return descending ? -order : order
    }
    return a.pid - b.pid
  })
  const rows = sorted.map((process) => columns.map((column) => column.value(process)))
  return titles ? [columns.map(({ title }) => title), ...rows] : rows
}
