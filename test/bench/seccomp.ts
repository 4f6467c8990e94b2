/** What a filter costs: ours and libseccomp's of the default profile, in turn. node build/bun.mjs test/bench/seccomp.ts */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run } from "../../build/command.ts"
import { compileSeccomp } from "../../src/security/seccomp/compile.ts"
import { defaultSeccomp } from "../../src/security/seccomp/default-profile.ts"
import { MACHINE } from "../../src/security/seccomp/filter.ts"
import { removeScratch } from "../helpers/scratch.ts"
import { referenceFilter } from "../src/security/seccomp/reference.ts"

const ROUNDS = 9
const COLUMNS = ["load", "getppid", "personality", "keyctl"]

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN

const directory = mkdtempSync(join(tmpdir(), "toybox-bench-"))
try {
  const loop = join(directory, "loop")
  run(["gcc", "-O1", "-o", loop, join(import.meta.dir, "seccomp-loop.c")])
  const place = { capabilities: ["CAP_SYS_CHROOT"], machine: MACHINE, kernel: [6, 1] } as const
  const [native, whole] = [defaultSeccomp(place, false), defaultSeccomp(place, true)]
  const filters: Record<string, Uint8Array> = {
    "toybox, as run": compileSeccomp(native, MACHINE),
    "toybox, 32-bit too": compileSeccomp(whole, MACHINE),
    "libseccomp (crun, runc)": referenceFilter(whole, MACHINE),
  }
  const paths: [string, string][] = [["none", "none"]]
  for (const [name, program] of Object.entries(filters)) {
    const path = join(directory, String(paths.length))
    writeFileSync(path, program)
    paths.push([`${name}, ${program.length / 8} instructions`, path])
  }
  const figures = new Map<string, number[][]>()
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, path] of paths) {
      figures.set(name, [...(figures.get(name) ?? []), run([loop, path]).trim().split(" ").map(Number)])
    }
  }
  for (const [name, rounds] of figures) {
    const shown = COLUMNS.map((column, i) => `${column} ${median(rounds.map((round) => round[i] ?? 0)).toFixed(0)} ns`)
    console.log(`${name}: ${shown.join(", ")}`)
  }
} finally {
  rmSync(directory, { recursive: true, force: true })
  removeScratch()
}
