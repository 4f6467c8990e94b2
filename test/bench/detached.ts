/** Many detached containers at once: how fast they start, are listed and end, and what their supervisors hold. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownRun } from "../helpers/own.ts"
import { type Contender, measure } from "./measure.ts"
import { growth, verdict } from "./report.ts"
import type { Settle } from "./settle.ts"
import { makeBenchRoot } from "./workspace.ts"

const COUNT = 500
const PART = 50
const WORKERS = 2
const FEW = 20
/** Milliseconds after which supervisors have let go of what only their start needs. */
const QUIET = 2000
/** Starts a second; the last part to the first; milliseconds of ps; run -d to run; megabytes of a supervisor. */
const TARGETS = { rate: 60, growth: 1.3, list: 60, detach: 1.6, memory: 5 }

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN

/** Proportional set size in bytes: proc_pid_smaps_rollup(5). */
function proportional(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024
}

function supervisors(state: string): number[] {
  const running = join(state, "run/running")
  return readdirSync(running).flatMap((id) => JSON.parse(readFileSync(join(running, id), "utf8")).supervisor?.pid ?? [])
}

/** Prints the figures; true where a target was missed. */
export async function detached(workspace: string, method: { rounds: number; settle: Settle }): Promise<boolean> {
  const root = makeBenchRoot(join(workspace, "detached-root"))
  const state = join(workspace, "detached-state")
  const env = { PATH: process.env.PATH ?? "", HOME: "/root", TOYBOX_NETWORK: "none", TOYBOX_ROOT: state }
  const toybox = async (...words: string[]): Promise<number> => {
    const start = performance.now()
    const child = Bun.spawn([toyboxBinary(), ...words], { env, stdin: "ignore", stdout: "ignore", stderr: "pipe" })
    if ((await child.exited) !== 0) throw new Error(`${words[0]}: ${await new Response(child.stderr).text()}`)
    return performance.now() - start
  }
  const start = (...words: string[]) => toybox(...ownRun("-d", ...words, root, "/bin/sleep", "10000"))
  const lines: string[] = []
  let over = false
  const tell = (what: string, ok: boolean) => {
    lines.push(`${what}: ${ok ? "ok" : "over"}`)
    over ||= !ok
  }
  const list = async () => {
    const times: number[] = []
    for (let i = 0; i < 9; i++) times.push(await toybox("ps", "-q"))
    return median(times)
  }

  const words = (flags: readonly string[]): Contender => ({
    name: flags.join(" "),
    cmd: [toyboxBinary(), ...ownRun(...flags), root, "/bin/true"],
    env: { TOYBOX_ROOT: join(workspace, "detach-state") },
    settle: flags.includes("-d") ? 30 : 0,
  })
  const [front, back] = await measure([words(["--rm"]), words(["-d", "--rm"])], {
    ...method,
    rounds: Math.min(method.rounds, 40),
  })
  if (front && back) {
    const { line, over: slow } = growth({ ...back, name: "run -d" }, { ...front, name: "run" }, TARGETS.detach)
    lines.push(line)
    over ||= slow
  }

  try {
    let next = 0
    const parts: number[] = []
    const begun = performance.now()
    while (next < COUNT) {
      const end = next + PART
      const before = performance.now()
      await Promise.all(
        Array.from({ length: WORKERS }, async () => {
          while (next < end) {
            next++
            await start()
          }
        }),
      )
      parts.push(performance.now() - before)
      if (next === PART * 2) lines.push(`ps of ${next}: ${(await list()).toFixed(1)} ms`)
    }
    const seconds = (performance.now() - begun) / 1000
    tell(
      `${COUNT} started, ${(COUNT / seconds).toFixed(1)} a second of at least ${TARGETS.rate}`,
      COUNT / seconds >= TARGETS.rate,
    )
    const share = (parts.at(-1) ?? Number.NaN) / (parts[0] ?? Number.NaN)
    lines.push(`the last ${PART} / the first ${PART}: ${verdict(share, TARGETS.growth)}`)
    over ||= share > TARGETS.growth
    const listed = await list()
    lines.push(`ps of ${COUNT}, milliseconds: ${verdict(listed, TARGETS.list)}`)
    over ||= listed > TARGETS.list
    const stopped = await toybox("rm", "--all", "--force")
    lines.push(`all ended and removed in ${(stopped / 1000).toFixed(1)} s`)
    for (let i = 0; i < FEW; i++) await start()
    await Bun.sleep(QUIET)
    const sizes = supervisors(state).map(proportional)
    const most = Math.max(...sizes) / 1e6
    lines.push(`supervisors of ${sizes.length}, megabytes of the largest (PSS): ${verdict(most, TARGETS.memory)}`)
    over ||= most > TARGETS.memory
  } finally {
    await toybox("rm", "--all", "--force")
  }
  console.log(`\ndetached: ${COUNT} at once, started by ${WORKERS}\n${lines.join("\n")}`)
  return over
}
