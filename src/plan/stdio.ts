/** What the command's 0, 1 and 2 are. */
import type { StandardFds, Step } from "./steps.ts"

/** Those that are there already. */
export const givenFds = (fds: StandardFds): number[] => fds.filter((fd) => fd !== null)

/** `own`: a null device among them is the one in the container's /dev, which is known and as it was made. */
export const standardSteps = (fds: StandardFds, own: boolean): Step[] => [
  ...(fds.includes(null) ? [{ kind: "null-device", own } satisfies Step] : []),
  { kind: "stdio", fds },
]
