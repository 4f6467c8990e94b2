/** What a run on an archive or address would do for its root, as shell commands. */
import type { Paths } from "../paths.ts"
import { findCached } from "./cache/lookup.ts"
import type { ArchiveSource } from "./source.ts"

const quote = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)

/** Where a root that is not there yet would be; its digest is known only when all has been read. */
export const futureRoot = (paths: Paths): string => `${paths.layers}/sha256/…/root`

/** The lines; `cached` is the root where it can be used as it is. Changes nothing. */
export function archiveLines(source: ArchiveSource, paths: Paths, cached: string | null): string[] {
  const { kind, name, checksum, ca } = source
  if (cached !== null) return [`# The root file system: ${name} is in the cache`, `ls -d ${quote(cached)}`, ""]
  const known = kind === "address" && checksum === null && findCached(paths, kind, name, null) !== null
  const made = `${paths.layers}/new`
  const archive = kind === "file" ? name : `${made}/archive`
  const trust = ca.map((file) => ` --ca-certificate=${quote(file)}`).join("")
  // A password must not show in a terminal's history, nor here.
  const user = source.authorization === undefined ? "" : " --user=… --ask-password"
  return [
    known ? `# The root file system, if it is not as in the cache any more` : "# The root file system",
    `mkdir -p ${quote(`${made}/root`)}`,
    ...(kind === "address" ? [`wget${trust}${user} -O ${quote(archive)} ${quote(name)}`] : []),
    ...(checksum
      ? [
          `echo ${quote(`${checksum.text.slice(checksum.text.indexOf(":") + 1)}  ${archive}`)} | ${checksum.algorithm}sum -c`,
        ]
      : []),
    `tar --numeric-owner --xattrs --xattrs-include='*' -xpf ${quote(archive)} -C ${quote(`${made}/root`)}`,
    `mv ${quote(`${made}/root`)} ${quote(futureRoot(paths))}`,
    "",
  ]
}
