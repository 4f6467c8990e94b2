/** Descriptors of the caller's that a command gets under their numbers, beside 0, 1 and 2. */
import { call } from "../../ffi/call.ts"
import {
  AT_EMPTY_PATH,
  F_DUPFD_CLOEXEC,
  F_GETFL,
  O_ACCMODE,
  O_CLOEXEC,
  O_PATH,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts"
import { S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { close, isDirectory, stat } from "../../ffi/fs.ts"
import { UsageError } from "../errors.ts"
import { readOnlyView, type View } from "./caller-files.ts"

export interface PassedFds {
  fds: readonly number[]
  /** To be called when the command has ended. */
  ended: () => void
}

/** What can be read through a descriptor can be opened anew by it, for writing, too: in its place comes a view of it. */
function guard(fd: number): View | null {
  const found = stat("", AT_EMPTY_PATH, fd)
  const flags = call("fcntl", fd, F_GETFL, 0)
  if (isDirectory(found) || flags & O_PATH)
    throw new UsageError(`--preserve-fds: descriptor ${fd} is a directory, which no container gets`, {
      hint: "mount it (-v)",
    })
  // What has no name is the caller's alone, as a memfd is; what is given for writing is to be written.
  if (!found || (found.mode & S_IFMT) !== S_IFREG || found.nlink === 0 || (flags & O_ACCMODE) !== O_RDONLY) return null
  const own = call("fcntl", fd, F_DUPFD_CLOEXEC, 0)
  const view = readOnlyView(own)
  if (view === null) {
    close(own)
    throw new UsageError(`--preserve-fds: the file of descriptor ${fd} cannot be given for reading alone`, {
      hint: "its file system keeps root from opening it: give it by a pipe",
    })
  }
  call("dup3", view.fd, fd, O_CLOEXEC)
  return view
}

/** Throws UsageError where one is not to be passed: with a directory all of the machine's files could be reached. */
export function guardPassed(fds: readonly number[]): PassedFds {
  const views = fds.flatMap((fd) => guard(fd) ?? [])
  return {
    fds,
    ended() {
      for (const view of views) view.ended()
    },
  }
}
