import { O_CREAT, O_TRUNC, O_WRONLY } from "../../ffi/constants/fcntl.ts"
import { S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { close, lstat, open, replaceFile, writeAll } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"

/**
 * Writes a file that the caller names, whole or not at all; what is there and is no regular file, as a device or a symbolic link,
 * is written to, and stays what it is. Throws SyscallError.
 */
export function writeNamedFile(path: string, content: string): void {
  const found = lstat(path)
  if (found === null || (found.mode & S_IFMT) === S_IFREG) {
    replaceFile(path, content, 0o644)
    return
  }
  const fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
  try {
    writeAll(fd, new TextEncoder().encode(content))
  } finally {
    close(fd)
  }
}

/** --pid-file, or what the option is called: the number alone. Throws ToyboxError. */
export function writePidFile(path: string, pid: number, option = "--pid-file"): void {
  try {
    writeNamedFile(path, String(pid))
  } catch (cause) {
    throw new ToyboxError(`${option}: cannot write ${path}`, { cause })
  }
}
