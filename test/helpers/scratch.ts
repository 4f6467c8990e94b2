import { afterAll } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"

const PREFIX = "toybox-test-"

/** One directory per test file: bun runs them all in one process and loads this module once. */
const directories = new Map<string, string>()

/** Octal escapes stand for blanks and backslashes in mountinfo. */
function unescapeMount(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

/** The mount points at and below `dir`, the last mounted first. */
export function mountsBelow(dir: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => unescapeMount(line.split(" ")[4] ?? ""))
    .filter((path) => path === dir || path.startsWith(`${dir}/`))
    .reverse()
}

/** Removes a directory without ever following a mount that was left in it. */
export function removeTree(dir: string): void {
  for (const path of mountsBelow(dir)) Bun.spawnSync(["umount", "-l", path], { stderr: "ignore" })
  const left = mountsBelow(dir)
  if (left.length > 0) throw new Error(`not removed, still mounted: ${left.join(", ")}`)
  const cmd = ["timeout", "-k", "2", "60", "rm", "-rf", "--one-file-system", dir]
  const { stderr, exitCode } = Bun.spawnSync(cmd)
  if (exitCode !== 0) throw new Error(`rm -rf ${dir}: ${stderr}`)
}

/** The owner's pid is in the name: a run that was killed is cleaned up after by the next one. */
function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = name.startsWith(PREFIX) ? name.slice(PREFIX.length).split("-")[0] : undefined
    if (owner === undefined || !/^\d+$/.test(owner) || existsSync(`/proc/${owner}`)) continue
    removeTree(join(tmpdir(), name))
  }
}

/** The directory of the test file that is running; it exists. */
export function scratch(): string {
  const found = directories.get(Bun.main)
  if (found !== undefined) return found
  if (directories.size === 0) removeAbandoned()
  const dir = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
  directories.set(Bun.main, dir)
  return dir
}

/** A new empty directory in the scratch directory of the test file. */
export function temporaryDirectory(name = "dir"): string {
  const parent = join(scratch(), basename(name))
  mkdirSync(parent, { recursive: true })
  return mkdtempSync(join(parent, "/"))
}

/** Removes what the test file that is running has made; harmless when it made nothing. */
export function removeScratch(): void {
  const dir = directories.get(Bun.main)
  if (dir === undefined) return
  directories.delete(Bun.main)
  removeTree(dir)
}

/** To be called at the top of a test file: removes its scratch directory when its last test is done. */
export function cleanUpAfterAll(): void {
  afterAll(removeScratch)
}
