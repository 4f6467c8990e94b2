/** What a killed toybox left behind is put in order by the next one. */
import { listDir } from "../../ffi/directory.ts"
import { exists, unlink } from "../../ffi/fs.ts"
import { openCgroup } from "../cgroup/manager.ts"
import type { FinalUsage } from "../cgroup/stats.ts"
import { EXIT_KILLED, errorChain } from "../errors.ts"
import { notice } from "../log.ts"
import { leavePlaces, releaseAll } from "../network/leases.ts"
import { leasesOf, listNetworks } from "../network/network.ts"
import { unpublishPorts } from "../network/published.ts"
import type { Paths } from "../paths.ts"
import { bootId, readJson } from "../state-file.ts"
import { attachPath } from "./attach-protocol.ts"
import { awaitChanges } from "./change-lock.ts"
import { emptyTrash, forget } from "./discard.ts"
import { enterRunning, keepResult, leaveEnded } from "./entry.ts"
import { recordRun } from "./events.ts"
import { endForwarder } from "./forwarder.ts"
import { unguardPlaces } from "./guard-places.ts"
import { tellNeighbours } from "./neighbours.ts"
import { TOYBOX_KILLED } from "./result.ts"
import { unshareNetwork } from "./share-network.ts"
import { recoverStandstill, stillId } from "./standstill.ts"
import {
  allIds,
  type ContainerHead,
  type ContainerResult,
  leaveRunning,
  lockDead,
  type RunningRecord,
  readEntry,
  readHead,
  readResult,
  resultPath,
  runningIds,
} from "./state.ts"
import { unforwardPorts } from "./unforward.ts"
import { removeAnonymous } from "./volume-users.ts"

/** Of a container whose entry is broken, after a power cut. */
const NOTHING_KNOWN: RunningRecord = { pid: 0, startTime: "", started: "", autoRemove: false, name: "", cgroup: null }

/** What can be said of an end that nobody has seen. */
function lostResult({ boot, started }: Pick<RunningRecord, "boot" | "started">, usage?: FinalUsage): ContainerResult {
  // Where the state of running containers is on a disk (--root), it is there after a reboot, too.
  const rebooted = boot !== undefined && boot !== bootId()
  return {
    exitCode: rebooted ? 255 : EXIT_KILLED,
    oomKilled: false,
    error: rebooted ? "the machine was stopped" : TOYBOX_KILLED,
    ...(started === "" ? {} : { started }),
    finished: new Date().toISOString(),
    ...(usage ? { usage } : {}),
  }
}

/** Ends what is left of one container whose toybox is dead: processes, cgroup, and with --rm its files. */
function recoverOne(paths: Paths, id: string): void {
  const lock = lockDead(paths, id)
  if (!lock) return
  const found = readEntry(paths, id)
  let usage: FinalUsage | undefined
  let pending: ContainerResult | null = null
  if (found?.cgroup) {
    const manager = openCgroup(found.cgroup)
    // What can still be known.
    if (!found.autoRemove) usage = manager.finalUsage()
    manager.kill()
  }
  awaitChanges(paths, id)
  const record = readEntry(paths, id)
  if (record?.cgroup) openCgroup(record.cgroup).remove()
  if (record?.ports) {
    endForwarder(paths, id)
    unpublishPorts(id, record.ports, record.networks ?? [])
    unforwardPorts(paths, id, record)
  }
  if (record?.networks) {
    unshareNetwork(paths, id, record.networks)
    if (record.networks.some(({ guarded }) => guarded)) unguardPlaces(paths, record.networks)
    leavePlaces(paths.networkRun, id, record.networks)
  }
  // It may have been killed before it was written down which addresses it had taken.
  if (!record?.pid) for (const network of listNetworks(paths)) releaseAll(leasesOf(paths, network), id)
  // It may have been killed before it was written down who supervises.
  unlink(attachPath(paths, id))
  const head = readHead(paths, id)
  // A removal that was under way has had its own idea of volumes.
  if (record && !record.removing && (record.autoRemove || head === null)) removeAnonymous(paths, id, record.volumes)
  if (record?.autoRemove) {
    forget(paths, id, head?.name ?? record.name)
  } else if (head === null) {
    // Killed before the container's record was written: there is nothing to show.
    forget(paths, id, record?.name ?? "")
  } else if (readJson(resultPath(paths, id)) === null && !head.unstarted) {
    const left = record ?? { ...NOTHING_KNOWN, name: head.name }
    const result = record?.ended ?? lostResult(left, usage)
    if (!keepResult(paths, id, lock, left, result)) pending = result
  }
  if (head) {
    const code = String(readResult(paths, id)?.exitCode ?? 137)
    const isTold = record?.ended || record?.removing || record?.restarting || head.unstarted
    const died = isTold ? [] : [["die", { exitCode: code }] as const]
    recordRun(paths, head, record ?? {}, ...died, ...(record?.autoRemove ? [["destroy"] as const] : []))
  }
  if (pending) leaveEnded(lock, head?.name ?? "", pending)
  else leaveRunning(lock)
  tellNeighbours(paths, record?.networks ?? [])
}

/** Writes down the end of one that nothing tells of any more. */
function recordLost(paths: Paths, { id, name, boot = "" }: ContainerHead): void {
  const record = { ...NOTHING_KNOWN, name, boot }
  const lock = enterRunning(paths, id, record)
  if (!lock) return
  const result = { ...lostResult(record), exitCode: 255 }
  // Its entry, or the result, is lost.
  if (boot === bootId()) result.error = "how it ended is not known"
  if (keepResult(paths, id, lock, record, result)) leaveRunning(lock)
  else leaveEnded(lock, name, result)
}

/** One that cannot be put in order (a process that does not die, say) is told, and keeps nobody from his own container. */
function tryRecover(id: string, action: () => void): void {
  try {
    action()
  } catch (error) {
    notice(`container ${id.slice(0, 12)}, whose toybox was killed, is not cleaned up yet: ${errorChain(error)}`)
  }
}

/** Recovers those of these entries whose toybox is dead. */
export function recoverNames(paths: Paths, names: readonly string[]): void {
  for (const name of names) {
    // An entry that was being made ends with the pid of its maker.
    const still = stillId(name)
    if (!name.startsWith(".")) tryRecover(name, () => recoverOne(paths, name))
    else if (still !== null) tryRecover(still, () => recoverStandstill(paths, still))
    else if (!exists(`/proc/${name.slice(name.lastIndexOf(".") + 1)}`)) unlink(`${paths.running}/${name}`)
  }
}

/** Recovers every container whose toybox is dead. Costs one open and one flock(2) a running container. */
export const recover = (paths: Paths): void => recoverNames(paths, listDir(paths.running))

/**
 * After a reboot nothing runs, and nothing tells who did: containers that have no result and are not running get one, or
 * are removed if they were to be. Costs a look at every container, and so belongs into commands that list them anyway.
 */
export function recoverAll(paths: Paths): void {
  recover(paths)
  emptyTrash(paths)
  // In this order: a container that is not among the running ones any more has its result already.
  const ids = allIds(paths)
  const running = new Set(runningIds(paths))
  for (const id of ids) {
    if (running.has(id) || readResult(paths, id) !== null) continue
    const head = readHead(paths, id)
    if (head?.unstarted) continue
    if (head === null || head.autoRemove) {
      removeAnonymous(paths, id, head?.volumes)
      forget(paths, id, head?.name ?? "")
    } else tryRecover(id, () => recordLost(paths, head))
  }
}
