// Sets up, builds, checks types and style, runs the tests: node build/test.mjs [FILTER...]
// The last line says how many passed, failed and were skipped.
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { ensureBinary, ensureModules, findBun, ROOT, TEST_ENVIRONMENT } from "./bootstrap.mjs"
import { CHECKS } from "./checks.mjs"
import { ensurePackages, TEST_PACKAGES } from "./packages.mjs"

const REPORT = join(ROOT, "dist/test/report.xml")

const counts = { passed: 0, failed: 0, skipped: 0 }
process.on("exit", (status) => {
  if (status !== 0 && counts.failed === 0) counts.failed = 1
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
})

ensureModules()
ensurePackages(TEST_PACKAGES)
ensureBinary()

const filters = process.argv.slice(2)
for (const check of filters.length > 0 ? [] : CHECKS) {
  const passed = check.run()
  counts[passed ? "passed" : "failed"] += 1
  if (!passed) console.log(`FAILED: ${check.name}`)
}

rmSync(REPORT, { force: true })
mkdirSync(dirname(REPORT), { recursive: true })
const options = ["--timeout=30000", "--reporter=junit", `--reporter-outfile=${REPORT}`]
const { status } = spawnSync(findBun(), ["test", ...options, ...filters], {
  cwd: ROOT,
  env: TEST_ENVIRONMENT,
  stdio: ["ignore", "inherit", "inherit"],
})
addReport()
// A file that does not load, or a runner that dies, shows in the status only.
if (status !== 0 && counts.failed === 0) counts.failed = 1
process.exit(counts.failed === 0 ? 0 : 1)

function addReport() {
  let report = ""
  try {
    report = readFileSync(REPORT, "utf8")
  } catch {
    counts.failed += 1
    console.log("FAILED: the test runner left no report")
  }
  const totals = /<testsuites [^>]*>/.exec(report)?.[0] ?? ""
  const total = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(totals)?.[1] ?? 0)
  const failed = total("failures") + total("errors")
  counts.failed += failed
  counts.skipped += total("skipped")
  counts.passed += total("tests") - failed - total("skipped")
}
