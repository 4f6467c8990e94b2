/**
 * What an attached toybox and a container's supervisor say to each other, over a SOCK_SEQPACKET socket: a byte that tells
 * what it is, and what belongs to it, in messages of at most MESSAGE bytes.
 *
 *     attached toybox                        supervisor
 *                    <- HELLO flags
 *     INPUT bytes    ->
 *     END            -> of the input, where the container has no terminal
 *     WHOLE          -> the container waits for all that it writes to be taken
 *     HOLD           -> so it does, and is to end with this connection
 *     RELEASE        -> neither, any more
 *     PASSED signal deaf -> who holds it passes a signal on; deaf (1): as SIGKILL, for the command would never see it
 *     SIZE rows columns (u16 each) ->
 *                    <- STDOUT bytes | STDERR bytes
 *                    <- SKIPPED count (u32): so much was written while nobody read here; the log has it
 *                    <- EXIT code text: it has ended, and is cleaned up; what there is to say of that
 *                    <- FULL: no more can be attached
 */
import type { Paths } from "../paths.ts"

export const HELLO = 0x68
export const STDOUT = 0x6f
export const STDERR = 0x65
export const SKIPPED = 0x73
export const EXIT = 0x78
export const FULL = 0x66
export const INPUT = 0x69
export const END = 0x7a
export const SIZE = 0x77
export const WHOLE = 0x57
export const HOLD = 0x6b
export const RELEASE = 0x72
export const PASSED = 0x70

/** Flags of HELLO. */
export const HAS_TERMINAL = 1
export const TAKES_INPUT = 2

/** Bytes of a message besides the first. */
export const MESSAGE = 16_384

/** Where a container's supervisor listens. */
export const attachPath = (paths: Paths, id: string): string => `${paths.attach}/${id}`
