/** Options of `run`: where the command starts, and variables that are added to (or, when undefined, taken from) its environment. */
export interface RunOptions {
  cwd?: string
  env?: Record<string, string | undefined>
}

/** Runs a build tool to its end and returns what it printed; a failure carries the command and its messages. */
export function run(command: readonly string[], options: RunOptions = {}): string {
  const result = tryRun(command, options)
  if (result.status !== 0) {
    throw new Error(`${command.join(" ")}: exit status ${result.status}\n${result.stderr}${result.stdout}`)
  }
  return result.stdout
}

/** Runs a build tool and returns its status and output, for callers that expect it to fail. */
export function tryRun(command: readonly string[], options: RunOptions = {}) {
  // LC_ALL=C: compiler and dpkg messages are parsed.
  const env: Record<string, string | undefined> = { ...process.env, LC_ALL: "C", ...options.env }
  const child = Bun.spawnSync([...command], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  return { status: child.exitCode, stdout: child.stdout.toString(), stderr: child.stderr.toString() }
}
