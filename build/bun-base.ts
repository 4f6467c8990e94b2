import { createHash } from "node:crypto"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { run } from "./command.ts"
import { REMOVED_VARIABLES, removeVariables } from "./env-patch.ts"
import { replaceFile } from "./files.ts"
import { CACHE, ROOT } from "./paths.ts"
import { TARGETS, type Target } from "./targets.ts"

/** Bun's executable for a target, without the environment variables of env-patch.ts; made once and kept. */
export function patchedBun(target: Target): string {
  const recipe = createHash("sha256")
    .update(Object.keys(REMOVED_VARIABLES).join())
    .update(readFileSync(join(ROOT, "build/env-patch.ts")))
    .digest("hex")
    .slice(0, 12)
  const directory = join(CACHE, "bun", target.name)
  const path = join(directory, `${Bun.version}-${recipe}`)
  if (existsSync(path)) return path
  rmSync(directory, { recursive: true, force: true })
  // Patched before anything is embedded, so that the patch cannot touch the program.
  const bytes = originalBun(target)
  removeVariables(bytes)
  replaceFile(path, bytes, 0o755)
  return path
}

/** The unpatched executable: the one that runs this build where it is the target's own, otherwise from npm. */
export function originalBun(target: Target): Buffer {
  if (target === hostTarget()) return readFileSync(process.execPath)
  mkdirSync(CACHE, { recursive: true })
  const scratch = mkdtempSync(join(CACHE, "fetch-"))
  try {
    const name = `${target.bunPackage}@${Bun.version}`
    run(["npm", "pack", "--silent", "--pack-destination", scratch, name], { cwd: scratch })
    const archive = readdirSync(scratch).find((entry) => entry.endsWith(".tgz"))
    if (!archive) throw new Error(`npm pack ${name} left no archive`)
    checkIntegrity(target, readFileSync(join(scratch, archive)))
    run(["tar", "-xzf", archive, "package/bin/bun"], { cwd: scratch })
    return readFileSync(join(scratch, "package/bin/bun"))
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function hostTarget(): Target | undefined {
  const musl = existsSync(`/lib/ld-musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`)
  const glibc = existsSync("/lib/x86_64-linux-gnu") || existsSync("/lib/aarch64-linux-gnu") || !musl
  return TARGETS.find((target) => target.name === `linux-${process.arch}${glibc ? "" : "-musl"}`)
}

/** The lock file pins the executables of all platforms; a download that differs is refused. */
function checkIntegrity(target: Target, archive: Buffer): void {
  const lock: { packages: Record<string, { version?: string; integrity?: string }> } = JSON.parse(
    readFileSync(join(ROOT, "package-lock.json"), "utf8"),
  )
  const pinned = lock.packages[`node_modules/${target.bunPackage}`]
  const actual = `sha512-${createHash("sha512").update(archive).digest("base64")}`
  if (pinned?.version !== Bun.version || pinned.integrity !== actual) {
    throw new Error(`${target.bunPackage} ${Bun.version} is not what package-lock.json pins`)
  }
}
