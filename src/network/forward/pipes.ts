/** Pipes between two sockets: a connection has one only while there is something in it. */
import { callResult, scratch } from "../../../ffi/call.ts"
import { F_SETPIPE_SZ, O_CLOEXEC, O_NONBLOCK } from "../../../ffi/constants/fcntl.ts"
import { close } from "../../../ffi/fs.ts"

export interface Pipe {
  readonly read: number
  readonly write: number
}

/** What a pipe may hold, in bytes. */
export const CAPACITY = 256 * 1024
const KEPT = 64
const spare: Pipe[] = []

/** Null where this process, or the machine, has no descriptors left. */
export function takePipe(): Pipe | null {
  const pipe = spare.pop()
  if (pipe) return pipe
  if (callResult("pipe2", scratch.address, O_CLOEXEC | O_NONBLOCK) < 0) return null
  const made = { read: scratch.i32(0), write: scratch.i32(4) }
  // Refused to those who have many already (pipe-user-pages-soft, pipe(7)); it is of the size that pipes have then.
  callResult("fcntl", made.write, F_SETPIPE_SZ, CAPACITY)
  return made
}

/** Gives one back that is empty. */
export function givePipe(pipe: Pipe): void {
  if (spare.length < KEPT) spare.push(pipe)
  else closePipe(pipe)
}

export function closePipe({ read, write }: Pipe): void {
  close(read)
  close(write)
}
