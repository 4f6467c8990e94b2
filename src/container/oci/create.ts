import { O_NONBLOCK, O_PATH, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, open, readAll, readLink, stat } from "../../../ffi/fs.ts"
import { type Cgroups, detectCgroups } from "../../cgroup/detect.ts"
import { type CgroupManager, createCgroup } from "../../cgroup/manager.ts"
import type { CgroupRequest } from "../../cgroup/plan.ts"
import { errorChain, ToyboxError } from "../../errors.ts"
import { mountRoot } from "../../launch/index.ts"
import { explainFailure } from "../../launch/report.ts"
import { notice } from "../../log.ts"
import { readSpec } from "../../oci/read.ts"
import type { Spec } from "../../oci/runtime.ts"
import { isOrdinaryUser } from "../facts.ts"
import { writePidFile } from "../pid-file.ts"
import { bringUp, type CreateRequest } from "./bring-up.ts"
import { destroy } from "./delete.ts"
import { completeEnvironment } from "./environment.ts"
import { asksForLimits, cgroupRequest, checkRoot } from "./facts.ts"
import { rememberRoot } from "./host-mounts.ts"
import type { OciRecord } from "./record.ts"
import {
  checkId,
  containerDirectory,
  enterContainer,
  type OciLock,
  readRecord,
  removeHalfEntered,
  tryLockContainer,
  unlock,
  writeRecord,
} from "./state.ts"
import { checkSupported, leaveOutCapabilities } from "./supported.ts"
import { makeUnseen } from "./unseen.ts"

/** A container that waits for its start; the lock is held. */
export interface Created {
  record: OciRecord
  spec: Spec
  lock: OciLock
}

const MOST_BYTES = 32 * 1024 * 1024

/** The text of a bundle's config.json. Throws ToyboxError. */
function readConfigFile({ bundle, configFile }: Pick<CreateRequest, "bundle" | "configFile">): string {
  const path = configFile ?? `${bundle}/config.json`
  let fd: number
  try {
    fd = open(path, O_RDONLY | O_NONBLOCK)
  } catch (cause) {
    if (!isErrno(cause, "ENOENT", "ENOTDIR")) throw new ToyboxError(`cannot read ${path}`, { cause })
    throw new ToyboxError(`JSON specification file ${path} not found`, { hint: "the command spec writes one" })
  }
  try {
    const bytes = readAll(fd, MOST_BYTES + 1)
    if (bytes.length > MOST_BYTES) throw new ToyboxError(`${path} is larger than ${MOST_BYTES} bytes`)
    return new TextDecoder().decode(bytes)
  } finally {
    close(fd)
  }
}

function realPath(path: string): string {
  const fd = open(path, O_PATH)
  const real = readLink(`/proc/self/fd/${fd}`)
  close(fd)
  return real ?? path
}

/** Enters the container; what a killed `create` has left under this id goes first. */
function enter(request: CreateRequest, record: OciRecord, config: string): OciLock {
  const { root, id } = request
  removeHalfEntered(root)
  for (let attempt = 1; attempt < 5; attempt++) {
    const lock = enterContainer(root, record, config)
    if (lock) return lock
    try {
      const old = tryLockContainer(root, id)
      if (!old) break
      const dead = readRecord(root, id)
      if (dead.complete) {
        unlock(old)
        break
      }
      destroy(root, dead, old)
    } catch (error) {
      // Gone meanwhile: once more.
      if (stat(containerDirectory(root, id)) !== null) throw error
    }
  }
  throw new ToyboxError(`container with id exists: ${id}`, { hint: `delete it first, or use another id` })
}

function newRecord(request: CreateRequest, spec: Spec): OciRecord {
  return {
    ociVersion: spec.ociVersion,
    id: request.id,
    bundle: request.bundle,
    rootfs: spec.root.path,
    created: new Date().toISOString(),
    owner: process.env.USER ?? "",
    pid: 0,
    startTime: "",
    complete: false,
    cgroup: null,
    annotations: spec.annotations ?? {},
  }
}

/** Whether it goes without a cgroup, as with runc and crun: an ordinary user may have been given none to make others in. */
const goesWithoutCgroup = (error: unknown, request: CgroupRequest): boolean =>
  error instanceof ToyboxError &&
  isErrno(error.cause, "EACCES", "EPERM", "EROFS") &&
  isOrdinaryUser() &&
  !asksForLimits(request)

/**
 * Makes the container's cgroup; the record knows of it before it is there. On failure there is none. Null where it goes without.
 */
function enterCgroup(root: string, record: OciRecord, cgroups: Cgroups, spec: Spec): CgroupManager | null {
  const request = cgroupRequest(spec, record.id)
  try {
    const { manager, notices } = createCgroup(cgroups, request, {
      announce: (handle) => {
        record.cgroup = handle
        writeRecord(root, record)
      },
    })
    notices.forEach(notice)
    record.cgroup = manager.handle
    return manager
  } catch (error) {
    // What is there is another's, with the processes in it.
    record.cgroup = null
    if (goesWithoutCgroup(error, request)) return null
    throw error
  }
}

/**
 * Makes a container; on failure nothing of it is left. `ownSocket` gives what its terminal is sent over where the request names
 * nothing. Throws ToyboxError.
 */
export async function createContainer(
  asked: CreateRequest,
  ownSocket?: (spec: Spec) => number | undefined,
): Promise<Created> {
  const { root, id } = asked
  checkId(id)
  const config = readConfigFile(asked)
  const spec = readSpec(config, asked.bundle)
  const request = { ...asked, consoleSocket: asked.consoleSocket ?? ownSocket?.(spec) }
  spec.process.env = [...spec.process.env, ...request.env]
  checkRoot(spec)
  checkSupported(spec)
  leaveOutCapabilities(spec)
  // What is mounted over it must be mounted on the directory itself.
  spec.root.path = realPath(spec.root.path)
  const record = newRecord(request, spec)
  const lock = enter(request, record, config)
  let rootFd = -1
  try {
    const cgroups = detectCgroups()
    const manager = request.noCgroup ? null : enterCgroup(root, record, cgroups, spec)
    rootFd = mountRoot([{ kind: "bind-root", path: spec.root.path }])
    rememberRoot(root, record, spec, rootFd)
    spec.process.env = completeEnvironment(spec.process, rootFd)
    await makeUnseen(root, spec, () => bringUp({ request, spec, record, cgroups, manager, rootFd }))
    record.complete = true
    writeRecord(root, record)
    if (request.pidFile !== undefined) writePidFile(request.pidFile, record.pid)
    return { record, spec, lock }
  } catch (error) {
    const told = explainFailure(error)
    try {
      destroy(root, record, lock)
    } catch (leak) {
      notice(`cleaning up after the failure failed too: ${errorChain(leak)}`)
    }
    throw told
  } finally {
    if (rootFd >= 0) close(rootFd)
  }
}
