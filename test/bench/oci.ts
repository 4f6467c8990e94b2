/** toybox as an OCI runtime beside crun and runc: a bundle run, and a command more in a container; `toybox exec`, too. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { attempt, type Contender, measure, median, type Timing } from "./measure.ts"
import { benchBundle } from "./peers.ts"
import { table, verdict } from "./report.ts"
import type { Settle } from "./settle.ts"
import { makeBenchRoot } from "./workspace.ts"

/** Upper bounds of toybox's medians as shares of a peer's. */
const RUN = { crun: 1.2, runc: 0.4 }
const EXEC = { crun: 1.5, runc: 0.4 }

/** What is called, as words before a command. */
function runtimes(workspace: string): Record<string, string[]> {
  const state = (name: string) => ["--root", join(workspace, `${name}-oci-state`)]
  return {
    toybox: [toyboxBinary(), "oci", ...state("toybox")],
    ...Object.fromEntries(
      ["crun", "runc"].filter((name) => Bun.which(name)).map((name) => [name, [name, ...state(name)]]),
    ),
  }
}

function succeed(cmd: readonly string[]): void {
  const failure = attempt({ name: "", cmd })
  if (failure !== undefined) throw new Error(`${cmd.join(" ")}: ${failure}`)
}

/** Prints what was measured, and how what toybox took compares; true where a target was missed. */
function tell(
  title: string,
  timings: readonly Timing[],
  targets: Readonly<Record<string, Readonly<Record<string, number>>>>,
): boolean {
  const of = (name: string) => timings.find((timing) => timing.name === name)
  console.log(`\n${title}\n${table(timings, "toybox", {})}`)
  const lines = Object.entries(targets).flatMap(([own, bounds]) =>
    Object.entries(bounds).flatMap(([name, bound]) => {
      const [one, peer] = [of(own), of(name)]
      return one && peer ? [`${own} / ${name}: ${verdict(median(one) / median(peer), bound)}`] : []
    }),
  )
  for (const line of lines) console.log(line)
  return lines.some((line) => line.endsWith("over"))
}

/** A bundle like the other, of a container that stays. */
function stayingBundle(bundle: string): string {
  const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"))
  config.process.args = ["/bin/sleep", "10000"]
  config.linux.cgroupsPath += "-stays"
  const directory = `${bundle}-stays`
  mkdirSync(directory)
  writeFileSync(join(directory, "config.json"), JSON.stringify(config))
  return directory
}

/** Prints the figures; true where a target was missed. */
export async function oci(
  workspace: string,
  method: { rounds: number; settle: Settle; label: string },
): Promise<boolean> {
  const root = makeBenchRoot(join(workspace, "oci-root"))
  const found = Object.entries(runtimes(workspace))
  const bundles = new Map(found.map(([name]) => [name, benchBundle(name, join(workspace, "oci"), root)]))
  const bundleOf = (name: string) => bundles.get(name) ?? ""
  const runs = found.map(
    ([name, words]): Contender => ({ name, cmd: [...words, "run", "--bundle", bundleOf(name), "bench"] }),
  )
  const isOverOfRun = tell(`oci: run of a bundle, ${method.label}`, await measure(runs, method), { toybox: RUN })
  const engine = ["--root", join(workspace, "oci-engine")]
  try {
    for (const [name, words] of found)
      succeed([
        "sh",
        "-c",
        '"$@" < /dev/null > /dev/null 2>&1',
        "-",
        ...words,
        "run",
        "--detach",
        "--bundle",
        stayingBundle(bundleOf(name)),
        "stays",
      ])
    succeed([toyboxBinary(), "run", "-d", ...engine, "--name", "stays", root, "/bin/sleep", "10000"])
    const execs = found.map(([name, words]): Contender => ({ name, cmd: [...words, "exec", "stays", "/bin/true"] }))
    const own = { name: "toybox exec", cmd: [toyboxBinary(), "exec", ...engine, "stays", "/bin/true"] }
    const timings = await measure([...execs, own], method)
    const isOver = tell(`oci: exec, ${method.label}`, timings, { toybox: EXEC, "toybox exec": { crun: EXEC.crun } })
    return isOver || isOverOfRun
  } finally {
    for (const [, words] of found) attempt({ name: "", cmd: [...words, "delete", "--force", "stays"] })
    attempt({ name: "", cmd: [toyboxBinary(), "rm", "--all", "--force", ...engine] })
  }
}
