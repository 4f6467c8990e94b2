import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { ACCOUNT_FILES, DIRECTORIES, EMPTY_FILES, LINKS } from "./base-layout.ts"
import { run } from "./command.ts"
import { type DebianFiles, debianPackage, HOST_ARCH, packageFile } from "./debian.ts"
import { readElf } from "./elf.ts"
import { replaceFile } from "./files.ts"
import { DIST } from "./paths.ts"
import { ARCH_NAMES, type Arch } from "./targets.ts"

/** One entry of base.json. Parents come before their children; everything belongs to root. */
export type BaseEntry =
  | { path: string; type: "directory"; mode: number }
  | { path: string; type: "file"; mode: number; content: string }
  | { path: string; type: "file"; mode: number; source: "busybox" }
  | { path: string; type: "symlink"; mode: number; target: string }

const PACKAGE = "busybox-static"
const NOTICES = `usr/share/doc/${PACKAGE}`

/** Where the base image for an architecture is built. */
export function baseDirectory(arch: Arch): string {
  return join(DIST, "base", arch)
}

/** Builds the base image for an architecture below dist/base and returns its digest. */
export function buildBaseImage(arch: Arch): string {
  const files = debianPackage(PACKAGE, arch)
  const busybox = packageFile(files, "bin/busybox")
  const elf = readElf(busybox)
  if (elf.machine !== ARCH_NAMES[arch].elfMachine || elf.interpreted) {
    throw new Error(`${join(files.root, "bin/busybox")} is not a static executable for ${arch}`)
  }
  const manifest = `${JSON.stringify(baseEntries(files, listApplets(files, arch)), null, 1)}\n`
  const digest = createHash("sha256").update(busybox).update(manifest).digest("hex")
  const directory = baseDirectory(arch)
  replaceFile(join(directory, "busybox"), busybox, 0o755)
  replaceFile(join(directory, "base.json"), manifest)
  replaceFile(join(directory, "digest.js"), `export const BASE_DIGEST = "${digest}"\n`)
  return digest
}

/** The applets of the package; those of a foreign architecture are asked of the same version for this one. */
function listApplets(files: DebianFiles, arch: Arch): string[] {
  const native = arch === HOST_ARCH ? files : debianPackage(PACKAGE, HOST_ARCH)
  if (native.source !== files.source) {
    throw new Error(`${PACKAGE} is ${files.version} for ${arch} and ${native.version} here: applets may differ`)
  }
  const listed = run([join(native.root, "bin/busybox"), "--list-full"])
    .trim()
    .split("\n")
  // linuxrc is the one applet outside of the bin directories, and only means something on an initial ramdisk.
  return listed.filter((path) => path.includes("/") && path !== "bin/busybox")
}

/** Everything the base image consists of, in the order in which it can be laid out. */
function baseEntries(files: DebianFiles, applets: readonly string[]): BaseEntry[] {
  const entries: BaseEntry[] = DIRECTORIES.map(([path, mode]) => ({ path, type: "directory", mode }))
  entries.push({ path: `/${NOTICES}`, type: "directory", mode: 0o755 })
  entries.push({ path: "/bin/busybox", type: "file", mode: 0o755, source: "busybox" })
  const symlink = (path: string, target: string): BaseEntry => ({ path, type: "symlink", mode: 0o777, target })
  entries.push(...applets.map((applet) => symlink(`/${applet}`, "/bin/busybox")))
  entries.push(...LINKS.map(([path, target]) => symlink(path, target)))
  const contents = { ...ACCOUNT_FILES, ...notices(files), ...Object.fromEntries(EMPTY_FILES.map((path) => [path, ""])) }
  for (const [path, content] of Object.entries(contents)) entries.push({ path, type: "file", mode: 0o644, content })
  return entries
}

/** The licences of the binary: busybox itself, and the C library that is linked into it. */
function notices(files: DebianFiles): Record<string, string> {
  const shared = (path: string) => readFileSync(path, "utf8")
  return {
    [`/${NOTICES}/copyright`]: packageFile(files, `${NOTICES}/copyright`).toString(),
    [`/${NOTICES}/copyright.libc6`]: shared("/usr/share/doc/libc6/copyright"),
    [`/${NOTICES}/GPL-2`]: shared("/usr/share/common-licenses/GPL-2"),
    [`/${NOTICES}/LGPL-2.1`]: shared("/usr/share/common-licenses/LGPL-2.1"),
    [`/${NOTICES}/SOURCE`]: `/bin/busybox is the file of that name in Debian's package ${PACKAGE} ${files.version}.
Its source is Debian's source package ${files.source}: apt-get source ${files.source.replace(" ", "=")}
`,
  }
}
