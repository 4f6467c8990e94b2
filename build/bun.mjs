// Runs a TypeScript program with the project's own Bun: node build/bun.mjs FILE [ARGUMENT...]
import { spawnSync } from "node:child_process"
import { ensureModules, fail, findBun } from "./bootstrap.mjs"

ensureModules()
const { status, signal, error } = spawnSync(findBun(), process.argv.slice(2), { stdio: "inherit" })
if (error) fail(error.message)
process.exit(status ?? (signal ? 1 : 0))
