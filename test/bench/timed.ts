/** Single commands: run, and timed. */

/** The middle one. */
export const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN

/** A script of bash, whose failure is an error. */
export function sh(script: string, ...words: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["bash", "-e", "-o", "pipefail", "-c", script, "-", ...words], {
    stdin: "ignore",
    stdout: "ignore",
  })
  if (exitCode !== 0) throw new Error(`${script.slice(0, 80)}: ${stderr}`)
}

/** How long a command takes and the most memory it has; its failure is an error. */
export function timed(cmd: string[], env: Record<string, string>): { milliseconds: number; megabytes: number } {
  const start = performance.now()
  const { exitCode, stderr, resourceUsage } = Bun.spawnSync(cmd, { env, stdin: "ignore", stdout: "ignore" })
  const milliseconds = performance.now() - start
  if (exitCode !== 0) throw new Error(`${cmd.slice(0, 4).join(" ")}: ${stderr}`)
  return { milliseconds, megabytes: (resourceUsage?.maxRSS ?? 0) / 1e6 }
}
