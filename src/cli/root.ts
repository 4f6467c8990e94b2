/** The first word of `run`: a directory, an archive, an address, an image, or base. */
import { S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { isDirectory, stat } from "../../ffi/fs.ts"
import { UsageError } from "../errors.ts"
import { BASE, basePath } from "../image/base.ts"
import { type ArchiveSource, cachedRoot } from "../image/source.ts"
import type { Paths } from "../paths.ts"
import type { ParsedArgv } from "./argv.ts"
import { normalPath } from "./flags/path.ts"

/** What a run stands on. */
export interface RootChoice {
  /** As it may be shown and kept. */
  image: string
  /** The directory; null where it has to be fetched or unpacked first. */
  lower: string | null
  archive: ArchiveSource | null
  /** An image, of the store or a registry. */
  fromStore: boolean
}

const NOT_FOR_DIRECTORIES = [
  "checksum",
  "pull",
  "ca",
  "platform",
  "arch",
  "variant",
  "os",
  "insecure",
  "tls-verify",
] as const

async function archiveSource(argv: ParsedArgv, kind: "file" | "address", name: string): Promise<ArchiveSource> {
  const { strings, lists } = argv
  const checksum = strings.get("checksum")
  const source = {
    kind,
    name,
    checksum:
      checksum === undefined ? null : (await import("../image/checksum.ts")).parseChecksum("--checksum", checksum),
    pull: (await import("./flags/image.ts")).pullPolicy(strings.get("pull"), "newer"),
    ca: lists.get("ca") ?? [],
    authorization: undefined,
  }
  if (kind === "file") return source
  const { parseAddress } = await import("../image/fetch/address.ts")
  const { url, authorization } = parseAddress(name)
  return { ...source, name: url.href, authorization }
}

/** Reads the root file system as typed; what the cache has is taken from there. Throws UsageError. */
export async function chooseRoot(argv: ParsedArgv, image: string, paths: Paths): Promise<RootChoice> {
  const isAddress = image.includes("://") && /^https?:\/\//i.test(image)
  const path = image.startsWith("/") ? image : `${process.cwd()}/${image}`
  const found = image === BASE || isAddress ? null : stat(path)
  if (isAddress || (found && (found.mode & S_IFMT) === S_IFREG)) {
    const archive = await archiveSource(argv, isAddress ? "address" : "file", isAddress ? image : normalPath(path))
    return { image: isAddress ? archive.name : image, lower: cachedRoot(archive, paths), archive, fromStore: false }
  }
  if (image !== BASE && !found) {
    const named = (await import("./image.ts")).imageName(image, paths)
    if (named !== null) {
      if (argv.typed.has("checksum"))
        throw new UsageError("--checksum is for archives and addresses", { hint: `name the digest: ${image}@sha256:…` })
      return { image: named.shown, lower: null, archive: null, fromStore: true }
    }
  }
  const unfit = NOT_FOR_DIRECTORIES.find((name) => argv.typed.has(name))
  if (unfit) {
    const kinds = unfit === "checksum" ? "archives and addresses" : "images, archives and addresses"
    throw new UsageError(`--${unfit} is for ${kinds}, which ${image} is not`)
  }
  if (image === BASE) return { image, lower: basePath(paths.bases), archive: null, fromStore: false }
  const hint = "give a directory that holds a root file system, an archive or address of one, an image, or base"
  if (!found) throw new UsageError(`${image}: there is no such directory or archive`, { hint })
  if (!isDirectory(found)) throw new UsageError(`${image} is not a directory`, { hint })
  return { image, lower: normalPath(path), archive: null, fromStore: false }
}
