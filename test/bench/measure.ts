import type { Settle } from "./settle.ts"

/** Something that can be started: a command line and what its environment adds. */
export interface Contender {
  name: string
  cmd: readonly string[]
  env?: Record<string, string>
  /** Milliseconds for which it goes on working in the background after its exit. */
  settle?: number
}

/** The start-to-exit times of one contender in milliseconds, sorted. */
export interface Timing {
  name: string
  times: readonly number[]
}

const WARM_UP_ROUNDS = 3

function seededShuffle<T>(items: readonly T[], seed: number): T[] {
  const shuffled = [...items]
  let state = seed * 2654435761 + 1
  for (let i = shuffled.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const j = state % (i + 1)
    const swapped = shuffled[i] as T
    shuffled[i] = shuffled[j] as T
    shuffled[j] = swapped
  }
  return shuffled
}

function environment(contender: Contender): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
    TOYBOX_NETWORK: "none",
    ...contender.env,
  }
}

/** Runs `contender` once; returns undefined when it exits with 0, and what it said otherwise. */
export function attempt(contender: Contender): string | undefined {
  const cmd = ["timeout", "-k", "2", "30", ...contender.cmd]
  const { exitCode, stderr, stdout } = Bun.spawnSync(cmd, { env: environment(contender), stdin: "ignore" })
  if (exitCode === 0) return undefined
  const said = `${stderr}${stdout}`.trim().split("\n").at(-1)
  return `exit ${exitCode}: ${said === "" ? "no message" : said}`
}

/**
 * Starts each contender once per round, in an order that changes from round to round: what a container leaves for the
 * kernel to tear down after its exit falls on its successor, and must not always fall on the same one.
 */
export async function measure(
  contenders: readonly Contender[],
  method: { rounds: number; settle: Settle },
): Promise<Timing[]> {
  const runs = contenders.map((contender) => ({
    ...contender,
    options: {
      env: environment(contender),
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
      timeout: 30_000,
      killSignal: "SIGKILL",
    } as const,
    times: [] as number[],
  }))
  for (let round = -WARM_UP_ROUNDS; round < method.rounds; round++) {
    // Signal handlers only run between rounds.
    await Bun.sleep(0)
    for (const run of seededShuffle(runs, round + WARM_UP_ROUNDS)) {
      await method.settle()
      const start = Bun.nanoseconds()
      const { exitCode } = Bun.spawnSync(run.cmd as string[], run.options)
      const elapsed = (Bun.nanoseconds() - start) / 1e6
      if (exitCode !== 0) throw new Error(`${run.name}: exit ${exitCode} in round ${round}: ${run.cmd.join(" ")}`)
      if (round >= 0) run.times.push(elapsed)
      if (run.settle !== undefined) await Bun.sleep(run.settle)
    }
  }
  return runs.map(({ name, times }) => ({ name, times: times.sort((a, b) => a - b) }))
}

/** The middle of sorted times. */
export function median({ times }: Timing): number {
  const middle = times.length >> 1
  const upper = times[middle] ?? Number.NaN
  return times.length % 2 === 1 ? upper : ((times[middle - 1] ?? Number.NaN) + upper) / 2
}
