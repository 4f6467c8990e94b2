/** libseccomp as the judge: a small C program makes the filter that it would load for a profile. */
import { join } from "node:path"
import type { LinuxSeccomp } from "../../../../src/oci/seccomp.ts"
import { returnValue } from "../../../../src/security/seccomp/actions.ts"
import type { Machine } from "../../../../src/security/seccomp/arches.ts"
import { temporaryDirectory } from "../../../helpers/scratch.ts"

function run(command: readonly string[], stdin = ""): Buffer {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { stdin: Buffer.from(stdin) })
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit ${exitCode}\n${stderr}`)
  return stdout
}

let built: string | undefined

function binary(): string {
  if (built === undefined) {
    const path = join(temporaryDirectory("reference"), "reference")
    run(["gcc", "-O1", "-o", path, join(import.meta.dir, "reference.c"), "-lseccomp"])
    built = path
  }
  return built
}

/** Those of the names that this libseccomp knows. */
export const knownNames = (names: readonly string[]): string[] =>
  run([binary(), "names"], names.join("\n")).toString().trim().split("\n")

const ARCHES: Readonly<Record<string, string>> = {
  SCMP_ARCH_X86_64: "x86_64",
  SCMP_ARCH_X32: "x32",
  SCMP_ARCH_X86: "x86",
  SCMP_ARCH_AARCH64: "aarch64",
  SCMP_ARCH_ARM: "arm",
}

/** The filter that runc and crun load for the profile, but for the ENOSYS that runc puts before it. */
export function referenceFilter(seccomp: LinuxSeccomp, machine: Machine): Uint8Array {
  const lines = [`init ${returnValue(seccomp.defaultAction, seccomp.defaultErrnoRet)}`]
  if (machine === "x64") lines.push("native")
  const own = machine === "x64" ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64"
  for (const name of new Set([own, ...(seccomp.architectures ?? [])])) {
    if (machine === "x64" && name === own) continue
    lines.push(`arch ${ARCHES[name]}`)
  }
  for (const { names, action, errnoRet, args = [] } of seccomp.syscalls ?? []) {
    const repeated = new Set(args.map(({ index }) => index)).size < args.length
    for (const name of names) {
      for (const set of repeated ? args.map((arg) => [arg]) : [args]) {
        const words = set.map(({ index, op, value, valueTwo = 0 }) => `${index} ${op.slice(9)} ${value} ${valueTwo}`)
        lines.push(`rule ${returnValue(action, errnoRet)} ${name} ${words.join(" ")}`)
      }
    }
  }
  return run([binary()], `${lines.join("\n")}\n`)
}
