/** Which containers a command is for, besides those that are named: podman's --all, --latest, --cidfile and --filter. */
import { isErrno } from "../../ffi/errno.ts"
import { readText } from "../../ffi/fs.ts"
import { latestContainer, listContainers, type Summary } from "../container/list.ts"
import { fileFault, ToyboxError, UsageError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import type { ParsedArgv } from "./argv.ts"

/** With the container made last before the other words, where --latest asks for it. Throws ToyboxError where there is none. */
export function withLatest(paths: Paths, argv: ParsedArgv): ParsedArgv {
  if (!argv.booleans.get("latest")) return argv
  const id = latestContainer(paths)
  if (id === null) throw new ToyboxError("--latest: there is no container", { hint: "toybox run makes one" })
  return { ...argv, rest: [id, ...argv.rest] }
}

/** Whether containers are looked for: those that end meanwhile, or go, are none of them any more. */
export const isSearch = ({ booleans, lists }: ParsedArgv): boolean =>
  (booleans.get("all") ?? false) || (lists.get("filter") ?? []).length > 0

/** The id that `run --cidfile` has written; null where the file is not there, and that is to be no error. */
function readIdFile(path: string, ignore: boolean): string | null {
  let id: string
  try {
    id = readText(path).trim()
  } catch (cause) {
    if (ignore && isErrno(cause, "ENOENT")) return null
    throw new ToyboxError(`--cidfile: cannot read ${path}`, { cause: fileFault(cause) })
  }
  if (id === "" || /\s/.test(id)) throw new ToyboxError(`--cidfile: ${path} has no container's id in it`)
  return id
}

/**
 * The containers that a command is for; null where they were to be found, and there are none. `fits`: those that --all and --filter
 * mean. Throws UsageError where they are chosen in two ways.
 */
export async function chosenContainers(
  command: string,
  paths: Paths,
  argv: ParsedArgv,
  fits: (summary: Summary) => boolean,
): Promise<readonly string[] | null> {
  const { booleans, lists, rest } = argv
  const filters = lists.get("filter") ?? []
  const files = lists.get("cidfile") ?? []
  const isFiltered = filters.length > 0
  const [first, second] = [
    ...(booleans.get("all") ? ["--all"] : []),
    ...(booleans.get("latest") ? ["--latest"] : []),
    ...(files.length > 0 ? ["--cidfile"] : []),
    ...(isFiltered && !booleans.get("all") ? ["--filter"] : []),
  ]
  if (first !== undefined && second !== undefined)
    throw new UsageError(`${command}: ${first} and ${second} exclude each other`)
  if (first !== undefined && first !== "--cidfile" && rest.length > 0)
    throw new UsageError(`${command} ${first} takes no names`)
  if (first === "--latest") return withLatest(paths, argv).rest
  if (first === "--cidfile") {
    const ignore = booleans.get("ignore") ?? booleans.get("if-exists") ?? false
    const ids = files.flatMap((path) => readIdFile(path, ignore) ?? [])
    return ids.length + rest.length === 0 ? null : [...rest, ...ids]
  }
  if (first === undefined) return rest
  const isMeant = isFiltered ? (await import("./filter.ts")).containerFilter(paths, filters) : () => true
  const found = listContainers(paths, true).filter((summary) => fits(summary) && isMeant(summary))
  return found.length === 0 ? null : found.map(({ id }) => id)
}
