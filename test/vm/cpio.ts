import { closeSync, openSync, readFileSync, writeSync } from "node:fs"

/** One entry of an initramfs. `data` is the content of a file or the target of a symlink. */
export type CpioEntry =
  | { kind: "file"; path: string; mode: number; data: Uint8Array | { host: string } }
  | { kind: "directory"; path: string; mode: number }
  | { kind: "symlink"; path: string; target: string }
  | { kind: "device"; path: string; mode: number; major: number; minor: number }

const S_IFDIR = 0o040000
const S_IFCHR = 0o020000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000

const encoder = new TextEncoder()

function hex(value: number): string {
  return value.toString(16).padStart(8, "0")
}

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - (length % 4)) % 4)
}

function record(ino: number, path: string, mode: number, data: Uint8Array, rdev: [number, number]): Uint8Array[] {
  const name = encoder.encode(`${path}\0`)
  const fields = [ino, mode, 0, 0, 1, 0, data.length, 0, 0, rdev[0], rdev[1], name.length, 0]
  const header = encoder.encode(`070701${fields.map(hex).join("")}`)
  return [header, name, padding(header.length + name.length), data, padding(data.length)]
}

function encodeEntry(ino: number, entry: CpioEntry): Uint8Array[] {
  const path = entry.path.replace(/^\/+/, "")
  const nothing = new Uint8Array(0)
  switch (entry.kind) {
    case "file": {
      const data = entry.data instanceof Uint8Array ? entry.data : readFileSync(entry.data.host)
      return record(ino, path, S_IFREG | entry.mode, data, [0, 0])
    }
    case "directory":
      return record(ino, path, S_IFDIR | entry.mode, nothing, [0, 0])
    case "symlink":
      return record(ino, path, S_IFLNK | 0o777, encoder.encode(entry.target), [0, 0])
    case "device":
      return record(ino, path, S_IFCHR | entry.mode, nothing, [entry.major, entry.minor])
  }
}

/** `entries` with every directory that their paths need, directories first and the outermost of them before all. */
function withParents(entries: readonly CpioEntry[]): CpioEntry[] {
  const directories = new Map<string, CpioEntry>()
  for (const { path } of entries) {
    const parts = path.split("/").slice(0, -1)
    for (let i = 2; i <= parts.length; i++) {
      const parent = parts.slice(0, i).join("/")
      directories.set(parent, { kind: "directory", path: parent, mode: 0o755 })
    }
  }
  for (const entry of entries) if (entry.kind === "directory") directories.set(entry.path, entry)
  const sorted = [...directories.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  return [...sorted, ...entries.filter((entry) => entry.kind !== "directory")]
}

/**
 * Writes `entries` (absolute paths) to `file` in the newc format, uncompressed: the kernel copies that faster than an
 * emulated processor inflates it. Parent directories are added.
 */
export function writeCpio(file: string, entries: readonly CpioEntry[]): void {
  const fd = openSync(file, "w")
  try {
    let ino = 1
    for (const entry of withParents(entries)) {
      for (const chunk of encodeEntry(ino++, entry)) {
        for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done)
      }
    }
    for (const chunk of record(0, "TRAILER!!!", 0, new Uint8Array(0), [0, 0])) writeSync(fd, chunk)
  } finally {
    closeSync(fd)
  }
}
