/** The first run on an archive beside `zcat | tar -x`, on the same file system, in the same minutes. */
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownRun } from "../helpers/own.ts"
import type { Timing } from "./measure.ts"
import { growth, UNPACK_TARGET } from "./report.ts"
import { makeBenchRoot } from "./workspace.ts"

const ENTRIES = 13_000
const BYTES = 450e6
const SMALL = 50_000
/** Megabytes that toybox may need. */
const MEMORY = 150

/** A root of this machine's own files: as many, and as many bytes, as a Debian root has. Returns the archive. */
export function makeArchive(workspace: string): { path: string; entries: number; bytes: number } {
  const found = Bun.spawnSync(["find", "/usr/lib", "/usr/share", "/usr/bin", "-xdev", "-printf", "%s\t%p\\0"])
  const files = found.stdout
    .toString("latin1")
    .split("\0")
    .map((line) => line.split("\t"))
    .map(([size, name = ""]) => ({ size: Number(size), name }))
    .filter(({ name }) => name !== "")
  // Most files of a system are small, and most of its bytes are in few.
  const small = files.filter(({ size }) => size < SMALL).slice(0, ENTRIES)
  const names = small.map(({ name }) => name)
  let bytes = small.reduce((sum, { size }) => sum + size, 0)
  for (const { size, name } of files) {
    if (size < SMALL || bytes + size > BYTES) continue
    bytes += size
    names.push(name)
  }
  const list = join(workspace, "list")
  writeFileSync(list, Buffer.from(names.map((name) => `${name}\0`).join(""), "latin1"))
  const root = makeBenchRoot(join(workspace, "unpack-root"))
  const path = join(workspace, "root.tar.gz")
  const script = 'tar -C "$1" -c . -C / --no-recursion --null -T "$2" 2>/dev/null | gzip -1 > "$3"'
  if (Bun.spawnSync(["bash", "-o", "pipefail", "-c", script, "-", root, list, path]).exitCode !== 0)
    throw new Error("tar failed")
  return { path, entries: names.length, bytes }
}

/** Takes memory and gives it back: a virtual machine pays for the first use of a page, and the next to write a file would. */
export const warmMemory = () => Bun.spawnSync(["sh", "-c", "head -c 1500M /dev/zero | tail -c 1500M >/dev/null"])

function timed(cmd: string[]): { milliseconds: number; megabytes: number } {
  // toybox syncs what it has unpacked, and shall not pay for what the other has left to be written.
  Bun.spawnSync(["sync"])
  warmMemory()
  const start = performance.now()
  const { exitCode, stderr, resourceUsage } = Bun.spawnSync(cmd, { stdin: "ignore", stdout: "ignore" })
  const milliseconds = performance.now() - start
  if (exitCode !== 0) throw new Error(`${cmd[0]}: ${stderr}`)
  return { milliseconds, megabytes: (resourceUsage?.maxRSS ?? 0) / 1e6 }
}

/** Unpacks by turns, each time to a new place. Tells whether a target was missed. */
export function unpack(workspace: string, rounds: number): boolean {
  const { path, entries, bytes } = makeArchive(workspace)
  // The archive is in the page cache for both.
  closeSync(openSync(path, "r"))
  const [tarTimes, toyboxTimes]: [number[], number[]] = [[], []]
  let memory = 0
  for (let round = 0; round < rounds; round++) {
    const target = join(workspace, `tar-${round}`)
    mkdirSync(target)
    const script = 'zcat "$1" | tar -C "$2" -xp --numeric-owner --xattrs --xattrs-include="*"'
    tarTimes.push(timed(["bash", "-o", "pipefail", "-c", script, "-", path, target]).milliseconds)
    const state = join(workspace, `toybox-${round}`)
    const words = ownRun("--rm", "--quiet", "--root", state, path, "/bin/true")
    const { milliseconds, megabytes } = timed([toyboxBinary(), ...words])
    toyboxTimes.push(milliseconds)
    memory = Math.max(memory, megabytes)
  }
  const sorted = (times: number[]) => times.sort((a, b) => a - b)
  const tar: Timing = { name: "zcat | tar -x", times: sorted(tarTimes) }
  const toybox: Timing = { name: "toybox run ARCHIVE", times: sorted(toyboxTimes) }
  const { line, over } = growth(toybox, tar, UNPACK_TARGET)
  const list = (timing: Timing) => `${timing.name}: ${timing.times.map((time) => time.toFixed(0)).join(" ")} ms`
  console.log(`\nunpack: ${entries} entries, ${(bytes / 1e6).toFixed(0)} MB, gzip; ${rounds} rounds by turns`)
  console.log(`${list(tar)}\n${list(toybox)}\n${line}`)
  console.log(`peak memory: ${memory.toFixed(0)} MB of at most ${MEMORY}: ${memory <= MEMORY ? "ok" : "over"}`)
  return over || memory > MEMORY
}
