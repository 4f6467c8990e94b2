/**
 * What is known of a container: its record (true after a reboot), its result, and while it runs a locked file that
 * tells whose it is. flock(2) is held by the toybox that runs the container, and given up by the kernel with it.
 */
import { callResult, scratch } from "../../ffi/call.ts"
import { O_RDONLY, O_RDWR, SEEK_END } from "../../ffi/constants/fcntl.ts"
import { listDir } from "../../ffi/directory.ts"
import { isErrno } from "../../ffi/errno.ts"
import { exists, mkdir, open, readLink, replaceFile, tryReadText, writeAll } from "../../ffi/fs.ts"
import type { CgroupHandle } from "../cgroup/plan.ts"
import type { FinalUsage } from "../cgroup/stats.ts"
import { ToyboxError } from "../errors.ts"
import type { Connected } from "../network/published.ts"
import type { Spec } from "../oci/runtime.ts"
import { stringifyExact } from "../oci/seccomp.ts"
import type { Paths } from "../paths.ts"
import { type FileLock, lockOpened, readJson, releaseLock } from "../state-file.ts"
import type { UsesVolumes } from "../volume/volume.ts"
import type { Detached } from "./log-limits.ts"
import type { RestartState } from "./restart-policy.ts"
import type { StoredRequest } from "./stored-request.ts"

/** containers/ID/container.json: what listings need, and so without the spec. */
export interface ContainerHead extends UsesVolumes {
  id: string
  name: string
  /** ISO 8601. */
  created: string
  /** What was given as the root file system. */
  image: string
  /** The directory that it stands on; what uses a layer is told by it. */
  lower?: string
  /** The layers below that, of an image. */
  below?: readonly string[]
  /** The id of the image of the store that it was made of. */
  imageId?: string
  command: string[]
  autoRemove: boolean
  stopSignal: number
  /** Seconds from that to SIGKILL; -1: none comes. DEFAULT_STOP_SECONDS where it is not said. */
  stopSeconds?: number
  labels: Record<string, string>
  /** Made, and not started yet. */
  unstarted?: true
  /** The boot in which it was started last (bootId). */
  boot?: string
  /** How it lives without a terminal of the caller's; as for a container of the foreground where it is not said. */
  detached?: Detached
}

export const DEFAULT_STOP_SECONDS = 10

/** With what is in containers/ID/config.json. */
export interface ContainerRecord extends ContainerHead {
  spec: Spec
}

/** containers/ID/result.json. */
export interface ContainerResult {
  exitCode: number
  signal?: number
  oomKilled: boolean
  error?: string
  started?: string
  /** The command's execve(2). */
  executed?: string
  finished: string
  /** How often its policy had started it again. */
  restarts?: number
  /** Milliseconds that it took to bring the root here before it was started: pull and unpack, which go together. */
  obtainedMs?: number
  /** The last signal to end that its toybox, in the foreground or a supervisor, was sent and passed on. */
  passedOn?: number
  /** It was the former, though there was a supervisor. */
  fromForeground?: true
  usage?: FinalUsage
}

/** running/ID, while it lives. */
export interface RunningRecord extends RestartState, Connected, UsesVolumes {
  /** The container's first process, 0 before there is one. */
  pid: number
  /** Field 22 of /proc/PID/stat: with the pid it names one process for ever. */
  startTime: string
  started: string
  /** The boot in which it was started (bootId); process numbers and times mean nothing in another. */
  boot?: string
  /** As of the result. */
  executed?: string
  obtainedMs?: number
  autoRemove: boolean
  /** It does not run, but is being removed. */
  removing?: true
  name: string
  cgroup: CgroupHandle | null
  /** Who supervises it, where that is not the toybox that started it. */
  supervisor?: { pid: number; startTime: string }
  /** It has ended like that, which there was no room on the disk to write down where it belongs (keepResult). */
  ended?: ContainerResult
}

/** A container's id: 64 hexadecimal digits. */
export function newId(): string {
  callResult("getrandom", scratch.address, 32, 0)
  return scratch.bytes.slice(0, 32).toHex()
}

export const containerPath = (paths: Paths, id: string) => `${paths.containers}/${id}`
export const runningPath = (paths: Paths, id: string) => `${paths.running}/${id}`

/** A field of /proc/PID/stat behind the name in brackets, the state being 0; null where there is no such process: proc_pid_stat(5). */
function statField(pid: number, index: number): string | null {
  const text = tryReadText(`/proc/${pid}/stat`)
  return text === null ? null : (text.slice(text.lastIndexOf(")") + 2).split(" ")[index] ?? null)
}

/** When a process began, in clock ticks since boot; null where there is none. */
export const startTime = (pid: number): string | null => statField(pid, 19)

/** Whose child a process is; 0 where there is none. */
export const parentOf = (pid: number): number => Number(statField(pid, 1) ?? 0)

/** What a name may be. */
export const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/** The bytes of a running entry, so many at least. */
export const encodeRunning = (record: RunningRecord, least: number): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(record).padEnd(least))

/** Writes the record anew, in place, for the lock is on this file; it never becomes shorter. */
export function updateRunning(lock: FileLock, record: RunningRecord): void {
  const bytes = encodeRunning(record, callResult("lseek", lock.fd, 0, SEEK_END))
  callResult("lseek", lock.fd, 0, 0)
  writeAll(lock.fd, bytes)
}

/** Leaves the running ones. */
export const leaveRunning = releaseLock

// updateRunning writes in place, and a reader may come in the middle of it; what stays broken is a power cut's.
const RUNNING_ATTEMPTS = 5

/** A running container's record; null where it does not run. */
export function readRunning(paths: Paths, id: string): RunningRecord | null {
  const entry = readEntry(paths, id)
  return entry?.ended ? null : entry
}

/** What is entered among the running ones for a container, be it one that has ended. */
export function readEntry(paths: Paths, id: string): RunningRecord | null {
  const path = runningPath(paths, id)
  for (let attempt = 1; ; attempt++) {
    const record = readJson<RunningRecord>(path)
    if (record !== null || attempt === RUNNING_ATTEMPTS || !exists(path)) return record
  }
}

/** Ids of those entered among the running ones. */
export const runningIds = (paths: Paths): string[] => listDir(paths.running).filter((name) => !name.startsWith("."))

/** The lock of a running entry whose toybox is dead; null where it is alive, or the entry has just gone. */
export function lockDead(paths: Paths, name: string): FileLock | null {
  const path = runningPath(paths, name)
  const tryOpen = (flags: number, ...tolerated: string[]): number | null => {
    try {
      return open(path, flags)
    } catch (error) {
      if (isErrno(error, "ENOENT", ...tolerated)) return null
      throw error
    }
  }
  // Of a disk that is read-only it can be told all the same.
  const fd = tryOpen(O_RDWR, "EROFS") ?? tryOpen(O_RDONLY)
  return fd === null ? null : lockOpened(fd, path)
}

/**
 * Writes what is known of a container, and with what it can be started again. The head comes last: with it the container
 * is there.
 */
export function writeRecord(paths: Paths, { spec, ...head }: ContainerRecord, request: StoredRequest): void {
  const config = stringifyExact({ spec, request }, spec.linux.seccomp)
  replaceFile(`${containerPath(paths, head.id)}/config.json`, config)
  writeHead(paths, head)
}

/** Replaces the head; its container is entered among the running ones (enterRunning). */
export const writeHead = (paths: Paths, head: ContainerHead): void =>
  replaceFile(`${containerPath(paths, head.id)}/container.json`, JSON.stringify(head))

export const readHead = (paths: Paths, id: string): ContainerHead | null =>
  readJson(`${containerPath(paths, id)}/container.json`)

export function readRecord(paths: Paths, id: string): ContainerRecord | null {
  const head = readHead(paths, id)
  const config = head && readJson<{ spec: Spec }>(`${containerPath(paths, id)}/config.json`)
  return head && config ? { ...head, spec: config.spec } : null
}

export const resultPath = (paths: Paths, id: string) => `${containerPath(paths, id)}/result.json`

export function writeResult(paths: Paths, id: string, result: ContainerResult): void {
  replaceFile(resultPath(paths, id), JSON.stringify(result))
}

export const readResult = (paths: Paths, id: string): ContainerResult | null =>
  readJson(resultPath(paths, id)) ?? readEntry(paths, id)?.ended ?? null

export const allIds = (paths: Paths): string[] =>
  listDir(paths.containers).filter((name) => /^[0-9a-f]{64}$/.test(name))

/** Makes a container's directory. */
export function makeContainerDirectory(paths: Paths, id: string): string {
  const path = containerPath(paths, id)
  mkdir(path, 0o700)
  return path
}

/** Whether a container has the name that leads to it: a rename that was killed leaves one that it has not. */
export const hasName = (paths: Paths, id: string, name: string): boolean =>
  (readHead(paths, id) ?? readEntry(paths, id))?.name === name

/** A name or id that no container has. */
export class NoSuchContainer extends ToyboxError {
  constructor(reference: string) {
    super(`no such container: ${reference}`, { hint: "toybox ps -a lists them" })
  }
}

/** A name without the slash before it that docker inspect shows. */
export const plainName = (name: string): string => name.replace(/^\//, "")

/** The id for a name, an id or an unambiguous beginning of one. Throws where there is none, or more than one. */
export function resolveId(paths: Paths, wanted: string): string {
  const reference = plainName(wanted)
  if (/^[0-9a-f]{64}$/.test(reference) && exists(containerPath(paths, reference))) return reference
  if (NAME.test(reference)) {
    const named = readLink(`${paths.names}/${reference}`)
    if (named !== null && hasName(paths, named, reference)) return named
  }
  const matches = /^[0-9a-f]+$/.test(reference) ? allIds(paths).filter((id) => id.startsWith(reference)) : []
  const [only] = matches
  if (matches.length === 1 && only !== undefined) return only
  if (matches.length > 1)
    throw new ToyboxError(`"${reference}" is the beginning of ${matches.length} containers' ids: give more of it`)
  // An rm that was killed has given the name back already, and the container is still to be removed by it.
  const nameless = allIds(paths).find((id) => readHead(paths, id)?.name === reference)
  if (nameless !== undefined) return nameless
  throw new NoSuchContainer(wanted)
}

/** /proc/PID/stat and the record agree: the container's process is alive. */
export const isAlive = (record: RunningRecord): boolean => record.pid > 0 && startTime(record.pid) === record.startTime
