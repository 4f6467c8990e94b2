/** The console socket: where an engine receives the master of a terminal. */
import { SOCK_STREAM } from "../../../ffi/constants/socket.ts"
import { connectUnix } from "../../../ffi/unix.ts"
import { ToyboxError } from "../../errors.ts"

/** Connects to a Unix stream socket, whose path may be long. */
export function connectSocket(path: string): number {
  try {
    return connectUnix(path, SOCK_STREAM)
  } catch (cause) {
    throw new ToyboxError(`--console-socket: cannot connect to ${path}`, { cause })
  }
}
