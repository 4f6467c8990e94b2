/** The console socket: where an engine receives the master of a terminal. */
import { call, callResult, failure } from "../../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../../ffi/constants/fcntl.ts"
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../../../ffi/constants/socket.ts"
import { close } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"

// sun_path of struct sockaddr_un, with its closing NUL: unix(7).
const MOST_PATH = 108

function address(path: string): Uint8Array {
  const bytes = new Uint8Array(2 + MOST_PATH)
  bytes[0] = AF_UNIX
  new TextEncoder().encodeInto(path, bytes.subarray(2, 2 + MOST_PATH - 1))
  return bytes
}

/** Connects to a Unix stream socket; a path that is too long for it is reached through its directory. */
export function connectSocket(path: string): number {
  let directory = -1
  const socket = call("socket", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
  try {
    let reached = path
    if (new TextEncoder().encode(path).length >= MOST_PATH) {
      const slash = path.lastIndexOf("/")
      directory = call("openat", AT_FDCWD, path.slice(0, slash) || "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
      reached = `/proc/self/fd/${directory}/${path.slice(slash + 1)}`
    }
    const bytes = address(reached)
    const result = callResult("connect", socket, bytes, bytes.length)
    if (result < 0) throw failure("connect", result, path)
    return socket
  } catch (cause) {
    close(socket)
    throw new ToyboxError(`--console-socket: cannot connect to ${path}`, { cause })
  } finally {
    if (directory >= 0) close(directory)
  }
}
