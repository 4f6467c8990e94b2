/** The first word of `run`: a directory, an archive, an address, or base. */
import { S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { isDirectory, stat } from "../../ffi/fs.ts"
import { UsageError } from "../errors.ts"
import { BASE, basePath } from "../image/base.ts"
import { type ArchiveSource, cachedRoot, type PullPolicy } from "../image/source.ts"
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
}

const POLICIES: readonly PullPolicy[] = ["always", "newer", "missing", "never"]
const ONLY_ARCHIVES = ["checksum", "pull", "ca"] as const

function pullPolicy(text: string | undefined): PullPolicy {
  const policy = POLICIES.find((known) => known === (text ?? "newer"))
  if (policy === undefined) throw new UsageError(`--pull: "${text}" is not known (use ${POLICIES.join(", ")})`)
  return policy
}

async function archiveSource(argv: ParsedArgv, kind: "file" | "address", name: string): Promise<ArchiveSource> {
  const { strings, lists } = argv
  const checksum = strings.get("checksum")
  const source = {
    kind,
    name,
    checksum:
      checksum === undefined ? null : (await import("../image/checksum.ts")).parseChecksum("--checksum", checksum),
    pull: pullPolicy(strings.get("pull")),
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
  const isAddress = /^https?:\/\//i.test(image)
  const path = image.startsWith("/") ? image : `${process.cwd()}/${image}`
  const found = image === BASE || isAddress ? null : stat(path)
  if (isAddress || (found && (found.mode & S_IFMT) === S_IFREG)) {
    const archive = await archiveSource(argv, isAddress ? "address" : "file", isAddress ? image : normalPath(path))
    return { image: isAddress ? archive.name : image, lower: cachedRoot(archive, paths), archive }
  }
  const unfit = ONLY_ARCHIVES.find((name) => argv.typed.has(name))
  if (unfit) throw new UsageError(`--${unfit} is for archives and addresses, which ${image} is not`)
  if (image === BASE) return { image, lower: basePath(paths.bases), archive: null }
  const hint = "give a directory that holds a root file system, an archive or address of one, or base"
  if (!found) throw new UsageError(`${image}: there is no such directory or archive`, { hint })
  if (!isDirectory(found)) throw new UsageError(`${image} is not a directory`, { hint })
  return { image, lower: normalPath(path), archive: null }
}
