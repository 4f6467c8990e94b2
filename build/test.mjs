// Sets up, builds, checks types and style, runs the tests: node build/test.mjs [FILTER...]
// What failed is shown once more at the end; the last line says how many passed, failed and were skipped.
import { spawn } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { basename, join } from "node:path"
import { createInterface } from "node:readline"
import { ensureBinary, ensureModules, findBun, ROOT, TEST_ENVIRONMENT } from "./bootstrap.mjs"
import { CHECKS } from "./checks.mjs"
import { ensurePackages, TEST_PACKAGES } from "./packages.mjs"

const REPORTS = join(ROOT, "dist/test")

/** It makes no container, and takes long: there is time for it beside the machines. */
const PATIENT = "test/image/unpack-debian.test.ts"

/** Of a failure's output, what is shown again at the end. */
const FAILURE_LINES = 60

const counts = { passed: 0, failed: 0, skipped: 0 }
const failures = []
process.on("exit", (status) => {
  if (status !== 0 && counts.failed === 0) counts.failed = 1
  for (const failure of failures) console.log(`\nFAILED: ${failure}`)
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

/** The test files of these directories. */
function testsOf(...names) {
  return names.flatMap((name) =>
    readdirSync(join(ROOT, "test", name), { recursive: true })
      .filter((file) => file.endsWith(".test.ts"))
      .map((file) => `test/${name}/${file}`),
  )
}

/**
 * Emulated machines take one processor, and mind nobody beside them; nor do images and containers, which wait for the kernel
 * more than they compute.
 */
async function runAll() {
  const beside = ["src", "ffi", "build"]
  const others = readdirSync(join(ROOT, "test")).filter((name) => ![...beside, "vm", "image"].includes(name))
  const machines = [PATIENT, ...testsOf("vm")]
  // Each of two processors takes the next as soon as it has nothing else to do.
  const runMachines = async () => {
    for (let file = machines.shift(); file !== undefined; file = machines.shift())
      await runTests(basename(file, ".test.ts"), [file], { quiet: true })
  }
  const first = runMachines()
  for (const check of CHECKS) {
    const passed = check.run()
    counts[passed ? "passed" : "failed"] += 1
    if (!passed) failures.push(check.name)
  }
  await runTests(
    "source",
    beside.map((name) => `test/${name}/`),
  )
  await runMachines()
  await first
  const images = testsOf("image").filter((file) => file !== PATIENT)
  await Promise.all([runTests("host", testsOf(...others)), runTests("image", images, { quiet: true })])
}

/** Runs those tests whose path has one of these in it; `quiet`: what they print comes at their end. */
async function runTests(name, filters, { quiet = false } = {}) {
  const report = join(REPORTS, `${name}.xml`)
  const options = ["--timeout=30000", "--reporter=junit", `--reporter-outfile=${report}`]
  const child = spawn(findBun(), ["test", ...options, ...filters], {
    cwd: ROOT,
    env: TEST_ENVIRONMENT,
    stdio: ["ignore", "pipe", "pipe"],
  })
  const lines = []
  const print = quiet ? (line) => lines.push(line) : (line) => console.log(line)
  const note = noteFailures(name)
  for (const output of [child.stdout, child.stderr]) {
    createInterface({ input: output }).on("line", (line) => {
      print(line)
      note(line)
    })
  }
  const status = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve))
  if (quiet) console.log(lines.join("\n"))
  const failed = addReport(report, name)
  // A file that does not load, or a runner that dies, shows in the status only.
  if (status === 0 || failed) return
  counts.failed += 1
  failures.push(`${name}: the test runner ended with ${status}`)
}

/** A reader of a runner's lines that keeps those of each test that failed, and of errors outside tests. */
function noteFailures(name) {
  let file = name
  let block = []
  let isOver = false
  return (line) => {
    // What follows repeats what failed.
    isOver ||= /^\d+ tests? failed:$/.test(line)
    if (isOver) return
    if (/^\S+\.test\.ts:$/.test(line)) file = line.slice(0, -1)
    if (/^(\((pass|skip|todo)\)|# Unhandled error)/.test(line)) block = []
    else block = [...block, line].slice(-FAILURE_LINES)
    const unhandled = line.startsWith("error: ") && block.length === 2
    if (line.startsWith("(fail)") || unhandled) failures.push([file, ...block].join("\n"))
    if (line.startsWith("(fail)")) block = []
  }
}

/** Counts what a report tells. Whether a test of it failed. */
function addReport(path, name) {
  let report = ""
  try {
    report = readFileSync(path, "utf8")
  } catch {
    counts.failed += 1
    failures.push(`${name}: the test runner left no report`)
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
