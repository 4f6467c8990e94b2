import { isErrno } from "../../ffi/errno.ts"
import { ToyboxError } from "../errors.ts"
import type { CgroupIo } from "./io.ts"
import type { CgroupHandle } from "./plan.ts"

// A process in uninterruptible sleep does not die until its I/O ends; waiting longer for it helps nobody.
const PATIENCE = 2000
const PAUSE = 1

function pidsIn(dir: string, io: CgroupIo): number[] {
  const texts = [io.tryReadText(`${dir}/cgroup.procs`)]
  io.eachBelow(dir, (path) => texts.push(io.tryReadText(`${path}/cgroup.procs`)))
  return texts.flatMap((text) => (text ?? "").split("\n").filter(Boolean).map(Number))
}

/** Tells where each version's freezer is, and what its words are: freezer-subsystem.rst, cgroup-v2.rst "cgroup.freeze". */
function freezerOf({ version, dirs }: CgroupHandle) {
  if (version === 2) {
    const dir = dirs.unified ?? ""
    return {
      file: `${dir}/cgroup.freeze`,
      frozen: "1",
      thawed: "0",
      state: `${dir}/cgroup.events`,
      done: /^frozen 1$/m,
    }
  }
  const dir = dirs.freezer
  if (dir === undefined) return null
  const file = `${dir}/freezer.state`
  return { file, frozen: "FROZEN", thawed: "THAWED", state: file, done: /^FROZEN$/m }
}

type Freezer = NonNullable<ReturnType<typeof freezerOf>>

function requireFreezer(handle: CgroupHandle): Freezer {
  const freezer = freezerOf(handle)
  if (!freezer) throw new ToyboxError(`cgroup ${handle.path}: the freezer controller is not mounted`)
  return freezer
}

/** Writes; false where the cgroup is gone or the kernel has no such file. */
function tryWrite(file: string, value: string, io: CgroupIo): boolean {
  try {
    io.writeText(file, value)
    return true
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return false
    throw error
  }
}

/** Stops all processes where they are, and waits (up to 2 s) until they have stopped. Throws ToyboxError. */
export function freeze(handle: CgroupHandle, io: CgroupIo): void {
  const freezer = requireFreezer(handle)
  io.writeText(freezer.file, freezer.frozen)
  for (const deadline = io.now() + PATIENCE; !freezer.done.test(io.readText(freezer.state)); io.sleep(PAUSE)) {
    if (io.now() > deadline) {
      io.writeText(freezer.file, freezer.thawed)
      throw new ToyboxError(`cgroup ${handle.path}: a process does not stop (it waits for the disk or a network mount)`)
    }
  }
}

/** Lets frozen processes go on. */
export function thaw(handle: CgroupHandle, io: CgroupIo): void {
  const { file, thawed } = requireFreezer(handle)
  io.writeText(file, thawed)
}

/** Whether the processes are stopped, or about to be. */
export function isFrozen(handle: CgroupHandle, io: CgroupIo): boolean {
  const freezer = freezerOf(handle)
  const text = freezer ? io.tryReadText(freezer.file) : null
  return text !== null && text.trim() !== freezer?.thawed
}

/** On v1 the dead stay where they are frozen, and a cgroup that the container has frozen itself stays so by itself. */
function thawAll(file: string, thawed: string, io: CgroupIo): void {
  const slash = file.lastIndexOf("/")
  tryWrite(file, thawed, io)
  io.eachBelow(file.slice(0, slash), (path) => tryWrite(path + file.slice(slash), thawed, io))
}

/** Frozen, nothing can fork while the list is read, nor end and give its number to a stranger. */
function killRound({ file, frozen, thawed, state, done }: Freezer, pids: () => readonly number[], io: CgroupIo): void {
  const stops = tryWrite(file, frozen, io)
  // Not waited for at length: a frozen majority is better than none, and there are further rounds.
  for (let tries = 0; stops && tries < 10 && !done.test(io.tryReadText(state) ?? ""); tries++) io.sleep(PAUSE)
  try {
    for (const pid of pids()) if (pid > 0) io.kill(pid)
  } finally {
    if (stops) thawAll(file, thawed, io)
  }
}

/** Every process of a container that has been made is in each of its directories. */
const anyDirectory = ({ dirs }: CgroupHandle) => dirs.freezer ?? dirs.pids ?? Object.values(dirs)[0] ?? ""

/** The processes of a container. */
export const listPids = (handle: CgroupHandle, io: CgroupIo): number[] => pidsIn(anyDirectory(handle), io)

/** Of v1 a process enters one directory after the other, and each may take it milliseconds. */
const pidsInAny = ({ dirs }: CgroupHandle, io: CgroupIo): number[] => [
  ...new Set(Object.values(dirs).flatMap((dir) => pidsIn(dir, io))),
]

function killLoop(handle: CgroupHandle, io: CgroupIo): void {
  const freezer = freezerOf(handle) ?? {
    file: `${anyDirectory(handle)}/freezer.state`,
    frozen: "",
    thawed: "",
    state: "",
    done: /^/,
  }
  for (const deadline = io.now() + PATIENCE; ; io.sleep(PAUSE)) {
    const pids = pidsInAny(handle, io)
    if (pids.length === 0) return
    if (io.now() > deadline) throw new ToyboxError(`cgroup ${handle.path}: process ${pids.join(" ")} does not die`)
    killRound(freezer, () => pidsInAny(handle, io), io)
  }
}

/**
 * Kills every process in the cgroup and below. v2: `cgroup.kill` (Linux 5.14), which also catches what forks meanwhile, and
 * returns before they are gone; else freeze, SIGKILL, thaw until none is left. Throws ToyboxError after 2 s.
 */
export function killAll(handle: CgroupHandle, io: CgroupIo): void {
  if (handle.version === 2) {
    const dir = handle.dirs.unified ?? ""
    if (tryWrite(`${dir}/cgroup.kill`, "1", io) || !io.exists(dir)) return
  }
  killLoop(handle, io)
}
