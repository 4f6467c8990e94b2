/** The signals that a supervisor takes as events. */
import { SIGCHLD, SIGHUP, SIGINT, SIGTERM } from "../../ffi/constants/signal.ts"

/** The end of a terminal is no concern of a container's. */
export const TAKEN = [SIGCHLD, SIGTERM, SIGINT, SIGHUP]

/** It is told to end. */
export const isOfEnd = (signal: number): boolean => signal === SIGTERM || signal === SIGINT
