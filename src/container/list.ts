/** Containers as `ps` shows them. */
import { portsColumn, speaksIpv6 } from "../network/show-ports.ts"
import type { Paths } from "../paths.ts"
import type { UsesVolumes } from "../volume/volume.ts"
import type { HealthStatus } from "./health.ts"
import { readHealth } from "./health-file.ts"
import { recoverAll } from "./recover.ts"
import { isPaused } from "./standstill.ts"
import { allIds, isAlive, type RunningRecord, readHead, readResult, readRunning } from "./state.ts"

export interface Summary extends UsesVolumes {
  id: string
  name: string
  image: string
  command: string[]
  /** ISO 8601. */
  created: string
  status: "created" | "running" | "paused" | "restarting" | "exited"
  pid?: number
  exitCode?: number
  oomKilled?: boolean
  /** ISO 8601. */
  started?: string
  finished?: string
  error?: string
  labels: Record<string, string>
  /** While it runs, where it is asked for. */
  health?: HealthStatus
  /** What is published, as docker ps shows it. */
  ports?: string
}

const lifeOf = (running: RunningRecord): "running" | "paused" => (isPaused(running) ? "paused" : "running")

/** A container as it is now; null where it is just being made or removed. Without `paused` one that is runs, which costs less. */
export function summaryOf(paths: Paths, id: string, paused = true): Summary | null {
  const record = readHead(paths, id)
  if (!record) return null
  const { name, image, command, created, labels, volumes } = record
  const base = { id, name, image, command, created, labels, ...(volumes ? { volumes } : {}) }
  const running = readRunning(paths, id)
  if (running) {
    const { pid, started, restarting, restarts, removing, ports } = running
    if (removing) return null
    if (restarting || (pid === 0 && restarts)) {
      const { exitCode = 0, finished } = readResult(paths, id) ?? {}
      return { ...base, status: "restarting", started, exitCode, ...(finished ? { finished } : {}) }
    }
    const published = ports ? { ports: portsColumn(ports, speaksIpv6()) } : {}
    const health = record.detached?.health ? { health: readHealth(paths, id)?.status ?? "starting" } : {}
    if (isAlive(running))
      return { ...base, status: paused ? lifeOf(running) : "running", pid, started, ...health, ...published }
    // About to be started; or ended, and its supervisor has not come to say so yet.
    return { ...base, status: pid === 0 ? "created" : "running", ...(pid === 0 ? {} : { pid }), started }
  }
  const result = readResult(paths, id)
  if (!result) return record.unstarted ? { ...base, status: "created" } : null
  const { exitCode, oomKilled, started, finished, error } = result
  const times = { ...(started ? { started } : {}), finished }
  return { ...base, status: "exited", exitCode, oomKilled, ...times, ...(error ? { error } : {}) }
}

/** It runs, be it paused or about to be started again. */
export const isUp = ({ status }: Summary): boolean => ["running", "paused", "restarting"].includes(status)

/** Those that run, or with `all` every one; the newest first; `paused` as of summaryOf. Puts in order what killed runs have left. */
export function listContainers(paths: Paths, all: boolean, paused = true): Summary[] {
  recoverAll(paths)
  const summaries = allIds(paths).flatMap((id) => summaryOf(paths, id, paused) ?? [])
  return summaries.filter((summary) => all || isUp(summary)).sort((a, b) => (a.created < b.created ? 1 : -1))
}

/** The id of the container that was made last; null where there is none. */
export function latestContainer(paths: Paths): string | null {
  recoverAll(paths)
  const heads = allIds(paths).flatMap((id) => readHead(paths, id) ?? [])
  return heads.toSorted((a, b) => (a.created < b.created ? 1 : -1))[0]?.id ?? null
}

/** Ids of the containers, running or kept, by the ids of the images that they were made of. */
export function containersByImage(paths: Paths): Map<string, string[]> {
  const users = new Map<string, string[]>()
  for (const id of allIds(paths)) {
    const imageId = readHead(paths, id)?.imageId
    if (imageId !== undefined) users.set(imageId, [...(users.get(imageId) ?? []), id])
  }
  return users
}

/** Ids of the containers, running or kept, by the directories that they stand on. */
export function containersByRoot(paths: Paths): Map<string, string[]> {
  const users = new Map<string, string[]>()
  for (const id of allIds(paths)) {
    const record = readHead(paths, id)
    if (record?.lower === undefined) continue
    for (const root of [record.lower, ...(record.below ?? [])]) users.set(root, [...(users.get(root) ?? []), id])
  }
  return users
}
