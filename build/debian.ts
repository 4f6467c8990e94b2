import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { run, tryRun } from "./command.ts"
import { CACHE } from "./paths.ts"
import { ARCH_NAMES, type Arch } from "./targets.ts"

/** The files of one Debian package, and where they come from. */
export interface DebianFiles {
  /** A directory that holds the package's files at their own paths. */
  readonly root: string
  readonly version: string
  /** Name and version of the source package. */
  readonly source: string
}

/** The architecture this build runs on. */
export const HOST_ARCH: Arch = process.arch === "arm64" ? "arm64" : "x64"

/** The package's files from this system when it is installed for the architecture, otherwise from Debian's archive. */
export function debianPackage(name: string, arch: Arch): DebianFiles {
  return installed(name, arch) ?? downloaded(name, arch)
}

function installed(name: string, arch: Arch): DebianFiles | undefined {
  const format = ["$" + "{db:Status-Status}", "$" + "{Version}", "$" + "{source:Package} $" + "{source:Version}"].join(
    "\\n",
  )
  const query = tryRun(["dpkg-query", "-W", "-f", format, `${name}:${ARCH_NAMES[arch].debian}`])
  const [status, version, source] = query.stdout.split("\n")
  if (query.status !== 0 || status !== "installed" || !version || !source) return undefined
  return { root: "/", version, source }
}

function downloaded(name: string, arch: Arch): DebianFiles {
  const directory = join(CACHE, "debian", arch)
  const root = join(directory, name)
  const archive = join(directory, `${name}.deb`)
  if (!existsSync(archive)) download(name, arch, directory, archive)
  if (!existsSync(root)) {
    const unpacked = `${root}.${process.pid}.tmp`
    run(["dpkg-deb", "-x", archive, unpacked])
    renameSync(unpacked, root)
  }
  const version = run(["dpkg-deb", "-f", archive, "Version"]).trim()
  const source = run(["dpkg-deb", "-f", archive, "Source"]).trim()
  const [sourceName = "", sourceVersion] = source.split(" ")
  return { root, version, source: `${sourceName || name} ${sourceVersion?.replace(/[()]/g, "") ?? version}` }
}

function download(name: string, arch: Arch, directory: string, archive: string): void {
  const options = aptOptions(arch, join(directory, "apt"))
  const fetched = join(directory, `fetch.${process.pid}.tmp`)
  mkdirSync(fetched, { recursive: true })
  try {
    // A third-party source without this architecture makes the update complain; what counts is the download.
    const update = tryRun(["apt-get", ...options, "update"])
    const get = tryRun(["apt-get", ...options, "download", name], { cwd: fetched })
    const file = readdirSync(fetched).find((entry) => entry.endsWith(".deb"))
    if (get.status !== 0 || !file) throw new Error(`cannot download ${name} for ${arch}\n${update.stderr}${get.stderr}`)
    renameSync(join(fetched, file), archive)
  } finally {
    rmSync(fetched, { recursive: true, force: true })
  }
}

/** apt with a state of its own, so that the system's architectures and package lists stay as they are. */
function aptOptions(arch: Arch, state: string): string[] {
  for (const part of ["lists/partial", "archives/partial"]) mkdirSync(join(state, part), { recursive: true })
  return [
    `APT::Architecture=${ARCH_NAMES[arch].debian}`,
    `APT::Architectures=${ARCH_NAMES[arch].debian}`,
    `Dir::State=${state}`,
    `Dir::State::lists=${join(state, "lists")}`,
    "Dir::State::status=/dev/null",
    `Dir::Cache=${state}`,
    "APT::Sandbox::User=",
    "Acquire::Languages=none",
  ].flatMap((option) => ["-o", option])
}

/** A file that a package ships; an error that names the package when it does not. */
export function packageFile(files: DebianFiles, path: string): Buffer {
  try {
    return readFileSync(join(files.root, path))
  } catch (cause) {
    throw new Error(`the Debian package at ${files.root} lacks ${path}`, { cause })
  }
}
