/** toybox doctor. */
import { writeText } from "../../../ffi/fs.ts"
import { examine } from "../../container/doctor.ts"
import type { Check } from "../../container/examined.ts"
import { thisMachine } from "../../container/this-machine.ts"
import { UsageError } from "../../errors.ts"
import { notice, print } from "../../log.ts"
import { pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { agrees } from "../ask.ts"
import { DOCTOR_OPTIONS } from "./doctor-options.ts"

const MARKS: Readonly<Record<Check["state"], string>> = { ok: "ok", limited: "LIMITED", missing: "MISSING" }

function lines({ name, state, found, cost, mend }: Check): string[] {
  const first = `${MARKS[state].padEnd(8)} ${name.padEnd(16)} ${found}`
  return [first, ...(cost ? [`${" ".repeat(26)}${cost}`] : []), ...(mend ? [`${" ".repeat(26)}mend: ${mend}`] : [])]
}

function fix(checks: readonly Check[], yes: boolean): void {
  for (const { name, mend, write } of checks) {
    if (write === undefined || mend === undefined) continue
    if (!yes && !process.stdin.isTTY) {
      notice(`${name}: not mended, for nobody can be asked (--yes mends without asking)`)
    } else if (yes || agrees(`${mend}?`)) {
      writeText(write.path, write.value)
    }
  }
}

export async function doctorCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, DOCTOR_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("doctor")
  if (rest.length > 0) throw new UsageError(`doctor takes no arguments, but got "${rest[0]}"`)
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  const look = () => examine(thisMachine(paths))
  let checks = look()
  if (booleans.get("fix")) {
    fix(checks, booleans.get("yes") ?? false)
    checks = look()
  }
  const json = booleans.get("json") ?? false
  print(checks.flatMap((check) => (json ? [JSON.stringify(check)] : lines(check))))
  return checks.some((check) => check.state === "missing") ? 1 : 0
}
