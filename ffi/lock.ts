/** Locks of open files: flock(2). */
import { callResult } from "./call.ts"
import { LOCK_EX, LOCK_NB, LOCK_SH } from "./constants/fcntl.ts"

/** Takes an exclusive lock without waiting; false where another open file holds it. */
export const tryLock = (fd: number): boolean => callResult("flock", fd, LOCK_EX | LOCK_NB) === 0

/** Takes a shared lock without waiting; false where another open file holds it exclusively. */
export const tryLockShared = (fd: number): boolean => callResult("flock", fd, LOCK_SH | LOCK_NB) === 0
