/** Changing what is written down of containers whose commands run. */
import { O_RDWR } from "../../ffi/constants/fcntl.ts"
import { close, open } from "../../ffi/fs.ts"
import type { Paths } from "../paths.ts"
import { lockChanges } from "./change-lock.ts"
import { isAlive, type RunningRecord, readRunning, runningPath, updateRunning } from "./state.ts"

/** Replaces the running entry of a container. Within whileUp, or `up` of withContainer. */
export function changeRunning(paths: Paths, id: string, record: RunningRecord): void {
  const path = runningPath(paths, id)
  const fd = open(path, O_RDWR)
  try {
    updateRunning({ fd, path }, record)
  } finally {
    close(fd)
  }
}

/** Whether the command of a container runs: its entry is written by nobody else then. */
export const isUp = (running: RunningRecord): boolean => isAlive(running) && running.executed !== undefined

/** Does something with a container whose command runs, which nobody ends or changes meanwhile; nothing with any other. */
export function whileUp(paths: Paths, id: string, action: (record: RunningRecord) => void): void {
  const changes = lockChanges(paths, id)
  try {
    const running = readRunning(paths, id)
    if (running && isUp(running)) action(running)
  } finally {
    if (changes !== null) close(changes)
  }
}
