import { call, callResult } from "../../ffi/call.ts"
import { W_OK } from "../../ffi/constants/fcntl.ts"
import { listDir } from "../../ffi/directory.ts"
import { isErrno } from "../../ffi/errno.ts"
import { exists, mkdir, readText, rmdir, tryReadText, writeText } from "../../ffi/fs.ts"
import { type BatchResult, type FileOp, runBatch } from "./batch.ts"
import { eachBelow, removeBelow } from "./below.ts"
import { attachDeviceProgram } from "./devices/attach.ts"

/** Everything cgroup management does to the machine; tests put a directory in memory in its place. */
export interface CgroupIo {
  /** Throws SyscallError. */
  readText(path: string): string
  /** Null where there is no such file. */
  tryReadText(path: string): string | null
  /** One write(2) to an existing file. Throws SyscallError. */
  writeText(path: string, text: string): void
  /** False where it existed. Throws SyscallError. */
  mkdir(path: string, mode?: number): boolean
  rmdir(path: string): void
  /** Many of the above at once, up to the first that fails. */
  runBatch(ops: readonly FileOp[]): BatchResult
  /** All that is in a directory. */
  listDir(path: string): string[]
  /** Calls `each` for every cgroup below one, with a path of it that holds during the call. */
  eachBelow(dir: string, each: (path: string) => void): void
  /** Removes those below a cgroup that no process is in. */
  removeBelow(dir: string): void
  exists(path: string): boolean
  /** False where the rights are lacking. */
  mayWrite(path: string): boolean
  /** SIGKILL; a process that is gone is fine. */
  kill(pid: number): void
  /** Milliseconds. */
  sleep(duration: number): void
  /** Milliseconds since some start. */
  now(): number
  attachDevices(program: Uint8Array, dir: string): void
}

const SIGKILL = 9
const EACCES = -13

/** The machine itself. */
export const hostIo: CgroupIo = {
  readText,
  tryReadText,
  writeText,
  mkdir,
  rmdir,
  listDir: (path) => listDir(path),
  eachBelow,
  removeBelow,
  exists,
  mayWrite: (path) => callResult("access", path, W_OK) !== EACCES,
  kill(pid) {
    try {
      call("kill", pid, SIGKILL)
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error // Died between being listed and being killed: what was wanted.
    }
  },
  runBatch,
  sleep: (duration) => Bun.sleepSync(duration),
  now: () => performance.now(),
  attachDevices: attachDeviceProgram,
}
