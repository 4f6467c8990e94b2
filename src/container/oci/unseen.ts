/**
 * A container that joins the process namespace of others: until it is as its command is to be, nobody there may run who could
 * trace it (CAP_SYS_PTRACE), and take what is still the machine's root and all capabilities.
 */
import { stat } from "../../../ffi/fs.ts"
import type { CgroupHandle } from "../../cgroup/plan.ts"
import type { Spec } from "../../oci/runtime.ts"
import type { FileLock } from "../../state-file.ts"
import { containerDirectory, isAlive, listRecords, readConfig } from "./state.ts"
import { beginStill, endStill } from "./still.ts"

interface Tracer {
  directory: string
  cgroup: CgroupHandle
}

/** Those that this state directory knows of. */
function tracersBeside(root: string, spec: Spec): Tracer[] {
  const path = spec.linux.namespaces.find(({ type }) => type === "pid")?.path
  const namespace = path === undefined ? undefined : stat(path)?.ino
  // Who is to see the machine's processes sees toybox itself.
  if (namespace === undefined || namespace === stat("/proc/self/ns/pid")?.ino) return []
  return listRecords(root).flatMap((record) => {
    const { id, pid, cgroup } = record
    if (!cgroup || !isAlive(record) || stat(`/proc/${pid}/ns/pid`)?.ino !== namespace) return []
    const { bounding } = readConfig(root, record).process.capabilities
    return bounding.includes("CAP_SYS_PTRACE") ? [{ directory: containerDirectory(root, id), cgroup }] : []
  })
}

/** Does what makes the container, up to where it waits for its start. */
export async function makeUnseen(root: string, spec: Spec, make: () => Promise<void>): Promise<void> {
  const held: [CgroupHandle, FileLock][] = []
  try {
    for (const { directory, cgroup } of tracersBeside(root, spec)) {
      const lock = beginStill(directory, cgroup)
      if (lock) held.push([cgroup, lock])
    }
    await make()
  } finally {
    for (const [cgroup, lock] of held) endStill(cgroup, lock)
  }
}
