/** `update`: other limits for a container. */
import { detectCgroups } from "../../cgroup/detect.ts"
import { updateCgroup } from "../../cgroup/update.ts"
import { ToyboxError } from "../../errors.ts"
import type { LinuxResources } from "../../oci/resources.ts"
import { lockContainer, readRecord, statusOf, unlock, writeRecord } from "./state.ts"

/**
 * Sets the limits that `resources` names. Device rules stay as they are, as runc has it: engines send those of the creation
 * along. Throws ToyboxError.
 */
export function updateContainer(root: string, id: string, { devices: _, ...resources }: LinuxResources): void {
  const lock = lockContainer(root, id)
  try {
    const record = readRecord(root, id)
    const status = statusOf(root, record)
    if (status === "stopped") throw new ToyboxError(`container not running: ${id}`)
    if (!record.cgroup) throw new ToyboxError(`container ${id} has no cgroup`)
    const { handle } = updateCgroup(detectCgroups(), record.cgroup, { resources })
    record.cgroup = handle
    writeRecord(root, record)
  } finally {
    unlock(lock)
  }
}
