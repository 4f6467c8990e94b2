/** Containers that are made before they are started, or started again. */
import { close, readText } from "../../ffi/fs.ts"
import { detectCgroups } from "../cgroup/detect.ts"
import { ToyboxError } from "../errors.ts"
import type { Rlimit } from "../oci/runtime.ts"
import type { Paths } from "../paths.ts"
import type { NamespaceMode } from "../spec/request.ts"
import { keepRecord } from "./bring-up.ts"
import { cleanUp } from "./clean-up.ts"
import { startEntered } from "./detached.ts"
import { DEFAULT_LOG } from "./log-files.ts"
import { lockRoot } from "./look-into.ts"
import { enter, enterAgain } from "./new-container.ts"
import { makeSpec } from "./prepare.ts"
import { recover } from "./recover.ts"
import type { ContainerRequest } from "./request.ts"
import { lookUpRunning, Paused } from "./running.ts"
import { isLeftPaused } from "./standstill.ts"
import {
  type ContainerHead,
  containerPath,
  isAlive,
  leaveRunning,
  NoSuchContainer,
  readHead,
  readRunning,
  resolveId,
} from "./state.ts"
import { readStored } from "./stored-request.ts"

const PATIENCE = 10_000

/** Makes a container that is not started; returns its id. */
export async function createContainer(request: ContainerRequest, paths: Paths): Promise<string> {
  const live = enter(request, paths)
  try {
    if (request.volumes.length > 0) live.held = (await import("./volumes.ts")).takeVolumes(request, paths, live)
    keepRecord(request, paths, live, makeSpec(request, live.id, live.directory), true)
  } catch (error) {
    await cleanUp(paths, live, null)
    throw error
  }
  leaveRunning(live.lock)
  return live.id
}

/** JSON has no infinity, and null stands for it. */
const unlimited = (value: number | null) => value ?? Number.POSITIVE_INFINITY

const limitOf = ({ type, soft, hard }: Rlimit): Rlimit => ({ type, soft: unlimited(soft), hard: unlimited(hard) })

/** A namespace of a container is that of its process now. */
function modeOf(paths: Paths, mode: NamespaceMode): NamespaceMode {
  if (mode.mode !== "container") return mode
  recover(paths)
  return { ...mode, pid: lookUpRunning(paths, mode.id).running.pid }
}

/** With what a container was made, and what this machine is now. Throws ToyboxError where that is damaged. */
export function requestOf(paths: Paths, { id, name, detached }: ContainerHead): ContainerRequest {
  const stored = readStored(paths, id, name)
  const { process } = stored
  const mountinfo = readText("/proc/self/mountinfo")
  const namespaces = Object.entries(process.namespaces).map(([type, mode]) => [type, modeOf(paths, mode)])
  return {
    ...stored,
    process: {
      ...process,
      rlimits: process.rlimits.map(limitOf),
      namespaces: Object.fromEntries(namespaces),
    },
    name,
    mountinfo,
    cgroups: detectCgroups("/sys/fs/cgroup", mountinfo),
    cidfile: undefined,
    obtainedMs: 0,
    resultFd: null,
    detached: detached ?? { log: DEFAULT_LOG },
    foreground: false,
    quiet: false,
    trace: false,
  }
}

/**
 * Starts a container that does not run, under a supervisor of its own; returns when its command has been executed. False where
 * it runs already. Two at once start it once. `listening` is as of startEntered. Throws ToyboxError.
 */
export async function startContainer(
  paths: Paths,
  reference: string,
  listening?: (id: string) => void,
): Promise<boolean> {
  process.umask(0o022)
  for (const deadline = performance.now() + PATIENCE; ; Bun.sleepSync(5)) {
    recover(paths)
    const id = resolveId(paths, reference)
    const running = readRunning(paths, id)
    // One that its policy starts again runs, as docker has it.
    if (running && isAlive(running) && isLeftPaused(paths, id, running)) throw new Paused(reference)
    if (running && (isAlive(running) || running.restarting)) return false
    const head = readHead(paths, id)
    const live = head && enterAgain(paths, head)
    if (!live) {
      // Being started, ended or removed by another toybox.
      if (performance.now() > deadline)
        throw new ToyboxError(`container ${reference} is in the hands of another toybox`)
      continue
    }
    let request: ContainerRequest
    try {
      // Only now nobody else has it.
      const mine = readHead(paths, id)
      if (mine === null) throw new NoSuchContainer(reference)
      live.record.name = mine.name
      request = requestOf(paths, mine)
      // Who looks into it from now on sees that it runs.
      close(await lockRoot(containerPath(paths, id), reference))
    } catch (error) {
      leaveRunning(live.lock)
      throw error
    }
    await startEntered(request, paths, live, listening)
    return true
  }
}
