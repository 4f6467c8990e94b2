import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { basename, join } from "node:path"

/** The processor of the machine, in Bun's words. */
export type Arch = "x64" | "arm64"

/** A kernel as its package has it: the image, and the directory of its modules. */
export interface Kernel {
  arch: Arch
  image: string
  modules: string
  /** Where the packages of a foreign architecture (busybox, libc) are unpacked. */
  userland: string | undefined
}

const CACHE = join(import.meta.dir, "../../dist/cache/vm")
const DEBIAN_ARCH: Record<Arch, string> = { x64: "amd64", arm64: "arm64" }
const FOREIGN_PACKAGES = ["busybox-static", "libc6"]

function run(cmd: string[], cwd: string): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync(["timeout", "-k", "5", "300", ...cmd], { cwd, stdin: "ignore" })
  if (exitCode !== 0) throw new Error(`${cmd.join(" ")}: exit ${exitCode}: ${stderr.toString().slice(-500)}`)
  return stdout.toString()
}

/** Options that make apt answer for `arch` from lists of its own, so that the machine's are left alone. */
function aptOptions(arch: Arch, dir: string): string[] {
  if (arch === process.arch) return []
  const state = join(dir, "apt")
  for (const sub of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(state, sub), { recursive: true })
  writeFileSync(join(state, "status"), "")
  const options = [
    `APT::Architecture=${DEBIAN_ARCH[arch]}`,
    `APT::Architectures=${DEBIAN_ARCH[arch]}`,
    `Dir::State=${state}`,
    `Dir::State::status=${join(state, "status")}`,
    `Dir::Cache=${join(state, "cache")}`,
    "APT::Sandbox::User=root",
  ]
  return options.flatMap((option) => ["-o", option])
}

/** The versioned package that the meta package stands for. */
function kernelPackage(arch: Arch, options: string[], dir: string): string {
  const depends = () => {
    const text = run(["apt-cache", ...options, "depends", `linux-image-cloud-${DEBIAN_ARCH[arch]}`], dir)
    return /Depends: (linux-image-\S+)/.exec(text)?.[1]
  }
  if (options.length > 0) run(["apt-get", ...options, "update"], dir)
  const found = depends()
  if (found !== undefined) return found
  run(["apt-get", ...options, "update"], dir)
  const name = depends()
  if (name === undefined) throw new Error(`apt knows no linux-image-cloud-${DEBIAN_ARCH[arch]}`)
  return name
}

function fetchKernel(arch: Arch, target: string): void {
  mkdirSync(CACHE, { recursive: true })
  const dir = mkdtempSync(join(CACHE, "fetch-"))
  try {
    const options = aptOptions(arch, dir)
    const packages = [kernelPackage(arch, options, dir), ...(options.length > 0 ? FOREIGN_PACKAGES : [])]
    run(["apt-get", ...options, "download", ...packages], dir)
    for (const deb of readdirSync(dir).filter((name) => name.endsWith(".deb"))) {
      run(["dpkg-deb", "-x", deb, "tree"], dir)
    }
    try {
      renameSync(join(dir, "tree"), target)
    } catch (error) {
      // Another test file was quicker: its copy is as good.
      if (!existsSync(target)) throw error
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Debian's cloud kernel for `arch`, downloaded once into dist/cache/vm and found there ever after. */
export function kernel(arch: Arch = "x64"): Kernel {
  const tree = join(CACHE, arch)
  if (!existsSync(tree)) fetchKernel(arch, tree)
  const boot = join(tree, "boot")
  const image = readdirSync(boot).find((name) => name.startsWith("vmlinuz-"))
  if (image === undefined) throw new Error(`${boot} has no vmlinuz-*: remove ${tree} and try again`)
  const modules = join(tree, "lib/modules", image.slice("vmlinuz-".length))
  return { arch, image: join(boot, image), modules, userland: arch === process.arch ? undefined : tree }
}

/** The module files of `kernel` by name, with `-` and `_` being the same as everywhere in modprobe(8). */
function moduleFiles(kernel: Kernel): Map<string, string> {
  const files = new Map<string, string>()
  for (const path of new Bun.Glob("kernel/**/*.ko").scanSync(kernel.modules)) {
    files.set(basename(path, ".ko").replaceAll("-", "_"), join(kernel.modules, path))
  }
  return files
}

/** The names in `depends=` of a module: the package has no modules.dep before depmod(8) has run. */
function dependencies(file: string): string[] {
  const text = readFileSync(file).toString("latin1")
  const match = /\0depends=([^\0]*)\0/.exec(text) ?? /^depends=([^\0]*)\0/m.exec(text)
  return (match?.[1] ?? "").split(",").filter((name) => name !== "")
}

/**
 * The files of the modules called `names` and of everything they depend on, each after what it needs. A name that the
 * kernel has built in is passed over; one that it does not know is an error.
 */
export function moduleClosure(kernel: Kernel, names: readonly string[]): string[] {
  const files = moduleFiles(kernel)
  const builtin = new Set(
    readFileSync(join(kernel.modules, "modules.builtin"), "utf8")
      .split("\n")
      .map((path) => basename(path, ".ko").replaceAll("-", "_")),
  )
  const ordered = new Set<string>()
  const visit = (name: string) => {
    const file = files.get(name.replaceAll("-", "_"))
    if (file === undefined) {
      if (builtin.has(name.replaceAll("-", "_"))) return
      throw new Error(`${kernel.modules}: no module ${name}`)
    }
    if (ordered.has(file)) return
    for (const needed of dependencies(file)) visit(needed)
    ordered.add(file)
  }
  for (const name of names) visit(name)
  return [...ordered]
}
