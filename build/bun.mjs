// Runs a TypeScript program with the project's own Bun: node build/bun.mjs FILE [ARGUMENT...]
import { spawnSync } from "node:child_process"
import { ensureModules, fail, findBun, TEST_ENVIRONMENT } from "./bootstrap.mjs"

ensureModules()
const words = process.argv.slice(2)
const env = words[0] === "test" ? TEST_ENVIRONMENT : process.env
const { status, signal, error } = spawnSync(findBun(), words, { stdio: "inherit", env })
if (error) fail(error.message)
process.exit(status ?? (signal ? 1 : 0))
