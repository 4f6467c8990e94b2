/** The checked reader of `mounts`: runtime-spec 1.2, config.md, "Mounts". */
import { UsageError } from "../errors.ts"
import { below, integer, list, object, type Read, refuse, text, uint32, word } from "./decode.ts"
import type { IDMapping, Mount } from "./runtime.ts"

/** An absolute path without ".", ".." and doubled slashes; a relative one is one from "/". As text: nothing is looked up. */
export function cleanPath(path: string): string {
  const names: string[] = []
  for (const name of path.split("/")) {
    if (name === "..") names.pop()
    else if (name !== "" && name !== ".") names.push(name)
  }
  return `/${names.join("/")}`
}

interface GivenMount {
  destination: string
  type?: string
  source?: string
  options?: string[]
  uidMappings?: IDMapping[]
  gidMappings?: IDMapping[]
}

/** One entry of a uid or gid map. */
export const readMapping: Read<IDMapping> = object<IDMapping>(
  { containerID: uint32, hostID: uint32, size: integer(1, 2 ** 32) },
  ["containerID", "hostID", "size"],
)

const given = object<GivenMount>(
  {
    destination: word,
    type: text,
    source: text,
    options: list(text),
    uidMappings: list(readMapping),
    gidMappings: list(readMapping),
  },
  ["destination"],
)

const isBind = ({ type, options = [] }: GivenMount) =>
  type === "bind" || type === "rbind" || options.includes("bind") || options.includes("rbind")

/** With type and source filled in: a bind mount has the type "bind", any other its own name as the source. */
const mount =
  (bundle: string): Read<Mount> =>
  (value, where) => {
    const found = given(value, where)
    const { type = "", source = "", options = [], ...rest } = found
    const destination = cleanPath(found.destination)
    if (destination === "/") refuse(below(where, "destination"), "below the root", found.destination)
    if (isBind(found)) {
      if (source === "") throw new UsageError(`${below(where, "source")}: is missing, which a bind mount needs`)
      const recursive = type === "rbind" && !options.includes("bind") && !options.includes("rbind")
      return {
        ...rest,
        destination,
        type: "bind",
        source: source.startsWith("/") ? source : `${bundle}/${source}`,
        options: recursive ? ["rbind", ...options] : options,
      }
    }
    if (type === "" && !options.includes("remount")) {
      throw new UsageError(`${below(where, "type")}: is missing, which only a bind mount needs not have`)
    }
    return { ...rest, destination, type: type || "none", source: source || type || "none", options }
  }

/** The mounts of a bundle, to which relative bind sources are made absolute. Throws UsageError. */
export const readMounts = (bundle: string): Read<Mount[]> => list(mount(bundle))
