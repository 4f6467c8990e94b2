/** The processors, or the nodes of memory, that there are: what lifts a cpuset, for which the kernel has no other word. */
import { tryReadText } from "../../ffi/fs.ts"

/** As a list: "0-3". */
export const onlineList = (kind: "cpu" | "node"): string =>
  tryReadText(`/sys/devices/system/${kind}/online`)?.trim() ?? "0"
