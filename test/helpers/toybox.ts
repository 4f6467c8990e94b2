import { mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "./binary.ts"
import { scratch } from "./scratch.ts"

/** How toybox is started. */
export interface ToyboxOptions {
  stdin?: string | Uint8Array
  /** Added to the environment of the tests; a value of undefined removes a variable. */
  env?: Record<string, string | undefined>
  /** The hard limit; going over it is an error of the test. */
  timeoutSeconds?: number
  cwd?: string
  /** Another program than the executable under test. */
  binary?: string
}

/** How it ended, with its output as text or as bytes. */
export interface ToyboxResult<Output = string> {
  stdout: Output
  stderr: Output
  /** 128+n when signal n ended it, as a shell would tell. */
  exitCode: number
  /** The signal that ended toybox itself, or undefined when it exited. */
  signal: NodeJS.Signals | undefined
}

/** A toybox that is running. */
export interface RunningToybox {
  /** The process of toybox itself, not of its watchdog. */
  pid: number
  stdin: { write(data: string | Uint8Array): void; end(): void }
  kill(signal: NodeJS.Signals): void
  /** Waits until its standard output or standard error holds `text`. Throws when that does not come. */
  waitFor(text: string, seconds?: number): Promise<void>
  wait(): Promise<ToyboxResult>
}

const DEFAULT_TIMEOUT = 20
const GRACE = 2
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
}

/** The state directory (TOYBOX_ROOT) of the test file that is running. */
export function stateRoot(): string {
  const dir = join(scratch(), "state")
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  return dir
}

function environment(env: ToyboxOptions["env"]): Record<string, string> {
  const merged = { ...process.env, TOYBOX_ROOT: stateRoot(), ...env }
  return Object.fromEntries(Object.entries(merged).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])))
}

function spawn(args: readonly string[], options: ToyboxOptions, stdin: "pipe" | "ignore" | Uint8Array) {
  const limit = options.timeoutSeconds ?? DEFAULT_TIMEOUT
  // In the foreground: toybox stays in the caller's process group and a signal of the kernel reaches it directly.
  const watchdog = ["timeout", "--foreground", "-k", String(GRACE), String(limit)]
  return Bun.spawn([...watchdog, options.binary ?? toyboxBinary(), ...args], {
    env: environment(options.env),
    stdin,
    stdout: "pipe",
    stderr: "pipe",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
}

/** A stream's bytes as they come, and the moment of its end. */
function collect(stream: ReadableStream<Uint8Array>) {
  const chunks: Uint8Array[] = []
  const read = async () => {
    for await (const chunk of stream) chunks.push(chunk)
  }
  return { soFar: () => Buffer.concat(chunks), end: read() }
}

type Collected = ReturnType<typeof collect>
type Child = ReturnType<typeof spawn>

async function finish(
  child: Child,
  out: Collected,
  err: Collected,
  args: readonly string[],
  limit = DEFAULT_TIMEOUT,
): Promise<ToyboxResult<Buffer>> {
  const start = performance.now()
  const tail = () => `${out.soFar().subarray(-2000)}\n${err.soFar().subarray(-2000)}`
  const command = `toybox ${args.join(" ")}`
  // Output ends later than toybox when something it left behind holds the pipe: that is a failure, not a hang.
  const expired = Symbol()
  const late = new Promise<typeof expired>((resolve) => {
    setTimeout(() => resolve(expired), (limit + GRACE + 1) * 1000).unref()
  })
  if ((await Promise.race([Promise.all([out.end, err.end]), late])) === expired) {
    child.kill("SIGKILL")
    throw new Error(`${command}: somebody still holds its output after ${limit} s\n${tail()}`)
  }
  const code = await child.exited
  if (performance.now() - start >= limit * 1000) throw new Error(`${command}: timed out after ${limit} s\n${tail()}`)
  const signal = typeof child.signalCode === "string" ? child.signalCode : undefined
  const exitCode = signal === undefined ? code : 128 + (SIGNAL_NUMBERS[signal] ?? 0)
  return { stdout: out.soFar(), stderr: err.soFar(), exitCode, signal }
}

function asText(result: ToyboxResult<Buffer>): ToyboxResult {
  return { ...result, stdout: result.stdout.toString(), stderr: result.stderr.toString() }
}

/** Runs toybox to its end, output as bytes. Throws when it takes longer than `timeoutSeconds`. */
export async function toyboxBytes(args: readonly string[], options: ToyboxOptions = {}): Promise<ToyboxResult<Buffer>> {
  const { stdin } = options
  const bytes = typeof stdin === "string" ? Buffer.from(stdin) : stdin
  const child = spawn(args, options, bytes ?? "ignore")
  return finish(child, collect(child.stdout), collect(child.stderr), args, options.timeoutSeconds)
}

/** Runs toybox to its end, output as text. Throws when it takes longer than `timeoutSeconds`. */
export async function toybox(args: readonly string[], options: ToyboxOptions = {}): Promise<ToyboxResult> {
  return asText(await toyboxBytes(args, options))
}

/** Runs toybox, which must succeed. Returns its standard output, without the last line's end. */
export async function succeed(words: string[], options: ToyboxOptions = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await toybox(words, options)
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.trimEnd()
}

/** The process that the watchdog `pid` has started; null where it has ended before it could be looked at. */
async function childOf(pid: number): Promise<number | null> {
  for (const end = performance.now() + 10_000; performance.now() < end; await Bun.sleep(5)) {
    let children: string
    try {
      children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    } catch {
      break
    }
    const child = Number(children.split(" ")[0])
    if (child > 0) return child
  }
  return null
}

/** Starts toybox with a pipe on standard input and leaves it running; the watchdog ends it in any case. */
export async function startToybox(args: readonly string[], options: ToyboxOptions = {}): Promise<RunningToybox> {
  const child = spawn(args, options, "pipe")
  const out = collect(child.stdout)
  const err = collect(child.stderr)
  const done = finish(child, out, err, args, options.timeoutSeconds)
  // Somebody who never waits must not fail the run by an unhandled rejection.
  done.catch(() => undefined)
  const started = await childOf(child.pid)
  const pid = () => {
    if (started === null) throw new Error(`${args.join(" ")} ended before it could be looked at`)
    return started
  }
  const input = child.stdin
  if (options.stdin !== undefined && typeof input === "object") input.write(options.stdin)
  return {
    get pid() {
      return pid()
    },
    stdin: {
      write: (data) => {
        if (typeof input !== "object" || !("flush" in input)) return
        input.write(data)
        input.flush()
      },
      end: () => {
        if (typeof input === "object" && "end" in input) input.end()
      },
    },
    kill: (signal) => {
      try {
        process.kill(pid(), signal)
      } catch (error) {
        // It has just ended.
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
      }
    },
    waitFor: async (text, seconds = 10) => {
      for (const end = performance.now() + seconds * 1000; performance.now() < end; await Bun.sleep(10)) {
        if (out.soFar().includes(text) || err.soFar().includes(text)) return
      }
      throw new Error(`toybox has not said ${text} after ${seconds} s:\n${out.soFar()}\n${err.soFar()}`)
    },
    wait: async () => asText(await done),
  }
}
