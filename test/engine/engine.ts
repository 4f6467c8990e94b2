import { existsSync, mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { makeRoot } from "../helpers/root.ts"
import { temporaryDirectory } from "../helpers/scratch.ts"

/** What a command of an engine gave. */
export interface Result {
  stdout: string
  stderr: string
  exitCode: number
}

/** Runs a command with a hard limit; what it leaves behind may keep its files open, but not the caller waiting. */
export function command(words: readonly string[], options: { stdin?: string; seconds?: number } = {}): Result {
  const { stdin, seconds = 30 } = options
  const { stdout, stderr, exitCode } = Bun.spawnSync(["timeout", "-k", "2", String(seconds), ...words], {
    stdin: stdin === undefined ? null : new TextEncoder().encode(stdin),
    stdout: "pipe",
    stderr: "pipe",
  })
  if (exitCode === 124 || exitCode === 137 + 128) throw new Error(`did not end: ${words.join(" ")}\n${stderr}`)
  return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode }
}

/** As command, with a terminal. */
export const withTerminal = (words: readonly string[]): Result =>
  command(["script", "-qec", words.map((word) => `'${word}'`).join(" "), "/dev/null"])

/** As command; throws where it fails. */
export function succeed(words: readonly string[], options: { stdin?: string; seconds?: number } = {}): string {
  const { stdout, stderr, exitCode } = command(words, options)
  if (exitCode !== 0) throw new Error(`exit ${exitCode}: ${words.join(" ")}\n${stderr}${stdout}`)
  return stdout.trimEnd()
}

/** toybox under the name of an OCI runtime. */
export function runtimeLink(): string {
  const link = join(temporaryDirectory("bin"), "toybox-oci")
  symlinkSync(toyboxBinary(), link)
  return link
}

/** An archive of a root file system with busybox, as `import` takes it. */
export function rootArchive(): string {
  const archive = join(temporaryDirectory("archive"), "root.tar")
  succeed(["tar", "-C", makeRoot(), "-cf", archive, "."])
  return archive
}

/** A directory for an engine's own files. */
export function engineDirectory(...names: string[]): string {
  const directory = temporaryDirectory("engine")
  for (const name of names) mkdirSync(join(directory, name))
  return directory
}

/** Waits until something holds. Throws where it does not within `seconds`. */
export async function until(condition: () => boolean, seconds = 10): Promise<void> {
  for (const end = performance.now() + seconds * 1000; !condition(); await Bun.sleep(50)) {
    if (performance.now() > end) throw new Error("it has not happened in time")
  }
}

/** Why an engine cannot be tested here: what of it is not installed, or that it needs root. Undefined where it can. */
export function unavailable(...programs: string[]): string | undefined {
  if (process.getuid?.() !== 0) return "needs root"
  const missing = programs.filter((path) => !existsSync(path))
  return missing.length === 0 ? undefined : `not installed: ${missing.join(", ")}`
}
