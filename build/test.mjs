// Sets up, builds, checks types and style, runs the tests: node build/test.mjs [FILTER...]
// The last line says how many passed, failed and were skipped.
import { spawn } from "node:child_process"
import { mkdirSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { ensureBinary, ensureModules, findBun, ROOT, TEST_ENVIRONMENT } from "./bootstrap.mjs"
import { CHECKS } from "./checks.mjs"
import { ensurePackages, TEST_PACKAGES } from "./packages.mjs"

const REPORTS = join(ROOT, "dist/test")

const counts = { passed: 0, failed: 0, skipped: 0 }
process.on("exit", (status) => {
  if (status !== 0 && counts.failed === 0) counts.failed = 1
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
})

ensureModules()
ensurePackages(TEST_PACKAGES)
ensureBinary()

rmSync(REPORTS, { recursive: true, force: true })
mkdirSync(REPORTS, { recursive: true })
const filters = process.argv.slice(2)
if (filters.length > 0) await runTests("some", filters)
else await runAll()
process.exit(counts.failed === 0 ? 0 : 1)

/** Emulated machines take one processor, and mind nobody beside them; containers and engines have the machine for themselves. */
async function runAll() {
  const beside = ["src", "ffi", "build"]
  const alone = readdirSync(join(ROOT, "test")).filter((name) => ![...beside, "vm"].includes(name))
  const paths = (names) => names.map((name) => `test/${name}/`)
  const vm = readdirSync(join(ROOT, "test/vm")).filter((name) => name.endsWith(".test.ts"))
  const machines = [0, 1].map((half) => vm.filter((_, i) => i % 2 === half).map((name) => `test/vm/${name}`))
  const first = runTests("vm", machines[1], { quiet: true })
  for (const check of CHECKS) {
    const passed = check.run()
    counts[passed ? "passed" : "failed"] += 1
    if (!passed) console.log(`FAILED: ${check.name}`)
  }
  await runTests("source", paths(beside))
  await runTests("vm-more", machines[0])
  await first
  await runTests("host", paths(alone))
}

/** Runs those tests whose path has one of these in it; `quiet`: what they print comes at their end. */
async function runTests(name, filters, { quiet = false } = {}) {
  const [report, log] = ["xml", "log"].map((suffix) => join(REPORTS, `${name}.${suffix}`))
  const options = ["--timeout=30000", "--reporter=junit", `--reporter-outfile=${report}`]
  const output = quiet ? openSync(log, "w") : "inherit"
  const child = spawn(findBun(), ["test", ...options, ...filters], {
    cwd: ROOT,
    env: TEST_ENVIRONMENT,
    stdio: ["ignore", output, output],
  })
  const status = await new Promise((resolve, reject) => child.on("error", reject).on("exit", resolve))
  if (quiet) process.stdout.write(readFileSync(log))
  const failed = addReport(report)
  // A file that does not load, or a runner that dies, shows in the status only.
  if (status !== 0 && !failed) counts.failed += 1
}

/** Counts what a report tells. Whether a test of it failed. */
function addReport(path) {
  let report = ""
  try {
    report = readFileSync(path, "utf8")
  } catch {
    counts.failed += 1
    console.log("FAILED: the test runner left no report")
    return true
  }
  const totals = /<testsuites [^>]*>/.exec(report)?.[0] ?? ""
  const total = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(totals)?.[1] ?? 0)
  const failed = total("failures") + total("errors")
  counts.failed += failed
  counts.skipped += total("skipped")
  counts.passed += total("tests") - failed - total("skipped")
  return failed > 0
}
