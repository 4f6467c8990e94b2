/**
 * What is known of an OCI container: ROOT/ID/ with state.json, a copy of config.json, and two FIFOs. Whoever changes a container
 * holds a flock(2) on its directory; readers need none, since state.json is replaced as a whole.
 */
import { call, callResult } from "../../../ffi/call.ts"
import { AT_EMPTY_PATH, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_WRONLY } from "../../../ffi/constants/fcntl.ts"
import { listDir } from "../../../ffi/directory.ts"
import { isErrno } from "../../../ffi/errno.ts"
import {
  close,
  exists,
  mkdir,
  mkdirAll,
  open,
  rename,
  replaceFile,
  stat,
  tryReadText,
  writeFile,
} from "../../../ffi/fs.ts"
import { tryLock } from "../../../ffi/lock.ts"
import { removeTree } from "../../../ffi/remove-tree.ts"
import { errorChain, ToyboxError, UsageError } from "../../errors.ts"
import { notice } from "../../log.ts"
import { readSpec } from "../../oci/read.ts"
import type { Spec } from "../../oci/runtime.ts"
import { isOrdinaryUser } from "../facts.ts"
import { startTime } from "../state.ts"
import { decodeRecord, type OciRecord } from "./record.ts"
import { isPaused } from "./still.ts"

export type Status = "creating" | "created" | "running" | "paused" | "stopped"

/** The state that the specification defines, with what runc tells besides: runtime.md "State". */
export interface OciState {
  ociVersion: string
  id: string
  pid: number
  status: Status
  bundle: string
  rootfs: string
  created: string
  annotations?: Record<string, string>
  owner: string
}

/** Where containers are kept unless --root names another place. */
export function defaultRoot(): string {
  const { XDG_RUNTIME_DIR: runtime, USER: user } = process.env
  // As runc has it: root of a user namespace is the ordinary user that has made it, unless it is called root.
  return runtime && (user !== "root" || process.geteuid?.() !== 0) && isOrdinaryUser()
    ? `${runtime}/toybox-oci`
    : "/run/toybox-oci"
}

/** Throws UsageError for what cannot be a container's id: as runc and crun have it. */
export function checkId(id: string): void {
  if (!/^[\w+.-]+$/.test(id) || id === "." || id === ".." || id.startsWith(".") || id.length > 200)
    throw new UsageError(`invalid container ID format: ${JSON.stringify(id)}`, {
      hint: "use letters, digits, _ + - and . (not at the beginning), 200 at most",
    })
}

export const containerDirectory = (root: string, id: string) => `${root}/${id}`
export const startFifo = (root: string, id: string) => `${root}/${id}/start`
export const reportFifo = (root: string, id: string) => `${root}/${id}/report`

/** A locked container. */
export interface OciLock {
  fd: number
}

/** May be called again: the number is not closed twice, which would be another's by then. */
export function unlock(lock: OciLock): void {
  if (lock.fd >= 0) close(lock.fd)
  lock.fd = -1
}

/** What is kept there decides what toybox does as root: nobody else may write it. */
function checkOwn(root: string): void {
  const found = stat(root)
  if (!found || ((found.mode & 0o022) === 0 && found.uid === process.geteuid?.())) return
  throw new ToyboxError(`the directory ${root} can be written by others`, {
    hint: `chown root ${root}; chmod 700 ${root}`,
  })
}

/** Enters a container; it appears locked and complete with its record. Null where the id is in use. */
export function enterContainer(root: string, record: OciRecord, config: string): OciLock | null {
  mkdirAll(root, 0o700)
  checkOwn(root)
  const temporary = `${root}/.${record.id}.${process.pid}`
  mkdir(temporary, 0o700)
  const fd = open(temporary, O_RDONLY | O_DIRECTORY)
  try {
    tryLock(fd)
    writeFile(`${temporary}/config.json`, config)
    writeFile(`${temporary}/state.json`, JSON.stringify(record))
    rename(temporary, containerDirectory(root, record.id))
    return { fd }
  } catch (error) {
    close(fd)
    removeTree(temporary)
    if (isErrno(error, "EEXIST", "ENOTEMPTY")) return null
    throw error
  }
}

/** Removes what toyboxes that were killed while entering a container have left. */
export function removeHalfEntered(root: string): void {
  for (const name of listDir(root)) {
    const pid = /^\..+\.(\d+)$/.exec(name)?.[1]
    if (pid !== undefined && !exists(`/proc/${pid}`)) removeTree(`${root}/${name}`)
  }
}

const LOCK_PATIENCE = 10_000

/** Locks a container. Throws where there is none, or where somebody keeps it for more than ten seconds. */
export function lockContainer(root: string, id: string, patience = LOCK_PATIENCE): OciLock {
  for (const deadline = performance.now() + patience; ; Bun.sleepSync(5)) {
    const lock = tryLockContainer(root, id)
    if (lock) return lock
    if (performance.now() > deadline) throw new ToyboxError(`container ${id} is being worked on by another command`)
  }
}

/** Null where another command holds the lock. Throws where there is no such container. */
export function tryLockContainer(root: string, id: string): OciLock | null {
  checkId(id)
  checkOwn(root)
  let fd: number
  try {
    fd = open(containerDirectory(root, id), O_RDONLY | O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) throw noSuchContainer(id)
    throw error
  }
  if (!tryLock(fd)) {
    close(fd)
    return null
  }
  // Removed between the open and the lock.
  if ((stat("", AT_EMPTY_PATH, fd)?.nlink ?? 0) === 0) {
    close(fd)
    throw noSuchContainer(id)
  }
  return { fd }
}

/** Whether a command is at work on the container. */
function isLocked(root: string, id: string): boolean {
  const lock = tryLockContainer(root, id)
  if (lock) unlock(lock)
  return lock === null
}

/** In the words that docker, containerd and podman look for. */
export class NoSuchContainer extends ToyboxError {}

/** What state.json says cannot be relied upon. */
export class DamagedRecord extends ToyboxError {}

const noSuchContainer = (id: string) => new NoSuchContainer(`container does not exist: ${id}`)

export function writeRecord(root: string, record: OciRecord): void {
  replaceFile(`${containerDirectory(root, record.id)}/state.json`, JSON.stringify(record))
}

/** A container's record. Throws NoSuchContainer where there is none, DamagedRecord where it cannot be read. */
export function readRecord(root: string, id: string): OciRecord {
  checkId(id)
  checkOwn(root)
  const text = tryReadText(`${containerDirectory(root, id)}/state.json`)
  if (text === null) throw noSuchContainer(id)
  try {
    const record = decodeRecord(text)
    if (record.id === id) return record
    throw new ToyboxError(`it is that of container ${JSON.stringify(record.id)}`)
  } catch (cause) {
    throw new DamagedRecord(`the state of container ${id} is damaged`, {
      cause,
      hint: `remove it: delete --force ${id}`,
    })
  }
}

/** The spec that the container was made with. */
export function readConfig(root: string, record: OciRecord): Spec {
  const path = `${containerDirectory(root, record.id)}/config.json`
  const text = tryReadText(path)
  if (text === null) throw new ToyboxError(`container ${record.id} has lost its configuration: ${path}`)
  return readSpec(text, record.bundle)
}

/** The state letter of a process, field 3 of /proc/PID/stat; null where it is not the one that is meant any more. */
function processState({ pid, startTime: known }: OciRecord): string | null {
  if (pid <= 0 || startTime(pid) !== known) return null
  const text = tryReadText(`/proc/${pid}/stat`)
  return text === null ? null : (text.slice(text.lastIndexOf(")") + 2)[0] ?? null)
}

/** Whether the container's first process lives. One that nobody has waited for yet does not. */
export const isAlive = (record: OciRecord): boolean => !["Z", "X", "x", null].includes(processState(record))

const ENXIO = -6
const ENOENT = -2

/** Opens the FIFO at which a created container waits; null where none waits (any more). */
export function openStart(root: string, id: string): number | null {
  const path = startFifo(root, id)
  const fd = callResult("open", path, O_WRONLY | O_NONBLOCK | 0o2000000, 0)
  if (fd === ENXIO || fd === ENOENT) return null
  return fd >= 0 ? fd : call("open", path, O_WRONLY | O_NONBLOCK | 0o2000000, 0)
}

/** Whether a container that lives waits for its start. */
export function awaitsStart(root: string, id: string): boolean {
  const waiting = openStart(root, id)
  if (waiting !== null) close(waiting)
  return waiting !== null
}

export function statusOf(root: string, record: OciRecord): Status {
  if (!record.complete) return isLocked(root, record.id) ? "creating" : "stopped"
  if (!isAlive(record)) return "stopped"
  // Also before its start, which it could not hear of.
  if (record.cgroup && isPaused(containerDirectory(root, record.id), record.cgroup)) return "paused"
  return awaitsStart(root, record.id) ? "created" : "running"
}

/** The state as engines and hooks see it. */
export function ociState(record: OciRecord, status: Status): OciState {
  const { ociVersion, id, pid, bundle, rootfs, created, annotations, owner } = record
  const shown = status === "stopped" ? 0 : pid
  return { ociVersion, id, pid: shown, status, bundle, rootfs, created, annotations, owner }
}

/** Every container below a root; one whose record is damaged is told of and left out. */
export function listRecords(root: string): OciRecord[] {
  checkOwn(root)
  return listDir(root).flatMap((id) => {
    if (id.startsWith(".")) return []
    try {
      return [readRecord(root, id)]
    } catch (error) {
      if (!(error instanceof ToyboxError)) throw error
      // What else there is: just being removed, or a directory that is none of ours.
      if (error instanceof DamagedRecord) notice(`${errorChain(error)} (${error.hint})`)
      return []
    }
  })
}
