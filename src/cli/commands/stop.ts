/** toybox stop, kill, wait, pause and unpause. */
import { SIGKILL } from "../../../ffi/constants/signal.ts"
import { killContainer, setPaused, stopContainer } from "../../container/stop.ts"
import { awaitContainer, CONDITIONS } from "../../container/wait.ts"
import { UsageError } from "../../errors.ts"
import { notice } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { type OptionDefinitions, type ParsedArgv, parseArgv } from "../argv.ts"
import { eachContainer } from "../each.ts"
import { signalNumber } from "../flags/process.ts"
import { KILL_OPTIONS, PLAIN_OPTIONS, STOP_OPTIONS, WAIT_OPTIONS } from "./stop-options.ts"

const DEFAULT_SECONDS = 10

function read(words: readonly string[], options: OptionDefinitions) {
  const argv = parseArgv(words, options)
  const paths = pathsFor(argv.strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  return { argv, paths }
}

const help = async ({ booleans }: ParsedArgv, command: string): Promise<boolean> => {
  if (!booleans.get("help")) return false
  await (await import("../usage.ts")).printUsage(command)
  return true
}

/** Seconds that --time gives. Throws UsageError. */
export function stopSeconds({ strings }: ParsedArgv): number {
  const time = strings.get("time") ?? String(DEFAULT_SECONDS)
  if (!/^\d{1,6}$/.test(time)) throw new UsageError(`--time: "${time}" is no number of seconds`)
  return Number(time)
}

/** The signal that --signal names; null where the container's own is meant. Throws UsageError. */
export function stopSignal({ strings }: ParsedArgv): number | null {
  const text = strings.get("signal")
  return text === undefined ? null : signalNumber("--signal", text)
}

/** Tells of a container that had to be killed. */
export function announceStop(reference: string, seconds: number, killed: ReturnType<typeof stopContainer>): void {
  if (!killed) return
  const why = killed.unhandled ? " (its PID 1 has no handler for it, and so never sees it: run --init helps)" : ""
  notice(`${reference} did not end within ${seconds} s of signal ${killed.unheeded}: killed${why}`)
}

export async function stopCommand(words: readonly string[]): Promise<number> {
  const { argv, paths } = read(words, STOP_OPTIONS)
  if (await help(argv, "stop")) return 0
  const [seconds, signal] = [stopSeconds(argv), stopSignal(argv)]
  return eachContainer("stop", argv.rest, (reference) => {
    announceStop(reference, seconds, stopContainer(paths, reference, seconds, signal))
    return reference
  })
}

export async function killCommand(words: readonly string[]): Promise<number> {
  const { argv, paths } = read(words, KILL_OPTIONS)
  if (await help(argv, "kill")) return 0
  const text = argv.strings.get("signal")
  const signal = text === undefined ? SIGKILL : signalNumber("--signal", text)
  return eachContainer("kill", argv.rest, (reference) => {
    killContainer(paths, reference, signal)
    return reference
  })
}

export async function waitCommand(words: readonly string[]): Promise<number> {
  const { argv, paths } = read(words, WAIT_OPTIONS)
  if (await help(argv, "wait")) return 0
  const text = argv.strings.get("condition") ?? "not-running"
  const condition = CONDITIONS.find((name) => name === text)
  if (condition === undefined)
    throw new UsageError(`--condition: "${text}" is not known (use ${CONDITIONS.join(", ")})`)
  return eachContainer("wait", argv.rest, (reference) => String(awaitContainer(paths, reference, condition)))
}

export async function pauseCommand(words: readonly string[], paused: boolean): Promise<number> {
  const command = paused ? "pause" : "unpause"
  const { argv, paths } = read(words, PLAIN_OPTIONS)
  if (await help(argv, command)) return 0
  return eachContainer(command, argv.rest, (reference) => {
    setPaused(paths, reference, paused)
    return reference
  })
}
