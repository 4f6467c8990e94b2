/** The null device that the command's 0, 1 and 2 may be: never the host's, which root in a container could chmod(2) or chown(2). */
import { type Call, slot } from "../../../ffi/calls.ts"
import { O_CLOEXEC, O_NOCTTY, O_NOFOLLOW, O_RDWR } from "../../../ffi/constants/fcntl.ts"
import { S_IFCHR } from "../../../ffi/constants/stat.ts"
import type { StepOf } from "../../plan/steps.ts"
import { checkDevice, DEV, makedev } from "./devices.ts"
import { MOUNT, newMount } from "./root.ts"

/** Open between the two steps. */
export const NULL = slot("null device")

const NUMBERS = { major: 1, minor: 3 }
const FLAGS = O_RDWR | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC

/** The container's own, or one that nobody else has: on a file system that is gone with it. */
export function nullDevice({ own }: StepOf<"null-device">): Call[] {
  if (own) {
    return [{ name: "openat", args: [DEV, "null", FLAGS, 0], into: NULL }, ...checkDevice(NULL, "", S_IFCHR, NUMBERS)]
  }
  return [
    ...newMount("tmpfs", "null", [["size", "4k"]], 0),
    { name: "mknodat", args: [MOUNT, "null", S_IFCHR | 0o666, makedev(NUMBERS.major, NUMBERS.minor)] },
    { name: "openat", args: [MOUNT, "null", FLAGS, 0], into: NULL },
  ]
}
