import { createHash } from "node:crypto"
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import { callResult, scratch } from "../../ffi/call.ts"

const NUL = Buffer.from([0])

/** The extended attributes of a file itself: name and value, in hexadecimal. */
function xattrs(path: Buffer): string {
  const terminated = Buffer.concat([path, NUL])
  const size = callResult("llistxattr", terminated, scratch.address, scratch.bytes.length)
  const names = size > 0 ? Buffer.from(scratch.bytes.slice(0, size)).toString("latin1").split("\0").slice(0, -1) : []
  return names
    .sort()
    .map((name) => {
      const length = callResult("lgetxattr", terminated, name, scratch.address, scratch.bytes.length)
      return `${name}=${Buffer.from(scratch.bytes.slice(0, Math.max(0, length))).toString("hex")}`
    })
    .join(",")
}

function describe(path: Buffer, stat: BigIntStats): string[] {
  const content = stat.isSymbolicLink()
    ? readlinkSync(path, { encoding: "latin1" })
    : stat.isFile()
      ? createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16)
      : ""
  const isDirectory = stat.isDirectory()
  const { mode, uid, gid, rdev, mtimeNs } = stat
  return [
    mode.toString(8),
    `${uid}:${gid}`,
    isDirectory ? "" : `${stat.nlink} links`,
    rdev === 0n ? "" : `device ${rdev}`,
    isDirectory ? "" : `${stat.size} bytes`,
    `${mtimeNs}`,
    xattrs(path),
    content,
  ]
}

/**
 * Everything about every file of a tree, but for inode numbers and the times nobody can set: one line each, by path; names
 * as bytes. Files that are the same name each other.
 */
export function listing(root: string, options: { times?: boolean } = {}): string[] {
  const first = new Map<string, string>()
  const lines: string[] = []
  const visit = (path: Buffer, name: string) => {
    const stat = lstatSync(path, { bigint: true })
    const parts = describe(path, stat)
    if (options.times === false) parts[5] = ""
    const key = `${stat.dev}/${stat.ino}`
    const same = first.get(key) ?? name
    first.set(key, same)
    lines.push(`${JSON.stringify(name)} ${parts.join(" ")}${same === name ? "" : ` = ${JSON.stringify(same)}`}`)
    if (!stat.isDirectory()) return
    const names = readdirSync(path, { encoding: "buffer" }).map((child) => child.toString("latin1"))
    for (const child of names.sort()) {
      visit(Buffer.concat([path, Buffer.from(`/${child}`, "latin1")]), name === "." ? child : `${name}/${child}`)
    }
  }
  visit(Buffer.from(root), ".")
  return lines
}
