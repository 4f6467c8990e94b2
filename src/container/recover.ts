/** What a killed toybox left behind is put in order by the next one. */
import { exists, listDir, unlink } from "../../ffi/fs.ts"
import { openCgroup } from "../cgroup/manager.ts"
import type { FinalUsage } from "../cgroup/stats.ts"
import { errorChain } from "../errors.ts"
import { notice } from "../log.ts"
import { leavePlaces } from "../network/leases.ts"
import { unpublishPorts } from "../network/published.ts"
import type { Paths } from "../paths.ts"
import { bootId } from "../state-file.ts"
import { attachPath } from "./attach-protocol.ts"
import { endProcess } from "./end-process.ts"
import { recordEvents } from "./events.ts"
import { tellNeighbours } from "./neighbours.ts"
import {
  allIds,
  discard,
  emptyTrash,
  forget,
  leaveRunning,
  lockDead,
  readHead,
  readResult,
  readRunning,
  runningIds,
  writeResult,
} from "./state.ts"
import { removeAnonymous } from "./volume-users.ts"

/** Ends what is left of one container whose toybox is dead: processes, cgroup, and with --rm its files. */
function recoverOne(paths: Paths, id: string): void {
  const lock = lockDead(paths, id)
  if (!lock) return
  const record = readRunning(paths, id)
  let usage: FinalUsage | undefined
  if (record?.cgroup) {
    const manager = openCgroup(record.cgroup)
    // What can still be known.
    if (!record.autoRemove) usage = manager.finalUsage()
    manager.kill()
    manager.remove()
  }
  endProcess(record?.forwarder)
  if (record?.ports) unpublishPorts(id, record.ports, record.networks ?? [])
  if (record?.networks) leavePlaces(paths.networkRun, id, record.networks)
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
  } else if (readResult(paths, id) === null && !head.unstarted) {
    // Where the state of running containers is on a disk (--root), it is there after a reboot, too.
    const rebooted = record?.boot !== undefined && record.boot !== bootId()
    writeResult(paths, id, {
      exitCode: rebooted ? 255 : 137,
      oomKilled: false,
      error: rebooted ? "the machine was stopped" : "toybox itself was killed",
      ...(record ? { started: record.started } : {}),
      finished: new Date().toISOString(),
      ...(usage ? { usage } : {}),
    })
  }
  if (head) {
    const code = String(readResult(paths, id)?.exitCode ?? 137)
    const died = record?.removing || record?.restarting || head.unstarted ? [] : [["die", { exitCode: code }] as const]
    recordEvents(paths, head, ...died, ...(record?.autoRemove ? [["destroy"] as const] : []))
  }
  leaveRunning(lock)
  tellNeighbours(paths, record?.networks ?? [])
}

/** One that cannot be put in order (a process that does not die, say) is told, and keeps nobody from his own container. */
function tryRecoverOne(paths: Paths, id: string): void {
  try {
    recoverOne(paths, id)
  } catch (error) {
    notice(`container ${id.slice(0, 12)}, whose toybox was killed, is not cleaned up yet: ${errorChain(error)}`)
  }
}

/** Recovers those of these entries whose toybox is dead. */
export function recoverNames(paths: Paths, names: readonly string[]): void {
  for (const name of names) {
    // An entry that was being made ends with the pid of its maker.
    if (!name.startsWith(".")) tryRecoverOne(paths, name)
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
      discard(paths, id, head?.name ?? "")
    } else
      writeResult(paths, id, {
        exitCode: 255,
        oomKilled: false,
        error: "the machine was stopped",
        finished: new Date().toISOString(),
      })
  }
}
