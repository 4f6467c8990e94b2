/** Sockets at paths: unix(7). */
import { call, callResult, failure } from "./call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "./constants/fcntl.ts"
import { AF_UNIX, SOCK_CLOEXEC } from "./constants/socket.ts"
import { close } from "./fs.ts"

// sun_path of struct sockaddr_un, with its closing NUL.
const MOST_PATH = 108

function address(path: string): Uint8Array {
  const bytes = new Uint8Array(2 + MOST_PATH)
  bytes[0] = AF_UNIX
  new TextEncoder().encodeInto(path, bytes.subarray(2, 2 + MOST_PATH - 1))
  return bytes
}

/** A socket bound or connected at a path; one that is too long for an address is reached through its directory. */
function socketAt(name: "bind" | "connect", path: string, type: number, mode: number): number {
  let directory = -1
  const socket = call("socket", AF_UNIX, type | SOCK_CLOEXEC, 0)
  try {
    let reached = path
    if (new TextEncoder().encode(path).length >= MOST_PATH) {
      const slash = path.lastIndexOf("/")
      directory = call("openat", AT_FDCWD, path.slice(0, slash) || "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
      reached = `/proc/self/fd/${directory}/${path.slice(slash + 1)}`
    }
    // The mode that a socket has when it is bound is that of its file.
    if (name === "bind") call("fchmod", socket, mode)
    const bytes = address(reached)
    const result = callResult(name, socket, bytes, bytes.length)
    if (result < 0) throw failure(name, result, path)
    return socket
  } catch (error) {
    close(socket)
    throw error
  } finally {
    if (directory >= 0) close(directory)
  }
}

/** A close-on-exec socket (SOCK_*) that is connected. Throws SyscallError. */
export const connectUnix = (path: string, type: number): number => socketAt("connect", path, type, 0)

/** A close-on-exec socket that listens, with a file of this mode. Throws SyscallError. */
export function listenUnix(path: string, type: number, mode: number, backlog: number): number {
  const socket = socketAt("bind", path, type, mode)
  call("listen", socket, backlog)
  return socket
}
