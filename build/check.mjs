// Types and lint: node build/check.mjs [--write [FILE...]]. With --write, files are reformatted instead.
import { ensureModules } from "./bootstrap.mjs"
import { CHECKS, format } from "./checks.mjs"

ensureModules()
const [first, ...files] = process.argv.slice(2)
const failed = first === "--write" ? !format(files) : CHECKS.filter((check) => !check.run()).length > 0
process.exit(failed ? 1 : 0)
