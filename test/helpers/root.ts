import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { temporaryDirectory } from "./scratch.ts"

/** What is put into a root besides busybox: a file's content, with a mode, or a symlink's target. */
export type RootFile = string | Uint8Array | { content: string | Uint8Array; mode: number } | { symlink: string }

/** How a root differs from the usual one. */
export interface RootOptions {
  /** Path in the root → file; parents are made. */
  files?: Record<string, RootFile>
  /** Directories to make besides the usual ones. */
  directories?: readonly string[]
  /** Where to make it; a temporary directory of the test file when not given. */
  dir?: string
}

const BUSYBOX = ["/bin/busybox", "/usr/bin/busybox"]
const DIRECTORIES = [
  "bin",
  "dev",
  "etc",
  "home/alice",
  "proc",
  "root",
  "run",
  "sbin",
  "srv",
  "sys",
  "usr/bin",
  "var/tmp",
]

/** Users of every root: alice has a primary group and two more, bob shares one of them. */
const PASSWD = [
  "root:x:0:0:root:/root:/bin/sh",
  "daemon:x:1:1:daemon:/usr/sbin:/bin/false",
  "alice:x:1000:1000:Alice:/home/alice:/bin/sh",
  "bob:x:1001:1001:Bob:/:/bin/sh",
  "nobody:x:65534:65534:nobody:/nonexistent:/bin/false",
]
const GROUP = [
  "root:x:0:",
  "daemon:x:1:",
  "tty:x:5:",
  "audio:x:29:alice",
  "staff:x:50:alice,bob",
  "alice:x:1000:",
  "bob:x:1001:",
  "nogroup:x:65534:",
]

let applets: readonly string[] | undefined

function busyboxPath(): string {
  const path = BUSYBOX.find(existsSync)
  if (path === undefined) throw new Error("no busybox: install busybox-static")
  return path
}

function appletNames(): readonly string[] {
  const list = () => Bun.spawnSync([busyboxPath(), "--list"]).stdout.toString().trim().split("\n")
  applets ??= list().filter((name) => name !== "busybox")
  return applets
}

function place(path: string, file: RootFile): void {
  mkdirSync(dirname(path), { recursive: true })
  if (typeof file === "string" || file instanceof Uint8Array) {
    writeFileSync(path, file)
  } else if ("symlink" in file) {
    symlinkSync(file.symlink, path)
  } else {
    writeFileSync(path, file.content)
    chmodSync(path, file.mode)
  }
}

/** Makes a root directory with a static busybox, all its applets, and a few users and groups; returns its path. */
export function makeRoot(options: RootOptions = {}): string {
  const dir = options.dir ?? temporaryDirectory("root")
  for (const name of [...DIRECTORIES, ...(options.directories ?? [])]) mkdirSync(join(dir, name), { recursive: true })
  chmodSync(dir, 0o755)
  mkdirSync(join(dir, "tmp"))
  chmodSync(join(dir, "tmp"), 0o1777)
  copyFileSync(busyboxPath(), join(dir, "bin/busybox"))
  chmodSync(join(dir, "bin/busybox"), 0o755)
  for (const name of appletNames()) symlinkSync("busybox", join(dir, "bin", name))
  writeFileSync(join(dir, "etc/passwd"), `${PASSWD.join("\n")}\n`)
  writeFileSync(join(dir, "etc/group"), `${GROUP.join("\n")}\n`)
  for (const [path, file] of Object.entries(options.files ?? {})) place(join(dir, path), file)
  return dir
}
