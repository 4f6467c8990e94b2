import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run, tryRun } from "./command.ts"
import { HEADER_GROUPS, NEWER_CONSTANTS } from "./constants-headers.ts"
import { ROOT } from "./paths.ts"
import { ARCH_NAMES, type Arch } from "./targets.ts"

type Values = ReadonlyMap<string, bigint>

/** Names and values as one of our modules, or a C compiler, has them. */
export type Constants = Record<string, bigint>

/** Compares every number that ffi/constants exports with the C headers; returns one line for each disagreement. */
export function checkConstants(arch: Arch): string[] {
  const directory = join(ROOT, "ffi/constants")
  const files = readdirSync(directory).filter((name) => name.endsWith(".ts"))
  return compareConstants(
    loadConstants(
      files.map((file) => join(directory, file)),
      arch,
    ),
    arch,
  )
}

/** Compares constants with the headers; names the headers lack must be in NEWER_CONSTANTS. */
export function compareConstants(ours: Constants, arch: Arch): string[] {
  const names = Object.keys(ours)
  const groups = HEADER_GROUPS.map((headers) => probe(headers, names, arch))
  return names.flatMap((name) => {
    const value = ours[name] ?? 0n
    const found = groups.flatMap((values) => values.get(name) ?? [])
    const known = NEWER_CONSTANTS[name]
    if (found.length === 0 && known === undefined) return [`${name} is in no header`]
    const wanted = found.length > 0 ? found : [BigInt(known?.value ?? 0)]
    const wrong = wanted.find((other) => !sameNumber(value, other))
    return wrong === undefined ? [] : [`${name} is ${value}, but ${wrong} in the headers of ${arch}`]
  })
}

/** The numbers that modules export on an architecture; their other exports are left out. */
export function loadConstants(paths: readonly string[], arch: Arch): Constants {
  // A process of its own: a module may ask for process.arch when it is loaded.
  const script = `
    Object.defineProperty(process, "arch", { value: ${JSON.stringify(arch)} })
    const modules = await Promise.all(${JSON.stringify(paths)}.map((path) => import(path)))
    // A list of names, as that of the capabilities, has each name at its number.
    const exported = modules.flatMap(Object.entries)
    const lists = exported.filter(([, value]) => Array.isArray(value)).flatMap(([, list]) => list.map((name, i) => [name, i]))
    const numbers = [...exported, ...lists].filter(([, value]) => ["number", "bigint"].includes(typeof value))
    console.log(JSON.stringify(numbers.map(([name, value]) => [name, String(BigInt(value))])))`
  const entries: [string, string][] = JSON.parse(run([process.execPath, "-e", script]))
  const constants: Constants = {}
  for (const [name, text] of entries) {
    const value = BigInt(text)
    if ((constants[name] ?? value) !== value) throw new Error(`${name} is exported twice, with different values`)
    constants[name] = value
  }
  return constants
}

/** Compares system call numbers with asm/unistd.h of an architecture. */
export function compareSyscalls(numbers: Readonly<Record<string, number>>, arch: Arch): string[] {
  const values = probe(
    ["asm/unistd.h"],
    Object.keys(numbers).map((name) => `__NR_${name}`),
    arch,
  )
  return Object.entries(numbers).flatMap(([name, number]) => {
    const header = values.get(`__NR_${name}`)
    if (header === BigInt(number)) return []
    return [`${name} is ${number}, but ${header ?? "absent"} in asm/unistd.h of ${arch}`]
  })
}

/** A constant may be written as the unsigned form of a 32-bit number that C has as a negative one. */
function sameNumber(ours: bigint, theirs: bigint): boolean {
  if (BigInt.asIntN(64, ours) === BigInt.asIntN(64, theirs)) return true
  return BigInt.asIntN(32, ours) === theirs && ours >= 0n && ours < 1n << 32n
}

/** Values of those names that some of the headers define, read out of an object file: nothing is run. */
function probe(headers: readonly string[], names: readonly string[], arch: Arch): Values {
  const directory = mkdtempSync(join(tmpdir(), "toybox-probe-"))
  try {
    const unknown = compileProbe(headers, names, arch, directory)
    const known = names.filter((name) => !unknown.has(name))
    compileProbe(headers, known, arch, directory)
    const assembly = readFileSync(join(directory, "probe.s"), "utf8")
    return new Map(
      known.map((name, index): [string, bigint] => {
        const value = new RegExp(`^probe_${index}:\\n\\s*\\.(?:quad|xword|zero)\\s+(-?\\d+)`, "m").exec(assembly)
        if (!value?.[1]) throw new Error(`${name} is not in the compiled probe`)
        const isZero = value[0].includes(".zero")
        return [name, isZero ? 0n : BigInt(value[1])]
      }),
    )
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Compiles the probe and returns the names the compiler does not know; any other error is thrown. */
function compileProbe(
  headers: readonly string[],
  names: readonly string[],
  arch: Arch,
  directory: string,
): Set<string> {
  const source = join(directory, "probe.c")
  const includes = headers.map((header) => `#if __has_include(<${header}>)\n#include <${header}>\n#endif`)
  const values = names.map((name, index) => `const long long probe_${index} = (long long)(${name});`)
  writeFileSync(source, ["#define _GNU_SOURCE", ...includes, ...values, ""].join("\n"))
  const command = [ARCH_NAMES[arch].compiler, "-w", "-fmax-errors=0", "-S", "-o", join(directory, "probe.s"), source]
  const { status, stderr } = tryRun(command)
  const unknown = new Set([...stderr.matchAll(/error: '(\w+)' undeclared/g)].map((match) => match[1] ?? ""))
  if (status !== 0 && unknown.size === 0) throw new Error(`${command.join(" ")}\n${stderr}`)
  return unknown
}
