/** The environment of an OCI container's process: environ(7). */
import { O_DIRECTORY, O_PATH } from "../../../ffi/constants/fcntl.ts"
import { close, open } from "../../../ffi/fs.ts"
import type { Process } from "../../oci/runtime.ts"
import { parsePasswd, readRootFile } from "../identity.ts"

const nameOf = (entry: string) => entry.split("=", 1)[0] ?? ""

/**
 * Of several entries with one name the last, in the place of the first: what getenv(3) finds first is then what was given last.
 * Without a HOME that of the user, by the container's own passwd file, as runc and crun have it.
 */
export function completeEnvironment({ env, user }: Process, rootFd: number): string[] {
  const complete = new Map(env.map((entry) => [nameOf(entry), entry]))
  // An empty one is none, as runc has it.
  if (!complete.get("HOME")?.slice("HOME=".length)) {
    const entry = parsePasswd(readRootFile(rootFd, "etc/passwd")).find(({ uid }) => uid === user.uid)
    complete.set("HOME", `HOME=${entry?.home || "/"}`)
  }
  return [...complete.values()]
}

/** The same, of one that joins the container with this first process. */
export function environmentIn(pid: number, process: Process): string[] {
  const rootFd = open(`/proc/${pid}/root`, O_PATH | O_DIRECTORY)
  try {
    return completeEnvironment(process, rootFd)
  } finally {
    close(rootFd)
  }
}
