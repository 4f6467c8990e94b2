/** The mark of a container whose network another shares, or has shared: it tells whether one of them could take others' addresses. */
import { O_APPEND, O_CLOEXEC, O_CREAT, O_WRONLY } from "../../ffi/constants/fcntl.ts"
import { close, open, tryReadText, writeAll } from "../../ffi/fs.ts"
import type { Paths } from "../paths.ts"

export const sharedPath = (paths: Paths, id: string): string => `${paths.networkRun}/${id}.shared`

const FORGER = new TextEncoder().encode("forger\n")

/** Makes it. */
export function markShared(paths: Paths, id: string, mayForge: boolean): void {
  const fd = open(sharedPath(paths, id), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
  try {
    if (mayForge) writeAll(fd, FORGER)
  } finally {
    close(fd)
  }
}

export const isSharedByForger = (paths: Paths, id: string): boolean => Boolean(tryReadText(sharedPath(paths, id)))
