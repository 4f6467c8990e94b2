/** Where an archive is written to: a file that is there whole or not at all, or a pipe. */
import { call, callResult, failure } from "../../../ffi/call.ts"
import { AT_FDCWD, AT_SYMLINK_FOLLOW, O_CREAT, O_EXCL, O_TMPFILE, O_WRONLY } from "../../../ffi/constants/fcntl.ts"
import { POLLOUT } from "../../../ffi/constants/poll.ts"
import { S_IFDIR, S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts"
import { isErrno, SyscallError } from "../../../ffi/errno.ts"
import { close, open, rename, stat, unlink } from "../../../ffi/fs.ts"
import { poll } from "../../../ffi/poll.ts"
import { addressOf } from "../../../ffi/prepared.ts"
import { ToyboxError } from "../../errors.ts"

export interface Output {
  write(bytes: Uint8Array): Promise<void>
  /** Puts it in its place. */
  finish(): void
  /** Leaves nothing of it; harmless after finish. */
  abandon(): void
}

const EINTR = -4
const EAGAIN = -11
const EPIPE = -32
// What a pipe takes whole when poll(2) has said that it takes something: pipe(7), PIPE_BUF.
const PIPE_PART = 4096
const WAIT = 100
// It may hold what was nobody else's to read in the image.
const MODE = 0o600

function writeSome(fd: number, bytes: Uint8Array, from: number, most: number): number {
  const count = callResult("write", fd, addressOf(bytes) + from, Math.min(most, bytes.length - from))
  if (count === EINTR || count === EAGAIN) return 0
  if (count === EPIPE) throw new ToyboxError("nobody reads the archive any more")
  if (count < 0) throw failure("write", count, fd)
  return count
}

/** A pipe may stand still: signals have their turn meanwhile. */
async function writeToPipe(fd: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const [ready] = poll([{ fd, events: POLLOUT }], WAIT)
    if (ready === 0) {
      await Bun.sleep(1)
      signal.throwIfAborted()
      continue
    }
    done += writeSome(fd, bytes, done, PIPE_PART)
  }
}

const writeToFile = (fd: number, bytes: Uint8Array): void => {
  for (let done = 0; done < bytes.length; ) done += writeSome(fd, bytes, done, bytes.length)
}

/** A descriptor that is open already, or a device or FIFO. */
const stream = (fd: number, signal: AbortSignal): Output => ({
  async write(bytes) {
    await writeToPipe(fd, bytes, signal)
    signal.throwIfAborted()
  },
  finish() {},
  abandon() {},
})

/** Without a name as long as it is not whole, so that a kill leaves nothing; where the file system can do that. */
function createTemporary(directory: string, named: string): { fd: number; name: string | null } {
  try {
    return { fd: open(directory, O_TMPFILE | O_WRONLY, MODE), name: null }
  } catch (error) {
    // open(2): EISDIR is an older kernel's word for it.
    if (!isErrno(error, "EOPNOTSUPP", "EISDIR", "EINVAL", "ENOENT")) throw error
    if (isErrno(error, "ENOENT")) throw new ToyboxError(`${directory}: there is no such directory`)
    return { fd: open(named, O_WRONLY | O_CREAT | O_EXCL, MODE), name: named }
  }
}

function file(path: string, signal: AbortSignal): Output {
  const slash = path.lastIndexOf("/")
  const directory = slash < 0 ? "." : path.slice(0, slash) || "/"
  const named = `${path}.${process.pid}.new`
  const { fd, name } = createTemporary(directory, named)
  let left = true
  return {
    async write(bytes) {
      signal.throwIfAborted()
      writeToFile(fd, bytes)
      await new Promise(setImmediate)
    },
    finish() {
      call("fsync", fd)
      if (name === null) call("linkat", AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, named, AT_SYMLINK_FOLLOW)
      rename(named, path)
      left = false
      close(fd)
    },
    abandon() {
      if (!left) return
      left = false
      close(fd)
      if (name !== null) unlink(name)
    },
  }
}

function opened(path: string | null, signal: AbortSignal): Output {
  if (path === null) return stream(1, signal)
  const found = stat(path)
  if (found === null || (found.mode & S_IFMT) === S_IFREG) return file(path, signal)
  if (found && (found.mode & S_IFMT) === S_IFDIR) throw new ToyboxError(`${path} is a directory`)
  return stream(open(path, O_WRONLY), signal)
}

/** Opens a path, or (null) standard output. It and what it returns throw ToyboxError, which names it. */
export function openOutput(path: string | null, signal: AbortSignal): Output {
  const named = (error: unknown) =>
    error instanceof SyscallError
      ? new ToyboxError(`cannot write ${path ?? "to standard output"}`, { cause: error })
      : error
  try {
    const { write, finish, abandon } = opened(path, signal)
    return {
      write: (bytes) => write(bytes).catch((error) => Promise.reject(named(error))),
      finish() {
        try {
          finish()
        } catch (error) {
          throw named(error)
        }
      },
      abandon,
    }
  } catch (error) {
    throw named(error)
  }
}
