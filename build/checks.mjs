import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { ROOT } from "./bootstrap.mjs"

const run = (...command) => spawnSync(command[0], command.slice(1), { cwd: ROOT, stdio: "inherit" }).status === 0
const installed = (path) => join(ROOT, "node_modules", path)

// By the executables themselves: the scripts that start them look for "node" in the PATH.
const tsc = (...args) => run(process.execPath, installed("typescript/bin/tsc"), ...args)
const biome = (...args) => run(installed(`@biomejs/cli-linux-${process.arch}/biome`), ...args)

/** The checks that are not tests but count like one each. */
export const CHECKS = [
  { name: "types", run: () => tsc("--noEmit") },
  { name: "lint", run: () => biome("check", "--error-on-warnings") },
]

/** Formats and applies safe fixes, to everything or to the named files. */
export function format(files) {
  return biome("check", "--write", ...files)
}
