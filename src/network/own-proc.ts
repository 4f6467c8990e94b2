/** A procfs(5) of this process's own, for the settings of network namespaces. */
import { callResult } from "../../ffi/call.ts"
import { FSCONFIG_CMD_CREATE, FSMOUNT_CLOEXEC, FSOPEN_CLOEXEC } from "../../ffi/constants/mount.ts"
import { close } from "../../ffi/fs.ts"

let mounted: string | undefined

/**
 * The path of a procfs that nobody else has. In a procfs the settings of all network namespaces have the same names, which the
 * kernel keeps in one chain for each: whoever looks one up in the machine's passes those of every namespace that was looked into
 * there. It goes with the process: to close it earlier, while a container starts, waits for all processors. Where none can be
 * mounted (fsopen(2) came with Linux 5.2), it is the machine's.
 */
export function ownProc(): string {
  mounted ??= mountProc()
  return mounted
}

function mountProc(): string {
  const fs = callResult("fsopen", "proc", FSOPEN_CLOEXEC)
  const isMade = fs >= 0 && callResult("fsconfig", fs, FSCONFIG_CMD_CREATE, null, null, 0) === 0
  const mount = isMade ? callResult("fsmount", fs, FSMOUNT_CLOEXEC, 0) : -1
  if (fs >= 0) close(fs)
  return mount < 0 ? "/proc" : `/proc/self/fd/${mount}`
}
