/**
 * A container that joins the process namespace of others. On its way to its command its process has the machine's root and all
 * capabilities, and who may trace (CAP_SYS_PTRACE) what it sees there could take both: so those stand still meanwhile.
 */
import { stat } from "../../ffi/fs.ts"
import type { Paths } from "../paths.ts"
import type { FileLock } from "../state-file.ts"
import { type Begun, type BringUp, bringUp, type Live } from "./bring-up.ts"
import { awaitReport } from "./child-reports.ts"
import type { ContainerRequest } from "./request.ts"
import { beginStandstill, endStandstill, isLeftPaused } from "./standstill.ts"
import { isAlive, readRecord, readRunning, runningIds } from "./state.ts"

const PATIENCE = 10_000
const LOOK_EVERY = 5

const namespaceOf = (pid: number | "self") => stat(`/proc/${pid}/ns/pid`)?.ino

/** The containers that could trace a process of the namespace that this one is in. */
function tracersBeside(paths: Paths, pid: number): string[] {
  const namespace = namespaceOf(pid)
  // Who is to see the machine's processes sees toybox itself.
  if (namespace === undefined || namespace === namespaceOf("self")) return []
  return runningIds(paths).filter((id) => {
    const running = readRunning(paths, id)
    if (!running || running.pid === 0 || namespaceOf(running.pid) !== namespace) return false
    return readRecord(paths, id)?.spec.process.capabilities.bounding.includes("CAP_SYS_PTRACE") ?? false
  })
}

/**
 * Null where it has ended, or its user has paused it. Another toybox that has it stand still lets it go on when it likes, and so is
 * waited for.
 */
function holdStill(paths: Paths, id: string): FileLock | null {
  for (const deadline = performance.now() + PATIENCE; ; Bun.sleepSync(LOOK_EVERY)) {
    const lock = beginStandstill(paths, id)
    if (lock !== null || performance.now() > deadline) return lock
    const running = readRunning(paths, id)
    if (!running?.cgroup || !isAlive(running) || isLeftPaused(paths, id, running)) return null
  }
}

/** As bringUp, for one that joins; nobody sees the process before it is as the command is to be. */
export async function bringUpUnseen(request: ContainerRequest, paths: Paths, live: Live, how: BringUp): Promise<Begun> {
  const { pid } = request.process.namespaces
  const tracers = pid?.mode === "container" ? tracersBeside(paths, pid.pid) : []
  if (tracers.length === 0) return bringUp(request, paths, live, how)
  const held: [id: string, lock: FileLock][] = []
  try {
    for (const id of tracers) {
      const lock = holdStill(paths, id)
      if (lock) held.push([id, lock])
    }
    const begun = await bringUp(request, paths, live, how)
    // Until it is executed, or has failed: what comes behind is left to who reads to there.
    awaitReport({ reportFd: begun.reportFd, maker: -1 }, how.reports, request.trace, () => false)
    return begun
  } finally {
    for (const [id, lock] of held) endStandstill(paths, id, lock)
  }
}
