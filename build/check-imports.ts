import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { ROOT } from "./paths.ts"

/**
 * What each area may import, beside itself. What an imported directory may import is allowed, too; single files stand for
 * themselves only, so that src/errors.ts does not open ffi to everyone.
 */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  ffi: [],
  "ffi/constants": [],
  "src/errors.ts": ["ffi"],
  "src/log.ts": ["ffi"],
  "src/paths.ts": ["ffi", "src/errors.ts"],
  "src/state-file.ts": ["ffi", "src/errors.ts"],
  "src/timestamp.ts": ["ffi"],
  "src/event-file.ts": ["ffi", "src/paths.ts", "src/timestamp.ts"],
  "src/oci": ["src/errors.ts"],
  "src/spec": ["src/oci", "src/security"],
  "src/plan": ["src/oci", "ffi/constants"],
  // The vocabulary of side effects: types only, for those who contribute steps to a plan.
  "src/plan/steps.ts": ["src/oci"],
  "src/security": ["src/oci", "ffi"],
  "src/rootless": ["src/oci", "ffi", "src/paths.ts"],
  "src/launch": ["src/plan", "ffi", "src/log.ts"],
  "src/cgroup": ["src/oci", "ffi", "src/log.ts"],
  "src/overlay": ["src/plan/steps.ts", "src/errors.ts", "ffi", "src/log.ts"],
  "src/network": ["src/oci", "ffi", "src/log.ts", "src/paths.ts", "src/state-file.ts", "src/event-file.ts"],
  "src/image": ["src/oci", "src/overlay", "src/paths.ts", "src/state-file.ts", "src/event-file.ts"],
  "src/volume": ["src/overlay", "src/paths.ts", "src/state-file.ts", "src/event-file.ts"],
  "src/container": [
    ..."launch cgroup overlay network volume security spec rootless".split(" ").map((area) => `src/${area}`),
    "src/paths.ts",
    "src/state-file.ts",
    "src/timestamp.ts",
  ],
  "src/copy": ["src/container", "src/image"],
  "src/cli": ["src/container", "src/image", "src/copy"],
  "src/main.ts": ["src/cli"],
  build: ["src/security"],
}

const MAX_LINES = 300

/** One source file: its path from the root, its text, and the files of the project that it imports. */
export interface SourceFile {
  readonly path: string
  readonly text: string
  readonly imports: readonly string[]
}

/** Reads every TypeScript file of src, ffi and build. */
export function readSources(root = ROOT): SourceFile[] {
  const paths = ["src", "ffi", "build"].flatMap((top) => globSync(`${top}/**/*.ts`, { cwd: root })).sort()
  return paths.map((path) => {
    const text = readFileSync(join(root, path), "utf8")
    return { path, text, imports: importsOf(path, text).filter((target) => existsSync(join(root, target))) }
  })
}

/** The project files a text imports, types included: a type is a dependency of the design, too. */
export function importsOf(path: string, text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "")
  const statements = code.matchAll(
    /^(?:import|export)\b[^"'`]*?from\s*"([^"]+)"|^import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"/gm,
  )
  const names = [...statements].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? "")
  return names.filter((name) => name.startsWith(".")).map((name) => normalize(join(dirname(path), name)))
}

/** Imports against the direction of the design, one line each. */
export function checkDirection(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const area = areaOf(file.path)
    const allowed = area === undefined ? undefined : reachable(area)
    if (!allowed) return [`${file.path}: belongs to no area of the design`]
    const wrong = file.imports.filter((target) => target !== "package.json" && !allowed.has(areaOf(target) ?? ""))
    return wrong.map((target) => `${file.path}: must not import ${target}`)
  })
}

/** Cycles among the imports, each reported once, as the path round it. */
export function checkCycles(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start !== -1) cycles.push(`cycle: ${[...trail.slice(start), path].join(" -> ")}`)
    if (start !== -1 || done.has(path)) return
    for (const next of byPath.get(path)?.imports ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const { path } of files) visit(path, [])
  return cycles
}

/** Files that are too long to be read at once. */
export function checkLengths(files: readonly SourceFile[]): string[] {
  const written = files.filter((file) => !file.text.startsWith("// Generated "))
  const long = written.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
  return long
    .filter(({ lines }) => lines > MAX_LINES)
    .map(({ path, lines }) => `${path}: ${lines} lines, ${MAX_LINES} allowed`)
}

function areaOf(path: string): string | undefined {
  const areas = Object.keys(MAY_IMPORT).filter((area) => path === area || path.startsWith(`${area}/`))
  return areas.sort((a, b) => b.length - a.length)[0]
}

function reachable(area: string, seen = new Set<string>()): Set<string> {
  if (seen.has(area)) return seen
  seen.add(area)
  // A part that has a line of its own belongs to the whole all the same.
  for (const part of Object.keys(MAY_IMPORT).filter((other) => other.startsWith(`${area}/`))) seen.add(part)
  for (const next of MAY_IMPORT[area] ?? []) {
    if (next.endsWith(".ts")) seen.add(next)
    else reachable(next, seen)
  }
  return seen
}
