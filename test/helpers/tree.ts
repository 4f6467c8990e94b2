import { createHash } from "node:crypto"
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import { join } from "node:path"

function entry(path: string): string {
  const stat = lstatSync(path, { bigint: true })
  const content = stat.isSymbolicLink()
    ? readlinkSync(path)
    : stat.isFile()
      ? createHash("sha256").update(readFileSync(path)).digest("hex")
      : ""
  const { mode, uid, gid, nlink, rdev, mtimeNs, ctimeNs } = stat
  return [mode.toString(8), uid, gid, nlink, rdev, mtimeNs, ctimeNs, content].join(" ")
}

/** Every file of a tree by path, with all that writing to it would change. */
export function fingerprint(dir: string, name = "."): Record<string, string> {
  const path = join(dir, name)
  const found: Record<string, string> = { [name]: entry(path) }
  if (!lstatSync(path).isDirectory()) return found
  for (const child of readdirSync(path)) Object.assign(found, fingerprint(dir, join(name, child)))
  return found
}
