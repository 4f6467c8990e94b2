/** Signals taken as events: rt_sigprocmask(2), signalfd(2), kill(2). */
import { call, callResult, scratch } from "./call.ts"
import { SFD_CLOEXEC, SFD_NONBLOCK, SIG_BLOCK } from "./constants/signal.ts"

const SIGSET_SIZE = 8
const SIGINFO_SIZE = 128

/** The kernel's sigset_t of some signal numbers. */
export function signalSet(signals: readonly number[]): Uint8Array {
  const set = new Uint8Array(SIGSET_SIZE)
  for (const signal of signals) set[(signal - 1) >> 3] = (set[(signal - 1) >> 3] ?? 0) | (1 << ((signal - 1) & 7))
  return set
}

/** Blocks `signals` in this thread, and so in every thread and child made from now on; returns a signalfd of them. */
export function openSignals(signals: readonly number[]): number {
  const set = signalSet(signals)
  call("rt_sigprocmask", SIG_BLOCK, set, null, SIGSET_SIZE)
  return call("signalfd4", -1, set, SIGSET_SIZE, SFD_CLOEXEC | SFD_NONBLOCK)
}

/** The signals that have come, one by one. */
export function readSignals(fd: number): number[] {
  const signals: number[] = []
  for (;;) {
    const size = callResult("read", fd, scratch.address, SIGINFO_SIZE)
    if (size !== SIGINFO_SIZE) return signals
    signals.push(scratch.view.getUint32(scratch.offset, true))
  }
}

/** kill(2); false where there is no such process any more. */
export const kill = (pid: number, signal: number): boolean => callResult("kill", pid, signal) === 0

/** How a child ended: its code, or the signal. */
export interface WaitStatus {
  code?: number
  signal?: number
}

/** wait4(2) without waiting: null while the child runs. */
export function waitChild(pid: number, flags: number): WaitStatus | null {
  const result = callResult("wait4", pid, scratch.address, flags, null)
  if (result !== pid) return null
  const status = scratch.view.getUint32(scratch.offset, true)
  const signal = status & 0x7f
  return signal === 0 ? { code: (status >> 8) & 0xff } : { signal }
}
