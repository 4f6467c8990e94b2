import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { parseArgs } from "node:util"
import { buildBaseImage } from "./base-image.ts"
import { patchedBun } from "./bun-base.ts"
import { bundle } from "./bundle.ts"
import { run } from "./command.ts"
import { DIST, ROOT } from "./paths.ts"
import { findTarget, type Target } from "./targets.ts"

// A container tool must not read a stranger's .env, bunfig.toml, tsconfig.json or package.json.
const AUTOLOAD = ["dotenv", "bunfig", "tsconfig", "package-json"].map((file) => `--no-compile-autoload-${file}`)

/** Compiles one executable; the finished file appears under its name at once, or not at all. */
export async function compile(
  target: Target,
  entry = join(ROOT, "src/main.ts"),
  output = join(DIST, target.output),
): Promise<void> {
  const started = new Date()
  buildBaseImage(target.arch)
  mkdirSync(DIST, { recursive: true })
  // A directory of its own keeps the name of the executable, which is embedded, the same in every build.
  const scratch = mkdtempSync(join(DIST, "compile-"))
  try {
    const outfile = join(scratch, target.output)
    const flags = [
      "--compile",
      "--minify",
      "--bytecode",
      "--format=esm",
      "--compile-jit-policy=1000",
      "--splitting",
      ...AUTOLOAD,
      `--conditions=${target.arch}`,
    ]
    const base = [`--target=${target.bunTarget}`, `--compile-executable-path=${patchedBun(target)}`]
    const main = await bundle(entry, join(scratch, "bundle"), target.arch)
    run([process.execPath, "build", main, ...flags, ...base, `--outfile=${outfile}`], {
      cwd: scratch,
      env: { NODE_ENV: undefined, BUN_ENV: undefined, BUN_OPTIONS: undefined },
    })
    // Bun writes it in pieces. In one, as any copy of it is, it is cached in larger folios, which are mapped with less work: a
    // millisecond of each start.
    const whole = join(scratch, "whole")
    writeFileSync(whole, readFileSync(outfile))
    chmodSync(whole, 0o755)
    // The time of the start: a source changed during the build is newer than the executable.
    utimesSync(whole, started, started)
    mkdirSync(dirname(output), { recursive: true })
    renameSync(whole, output)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      target: { type: "string", multiple: true, default: ["linux-x64"] },
      entry: { type: "string" },
      output: { type: "string" },
    },
  })
  for (const target of values.target.map(findTarget)) {
    const output = values.output === undefined ? join(DIST, target.output) : resolve(values.output)
    await compile(target, values.entry === undefined ? undefined : resolve(values.entry), output)
    console.error(`${relative(process.cwd(), output)}: ${(statSync(output).size / 1e6).toFixed(1)} MB, ${target.name}`)
  }
}

if (import.meta.main) {
  try {
    await main()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exit(1)
  }
}
