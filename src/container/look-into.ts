/** The root file system of a container, for commands that look into it from outside. */
import { callResult, failure } from "../../ffi/call.ts"
import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { close, exists, open, stat } from "../../ffi/fs.ts"
import { tryLock } from "../../ffi/lock.ts"
import { ToyboxError } from "../errors.ts"
import { mountRoot } from "../launch/index.ts"
import type { Spec } from "../oci/runtime.ts"
import { copyOf } from "../overlay/copied.ts"
import { overlayLayout, overlaySteps } from "../overlay/layout.ts"
import type { Paths } from "../paths.ts"
import { isThere } from "./namespaces.ts"
import { recover } from "./recover.ts"
import {
  type ContainerRecord,
  containerPath,
  type RunningRecord,
  readHead,
  readRecord,
  readRunning,
  resolveId,
  startTime,
} from "./state.ts"

/** What is open of a container: to be used with openat2(2) and RESOLVE_IN_ROOT only. */
export interface LookedInto {
  record: ContainerRecord
  /** O_PATH. */
  rootFd: number
  /** With all that is mounted in it; else its layers only. */
  running: boolean
  close(): void
}

// Milliseconds that others have to be done, and between two attempts.
const PATIENCE = 10_000
const LOOK_EVERY = 20

/** Before it enters its own a process still has the root of the toybox that started it, which must not be taken for it. */
function isOwnRoot(rootFd: number): boolean {
  const [theirs, ours] = [stat("", AT_EMPTY_PATH, rootFd), stat("/")]
  return theirs === null || (theirs.dev === ours?.dev && theirs.ino === ours.ino)
}

/**
 * The root as the container's first process has it, in its mount namespace: proc_pid_root(5). Throws ToyboxError where it
 * has ended.
 */
function runningRoot({ pid, startTime: started }: RunningRecord): number {
  const ended = (cause?: unknown) => new ToyboxError("the container is being started, or has just ended", { cause })
  const pidFd = callResult("pidfd_open", pid, 0)
  if (pidFd < 0) throw ended(failure("pidfd_open", pidFd, pid))
  try {
    const rootFd = callResult("openat", AT_FDCWD, `/proc/${pid}/root`, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
    if (rootFd < 0) throw ended(failure("open", rootFd, `/proc/${pid}/root`))
    // While the process behind the pidfd lives, its number is nobody else's.
    if (startTime(pid) === started && isThere(pidFd) && !isOwnRoot(rootFd)) return rootFd
    close(rootFd)
    throw ended()
  } finally {
    close(pidFd)
  }
}

/** Its layers, mounted detached: gone from the machine when the descriptor is closed. */
async function mountedLayers(directory: string, { lower, below = [] }: ContainerRecord): Promise<number> {
  const layout = overlayLayout(directory)
  if (lower === undefined) return open(layout.upper, O_PATH | O_DIRECTORY)
  const copy = copyOf(directory)
  if (copy !== null) return open(copy, O_PATH | O_DIRECTORY)
  if (!exists(lower)) throw new ToyboxError(`what the container stands on is gone: ${lower}`)
  const { imageLinks, inDirectory, lowerNames } = await import("../overlay/links.ts")
  const layers = below.length > 0 ? { below, links: lowerNames(below.length + 1) } : null
  const steps = overlaySteps(lower, layout, false, exists(layout.upper) ? null : stat(lower), layers)
  try {
    return inDirectory(layers ? imageLinks([lower, ...below]) : directory, () => mountRoot(steps))
  } catch (error) {
    const { copiedRoot, mountRefusal } = await import("./root.ts")
    const refusal = mountRefusal(error)
    if (refusal !== null) return (await copiedRoot({ lower, below }, directory, refusal)).fd
    const { explainFailure } = await import("../launch/report.ts")
    throw explainFailure(error)
  }
}

/**
 * The right to mount a container's root, which one process has at a time, until the descriptor is closed. Throws ToyboxError
 * where another keeps it for too long.
 */
export async function lockRoot(directory: string, reference: string): Promise<number> {
  const lock = open(directory, O_RDONLY | O_DIRECTORY)
  for (const end = performance.now() + PATIENCE; !tryLock(lock); await Bun.sleep(LOOK_EVERY)) {
    if (performance.now() <= end) continue
    close(lock)
    throw new ToyboxError(`container ${reference} is being looked into by another toybox`, { hint: "try again later" })
  }
  return lock
}

/** Opens the root of a container that runs or has ended, by name or id. Throws ToyboxError. */
export async function lookInto(paths: Paths, reference: string): Promise<LookedInto> {
  recover(paths)
  const id = resolveId(paths, reference)
  const running = readRunning(paths, id)
  const record = readRecord(paths, id)
  if (record === null) throw new ToyboxError(`container ${reference} is being made or removed`)
  if (running !== null) {
    const rootFd = runningRoot(running)
    return { record, rootFd, running: true, close: () => close(rootFd) }
  }
  const directory = containerPath(paths, id)
  // An upper directory is mounted once at a time: overlayfs.rst, "Sharing and copying layers".
  const lock = await lockRoot(directory, reference)
  try {
    // It may have been started meanwhile.
    if (readRunning(paths, id) !== null) {
      close(lock)
      return lookInto(paths, id)
    }
    if (readHead(paths, id) === null) throw new ToyboxError(`container ${reference} has just been removed`)
    const rootFd = await mountedLayers(directory, record)
    return {
      record,
      rootFd,
      running: false,
      close() {
        close(rootFd)
        close(lock)
      },
    }
  } catch (error) {
    close(lock)
    throw error
  }
}

/** Where something of the host's would be mounted that `path` lies in or is, while the container runs; null for nowhere. */
export function mountedAt({ mounts }: Spec, directory: string, path: string) {
  const holds = (destination: string) => path === destination || path.startsWith(`${destination.replace(/\/$/, "")}/`)
  const isOwn = (source: string) => source.startsWith(`${directory}/`)
  return (
    mounts.findLast(
      ({ type, source, destination }) => (type === "bind" || type === "none") && !isOwn(source) && holds(destination),
    ) ?? null
  )
}
