/** toybox create, start, restart and rename. */
import { call } from "../../../ffi/call.ts"
import { isToEnd, readAsked } from "../../container/asked.ts"
import { attach, connectTo, stayWith } from "../../container/attach.ts"
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "../../container/detach-keys.ts"
import { recordEvents } from "../../container/events.ts"
import { isUp, listContainers } from "../../container/list.ts"
import { renameContainer } from "../../container/rename.ts"
import { replacing } from "../../container/replace.ts"
import { startsAtBoot } from "../../container/restart-policy.ts"
import { requireRoom } from "../../container/room.ts"
import { createContainer, startContainer } from "../../container/start-again.ts"
import { plainName, readHead, readResult, resolveId } from "../../container/state.ts"
import { beginStop, type StopWish } from "../../container/stop.ts"
import { takeSignals } from "../../container/supervise.ts"
import { changeRunning } from "../../container/while-up.ts"
import { withContainer } from "../../container/with-container.ts"
import { needsRoot, ToyboxError, UsageError } from "../../errors.ts"
import { settleLayer } from "../../image/cache/layers.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { type OptionDefinitions, type ParsedArgv, parseArgv, parseLeading } from "../argv.ts"
import { chosenContainers } from "../chosen.ts"
import { each, eachAtOnce, eachContainer } from "../each.ts"
import { obtainRequest } from "./run.ts"
import { CREATE_OPTIONS, START_OPTIONS } from "./start-options.ts"
import { announceStop, stopWish } from "./stop.ts"
import { PLAIN_OPTIONS, RESTART_OPTIONS } from "./stop-options.ts"

function read(words: readonly string[], options: OptionDefinitions, parse = parseArgv) {
  const argv = parse(words, options)
  return { argv, paths: pathsFor(argv.strings.get("root") ?? process.env.TOYBOX_ROOT) }
}

const help = async (command: string): Promise<number> => (await import("../usage.ts")).printUsage(command)

function needRoot(command: string): void {
  if (process.geteuid?.() !== 0) throw needsRoot(`toybox ${command}`)
}

export async function createCommand(words: readonly string[]): Promise<number> {
  const signalFd = takeSignals()
  const { argv, paths } = read(words, CREATE_OPTIONS, parseLeading)
  if (argv.booleans.get("help")) return help("create")
  needRoot("create")
  call("umask", 0o022)
  // What it is made for is not the terminal of this command.
  const detached = { ...argv, booleans: new Map([...argv.booleans, ["detach", true] as const]) }
  const request = await obtainRequest(words, detached, paths, signalFd)
  // With --rm, too, it stays until it has run.
  if (request.archive) settleLayer(request.lower)
  const make = () => createContainer(request, paths)
  print([await (argv.booleans.get("replace") ? replacing(paths, request.name, make) : make())])
  return 0
}

/** With its output from the first byte on; returns its exit code. */
async function startAttached(paths: Paths, reference: string, argv: ParsedArgv): Promise<number> {
  const signalFd = takeSignals()
  let connection: { id: string; socket: number } | null = null
  const started = await startContainer(paths, reference, (id) => {
    connection = { id, socket: connectTo(paths, id) }
  })
  const options = {
    input: argv.booleans.get("interactive") ?? false,
    inputEnd: true,
    sigProxy: argv.booleans.get("sig-proxy") ?? true,
    detachKeys: parseDetachKeys(argv.strings.get("detach-keys") ?? DEFAULT_DETACH_KEYS),
  }
  // As docker has it, one that runs already is attached to.
  if (!started || connection === null) return attach(paths, reference, options, signalFd)
  return stayWith(paths, reference, connection, options, signalFd)
}

export async function startCommand(words: readonly string[]): Promise<number> {
  const { argv, paths } = read(words, START_OPTIONS)
  if (argv.booleans.get("help")) return help("start")
  needRoot("start")
  ensurePaths(paths)
  if (argv.booleans.get("boot")) return startAtBoot(paths, argv)
  const chosen = await chosenContainers("start", paths, argv, (summary) => !isUp(summary))
  if (chosen === null) return 0
  const [container, ...others] = chosen
  if (argv.booleans.get("attach") || argv.booleans.get("interactive")) {
    if (container === undefined || others.length > 0)
      throw new UsageError("start --attach needs one container's name or id")
    return startAttached(paths, container, argv)
  }
  return eachContainer("start", chosen, async (reference) => {
    await startContainer(paths, reference)
    return reference
  })
}

/** Those that their policy starts with the machine; one that fails does not keep the others. */
function startAtBoot(paths: Paths, { rest, typed }: ParsedArgv): Promise<number> {
  const other = [...typed.keys()].find((name) => !["boot", "root", "debug"].includes(name))
  if (rest.length > 0 || other !== undefined)
    throw new UsageError("start --boot takes no containers and no other options")
  return each(
    listContainers(paths, true)
      .filter(({ id, status }) => status === "exited" && isForBoot(paths, id))
      .map(({ name }) => name),
    async (name) => {
      await startContainer(paths, name)
      print([name])
    },
  )
}

function isForBoot(paths: Paths, id: string): boolean {
  const head = readHead(paths, id)
  const policy = head?.detached?.restart
  const result = readResult(paths, id)
  if (!policy || !result) return false
  const asked = isToEnd(readAsked(paths, id, result.started), head.stopSignal)
  return startsAtBoot(policy, { exitCode: result.exitCode, asked })
}

/** Begins to stop a container, if it runs; what is returned starts it again when it has ended. */
function restart(paths: Paths, reference: string, wish: StopWish): () => Promise<string> {
  const id = resolveId(paths, reference)
  requireRoom(paths, id)
  const head = readHead(paths, id)
  if (head?.autoRemove) {
    if (!head.detached)
      throw new ToyboxError(`container ${reference} ends with its toybox in the foreground, and is removed then (--rm)`)
    // This end is not the one that it is removed at.
    withContainer(paths, id, {
      up: (_, running) => changeRunning(paths, id, { ...running, autoRemove: false }),
      down: () => {},
    })
  }
  const end = beginStop(paths, id, wish)
  return async () => {
    announceStop(reference, end())
    await startContainer(paths, id)
    if (head) recordEvents(paths, head, ["restart"])
    return reference
  }
}

export async function restartCommand(words: readonly string[]): Promise<number> {
  const { argv, paths } = read(words, RESTART_OPTIONS)
  if (argv.booleans.get("help")) return help("restart")
  needRoot("restart")
  ensurePaths(paths)
  const wish = stopWish(argv)
  const chosen = await chosenContainers("restart", paths, argv, () => true)
  if (chosen === null) return 0
  return eachAtOnce("restart", chosen, (reference) => restart(paths, reference, wish))
}

export async function renameCommand(words: readonly string[]): Promise<number> {
  const { argv, paths } = read(words, PLAIN_OPTIONS)
  if (argv.booleans.get("help")) return help("rename")
  ensurePaths(paths)
  const [reference, name, superfluous] = argv.rest
  if (reference === undefined || name === undefined || superfluous !== undefined)
    throw new UsageError("rename needs a container's name or id, and its new name")
  renameContainer(paths, reference, plainName(name))
  return 0
}
