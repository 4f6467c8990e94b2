// Runs under plain Node.js, before anything is installed: no TypeScript and no packages here.
import { spawnSync } from "node:child_process"
import { accessSync, chmodSync, constants, existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** The root of the source tree. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..")

/** Where the executable for this machine is built. */
export const BINARY = join(ROOT, "dist/toybox")

/** Ends the script with a message for the user. */
export function fail(message) {
  console.error(`toybox: ${message}`)
  process.exit(1)
}

/** Runs a set-up command; its output goes to standard error, for standard output belongs to the program. */
export function runQuietly(command, options = {}) {
  const { status, signal, error } = spawnSync(command[0], command.slice(1), {
    cwd: ROOT,
    stdio: ["ignore", 2, 2],
    ...options,
  })
  if (error) fail(`${command[0]}: ${error.message}`)
  if (status !== 0) fail(`${command.join(" ")}: ${signal ?? `exit status ${status}`}`)
}

/** Installs the locked packages where one is missing or has another version. */
export function ensureModules() {
  if (!modulesMatchLock()) runQuietly(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"])
}

function modulesMatchLock() {
  const locked = readJson("package-lock.json")?.packages
  const installed = readJson("node_modules/.package-lock.json")?.packages
  if (!locked) fail("package-lock.json is missing or damaged")
  if (!installed) return false
  return Object.entries(locked).every(([path, entry]) => {
    // Optional packages are those of other platforms, and are absent.
    if (path === "" || (entry.optional && !installed[path])) return true
    return installed[path]?.version === entry.version && existsSync(join(ROOT, path))
  })
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(join(ROOT, path), "utf8"))
  } catch {
    return undefined
  }
}

/**
 * The Bun executable of the installed packages. The `bun` package links it by an install script, which npm may have been
 * told not to run; the platform's own package holds it anyway.
 */
export function findBun() {
  const scope = join(ROOT, "node_modules/@oven")
  const platform = `bun-linux-${process.arch === "arm64" ? "aarch64" : process.arch}`
  // Exact name first: the -musl package may be installed beside it.
  const packages = listDirectory(scope).filter((name) => name.startsWith(platform))
  const candidates = ["bun/bin/bun.exe", ...packages.sort().map((name) => `@oven/${name}/bin/bun`)]
  for (const candidate of candidates) {
    const path = join(ROOT, "node_modules", candidate)
    if (isProgram(path)) return path
  }
  return fail(`no Bun for ${process.platform}-${process.arch} in node_modules: run "npm ci" again`)
}

/** Without its install script, the `bun` package holds a text file of a few bytes in the place of the program. */
function isProgram(path) {
  try {
    if (statSync(path).size < 1 << 20) return false
    try {
      accessSync(path, constants.X_OK)
    } catch {
      chmodSync(path, 0o755)
    }
    return spawnSync(path, ["--version"], { stdio: "ignore" }).status === 0
  } catch {
    return false
  }
}

/** Whether the executable is missing or older than a source. */
export function isOutdated() {
  const built = modified(BINARY)
  const sources = ["package.json", "package-lock.json", "tsconfig.json", "src", "ffi", "build"]
  return built === 0 || sources.some((source) => newest(join(ROOT, source)) > built)
}

/** Builds the executable for this machine where it is outdated. */
export function ensureBinary() {
  if (!isOutdated()) return
  console.error("toybox: building dist/toybox")
  // Only the executable that is built for itself is named dist/toybox.
  const target = process.arch === "arm64" ? ["--target", "linux-arm64", "--output", BINARY] : []
  runQuietly([findBun(), "build/compile.ts", ...target])
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

/** The newest time in a tree; a directory's own time tells of deleted files. */
function newest(path) {
  const status = statSync(path, { throwIfNoEntry: false })
  if (!status?.isDirectory()) return status?.mtimeMs ?? 0
  return Math.max(status.mtimeMs, ...listDirectory(path).map((name) => newest(join(path, name))))
}

function listDirectory(path) {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/**
 * Containers of tests have no network unless they ask for one: the machine's own links and rules stay as they are. From outside,
 * because what a program of Bun sets itself does not reach all that it starts.
 */
export const TEST_ENVIRONMENT = { ...process.env, TOYBOX_NETWORK: "none" }
