import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { basename, dirname, join } from "node:path"
import type { CpioEntry } from "./cpio.ts"
import type { Kernel } from "./kernel.ts"

/** A file put into the machine: its content, or a file of the host, executable or not. */
export type GuestFile = string | Uint8Array | { host: string; mode?: number }

const PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n"
const GROUP = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"
const BUSYBOX = ["/bin/busybox", "/usr/bin/busybox"]
const ARM64_LIBRARIES = ["ld-linux-aarch64.so.1", "libc.so.6", "libpthread.so.0", "libdl.so.2", "libm.so.6"]

/** The libraries of `binary` as ldd(1) tells them: path in the machine → file of the host. */
export function librariesOf(binary: string, kernel: Kernel): Record<string, GuestFile> {
  const found: Record<string, GuestFile> = {}
  const add = (path: string, host: string) => {
    found[path] = { host: realpathSync(host), mode: 0o755 }
  }
  if (kernel.userland !== undefined) {
    const dir = join(kernel.userland, "lib/aarch64-linux-gnu")
    for (const name of ARM64_LIBRARIES) add(`/lib/aarch64-linux-gnu/${name}`, join(dir, name))
    add("/lib/ld-linux-aarch64.so.1", join(dir, "ld-linux-aarch64.so.1"))
    return found
  }
  const { stdout } = Bun.spawnSync(["timeout", "-k", "2", "20", "ldd", binary])
  for (const match of stdout.toString().matchAll(/(?:=> )?(\/\S+) \(0x/g)) {
    const path = match[1]
    if (path !== undefined) add(path, path)
  }
  return found
}

function busybox(kernel: Kernel): string {
  const candidates = kernel.userland === undefined ? BUSYBOX : BUSYBOX.map((path) => join(kernel.userland ?? "", path))
  const path = candidates.find(existsSync)
  if (path === undefined) throw new Error("no busybox: install busybox-static")
  return path
}

function fileEntry(path: string, file: GuestFile): CpioEntry {
  const kind = "file"
  if (typeof file === "string") return { kind, path, mode: 0o755, data: Buffer.from(file) }
  if (file instanceof Uint8Array) return { kind, path, mode: 0o755, data: file }
  return { kind, path, mode: file.mode ?? statSync(file.host).mode & 0o7777, data: { host: file.host } }
}

/** What an initramfs needs before any payload: busybox, a console for early messages, `/init` and the modules. */
export function bootEntries(kernel: Kernel, init: string, moduleFiles: readonly string[]): CpioEntry[] {
  return [
    { kind: "device", path: "/dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "file", path: "/init", mode: 0o755, data: Buffer.from(init) },
    { kind: "file", path: "/bin/busybox", mode: 0o755, data: { host: busybox(kernel) } },
    ...moduleFiles.map((host): CpioEntry => ({ kind: "file", path: modulePath(host), mode: 0o644, data: { host } })),
  ]
}

/** Where a module's file is in the initramfs. */
export function modulePath(host: string): string {
  return `/modules/${basename(host)}`
}

/** The machine's root: the binary as `/bin/toybox` with its libraries, users and groups, and the caller's files. */
export function payloadEntries(
  binary: string,
  libraries: Record<string, GuestFile>,
  files: Record<string, GuestFile>,
): CpioEntry[] {
  const wanted: Record<string, GuestFile> = {
    "/bin/toybox": { host: binary, mode: 0o755 },
    "/etc/passwd": PASSWD,
    "/etc/group": GROUP,
    ...files,
    ...libraries,
  }
  const directories = ["/lib", "/lib64", "/srv", "/root"].map(
    (path): CpioEntry => ({ kind: "directory", path, mode: 0o755 }),
  )
  return [...directories, ...Object.entries(wanted).map(([path, file]) => fileEntry(path, file))]
}

function stage(dir: string, entry: CpioEntry): void {
  const path = join(dir, entry.path)
  mkdirSync(dirname(path), { recursive: true })
  if (entry.kind === "directory") mkdirSync(path, { recursive: true })
  if (entry.kind === "symlink") symlinkSync(entry.target, path)
  if (entry.kind !== "file") return
  if (entry.data instanceof Uint8Array) writeFileSync(path, entry.data)
  else copyFileSync(entry.data.host, path)
  chmodSync(path, entry.mode)
}

/** Unpacks Debian packages and all they depend on into `dir`, without running any of their scripts. */
export function unpackPackages(dir: string, packages: readonly string[]): void {
  const { stderr, exitCode } = Bun.spawnSync(
    ["timeout", "-k", "5", "240", "mmdebstrap", "--quiet", "--variant=extract", "--format=directory"].concat(
      `--include=${packages.join(",")}`,
      "bookworm",
      dir,
    ),
  )
  if (exitCode !== 0) throw new Error(`mmdebstrap of ${packages.join(", ")}: exit ${exitCode}: ${stderr}`)
}

/** Makes the ext4 image `image` of `entries`, by way of the directory `${image}.d`, which may hold more. */
export function writeDisk(image: string, entries: readonly CpioEntry[], megabytes: number): void {
  const dir = `${image}.d`
  for (const entry of entries) stage(dir, entry)
  const mke2fs = ["/sbin/mke2fs", "/usr/sbin/mke2fs"].find(existsSync) ?? "mke2fs"
  const cmd = [mke2fs, "-q", "-t", "ext4", "-m", "0", "-d", dir, image, `${megabytes}M`]
  const { stderr, exitCode } = Bun.spawnSync(["timeout", "-k", "2", "60", ...cmd])
  if (exitCode !== 0) throw new Error(`${cmd.join(" ")}: exit ${exitCode}: ${stderr}`)
}
