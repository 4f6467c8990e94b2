/** toybox stop, kill, wait, pause and unpause. */
import { SIGKILL } from "../../../ffi/constants/signal.ts"
import { isUp } from "../../container/list.ts"
import { NotRunning } from "../../container/running.ts"
import { signalName } from "../../container/signal-name.ts"
import { NoSuchContainer } from "../../container/state.ts"
import { beginKill, beginStop, type Killed, type StopWish, setPaused, stopWithMachine } from "../../container/stop.ts"
import { awaitContainer, CONDITIONS } from "../../container/wait.ts"
import { UsageError } from "../../errors.ts"
import { notice } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { chosenContainers, isSearch, withLatest } from "../chosen.ts"
import { parseDuration } from "../duration.ts"
import { eachAtOnce, eachContainer } from "../each.ts"
import { seconds, signalNumber } from "../flags/process.ts"
import { KILL_OPTIONS, PAUSE_OPTIONS, STOP_OPTIONS, WAIT_OPTIONS } from "./stop-options.ts"

const help = async (command: string): Promise<number> => (await import("../usage.ts")).printUsage(command)

function placesOf({ strings }: ParsedArgv): Paths {
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  return paths
}

/** How --time and --signal want it. Throws UsageError. */
export function stopWish({ strings, typed }: ParsedArgv): StopWish {
  const [time, signal] = [strings.get("time"), strings.get("signal")]
  return {
    seconds: time === undefined ? null : seconds(typed.get("time") ?? "--time", time),
    signal: signal === undefined ? null : signalNumber("--signal", signal),
  }
}

/** Tells of a container that had to be killed; who gives it no time has asked for that. */
export function announceStop(reference: string, killed: Killed | null): void {
  if (!killed || killed.seconds === 0) return
  const why = killed.unhandled ? " (its PID 1 has no handler for it, and so never sees it: run --init helps)" : ""
  notice(`${reference} did not end within ${killed.seconds} s of ${signalName(killed.unheeded)}: killed${why}`)
}

export async function stopCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, STOP_OPTIONS)
  if (argv.booleans.get("help")) return help("stop")
  const paths = placesOf(argv)
  if (argv.booleans.get("boot")) {
    const other = [...argv.typed.keys()].find((name) => !["boot", "root", "debug"].includes(name))
    if (argv.rest.length > 0 || other) throw new UsageError("stop --boot takes no containers and no other options")
    stopWithMachine(paths)
    return 0
  }
  const wish = stopWish(argv)
  const chosen = await chosenContainers("stop", paths, argv, isUp)
  if (chosen === null) return 0
  const mayBeGone = argv.booleans.get("ignore") || isSearch(argv)
  const begin = (reference: string) => {
    try {
      return beginStop(paths, reference, wish)
    } catch (error) {
      if (!mayBeGone || !(error instanceof NoSuchContainer)) throw error
      return () => null
    }
  }
  return eachAtOnce("stop", chosen, (reference) => {
    const end = begin(reference)
    return () => {
      announceStop(reference, end())
      return reference
    }
  })
}

export async function killCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, KILL_OPTIONS)
  if (argv.booleans.get("help")) return help("kill")
  const paths = placesOf(argv)
  const text = argv.strings.get("signal")
  const signal = text === undefined ? SIGKILL : signalNumber("--signal", text)
  const chosen = await chosenContainers("kill", paths, argv, isUp)
  if (chosen === null) return 0
  const begin = (reference: string) => {
    try {
      return beginKill(paths, reference, signal)
    } catch (error) {
      if (!isSearch(argv) || !(error instanceof NotRunning || error instanceof NoSuchContainer)) throw error
      return () => {}
    }
  }
  return eachAtOnce("kill", chosen, (reference) => {
    const end = begin(reference)
    return () => {
      end()
      return reference
    }
  })
}

export async function waitCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, WAIT_OPTIONS)
  if (argv.booleans.get("help")) return help("wait")
  const paths = placesOf(argv)
  const text = argv.strings.get("condition") ?? "not-running"
  const condition = CONDITIONS.find((name) => name === text)
  if (condition === undefined)
    throw new UsageError(`--condition: "${text}" is not known (use ${CONDITIONS.join(", ")})`)
  const interval = argv.strings.get("interval")
  if (interval !== undefined && parseDuration(interval) === null && !/^\d+$/.test(interval))
    throw new UsageError(`--interval: "${interval}" is no time (use 250ms or 1s)`)
  return eachContainer("wait", withLatest(paths, argv).rest, (reference) =>
    String(awaitContainer(paths, reference, condition)),
  )
}

export async function pauseCommand(words: readonly string[], paused: boolean): Promise<number> {
  const command = paused ? "pause" : "unpause"
  const argv = parseArgv(words, PAUSE_OPTIONS)
  if (argv.booleans.get("help")) return help(command)
  const paths = placesOf(argv)
  const chosen = await chosenContainers(
    command,
    paths,
    argv,
    ({ status }) => status === (paused ? "running" : "paused"),
  )
  if (chosen === null) return 0
  return eachContainer(command, chosen, (reference) => {
    setPaused(paths, reference, paused)
    return reference
  })
}
