/** Signals taken as events: sigaction(2), the self-pipe; kill(2), wait4(2). */
import { call, callResult, runList, scratch } from "./call.ts"
import { EINVAL } from "./constants/errno.ts"
import { O_CLOEXEC, O_NONBLOCK } from "./constants/fcntl.ts"
import { PROT_EXEC, PROT_READ } from "./constants/mman.ts"
import { SA_RESTART, SIG_IGN, SIG_UNBLOCK } from "./constants/signal.ts"
import { __WALL, P_PID, WEXITED, WNOHANG, WNOWAIT } from "./constants/wait.ts"
import { mapMemory, walkerCode } from "./libc.ts"

const SIGACTION_SIZE = 152
// The kernel's: the real-time ones, too.
const SIGSET_SIZE = 8

/** Whether a signal is ignored, as by nohup(1) for what it starts. */
export function isIgnored(signal: number): boolean {
  call("sigaction", signal, null, scratch.address)
  return scratch.u32(0) === SIG_IGN
}

/**
 * Catches `signals` with a native handler that writes each one's number to a pipe; returns the pipe's read end. Not a
 * signalfd: that needs the signals blocked in every thread, and Bun has threads before any JavaScript runs. Nor does it matter
 * what the caller has blocked. Those that libc keeps for itself, which differ from one to another, are left to it.
 */
export function openSignals(signals: readonly number[]): number {
  call("pipe2", scratch.address, O_CLOEXEC | O_NONBLOCK)
  const readEnd = scratch.i32(0)
  const writeEnd = scratch.i32(4)
  const code = walkerCode("SIGNAL_HANDLER")
  const { base, buffer } = mapMemory(code.length + 8)
  new DataView(buffer).setUint32(0, writeEnd, true)
  new Uint8Array(buffer).set(code, 8)
  call("mprotect", base, code.length + 8, PROT_READ | PROT_EXEC)
  // libc's struct sigaction: the handler, a mask of 128 bytes, the flags, the restorer that libc fills in.
  const action = new Uint8Array(SIGACTION_SIZE)
  const view = new DataView(action.buffer)
  view.setBigUint64(0, BigInt(base + 8), true)
  view.setUint32(136, SA_RESTART, true)
  const set = new BigUint64Array([signals.reduce((bits, signal) => bits | (1n << BigInt(signal - 1)), 0n)])
  runList([
    ...signals.map((signal) => ({ name: "sigaction" as const, args: [signal, action, null], tolerate: [EINVAL] })),
    { name: "rt_sigprocmask", args: [SIG_UNBLOCK, new Uint8Array(set.buffer), null, SIGSET_SIZE] },
  ])
  return readEnd
}

/** The signals that have come, in order. */
export function readSignals(fd: number): number[] {
  const size = callResult("read", fd, scratch.address, 1024)
  const signals: number[] = []
  for (let at = 0; at + 4 <= size; at += 4) signals.push(scratch.i32(at))
  return signals
}

/** kill(2); false where there is no such process any more. */
export const kill = (pid: number, signal: number): boolean => callResult("kill", pid, signal) === 0

/** How a child ended: its code, or the signal. */
export interface WaitStatus {
  code?: number
  signal?: number
}

/** wait4(2) for any child without waiting: null while all run, or where there is none. */
export function waitAny(flags: number): (WaitStatus & { pid: number }) | null {
  const pid = callResult("wait4", -1, scratch.address, flags, null)
  return pid > 0 ? { pid, ...decodeStatus() } : null
}

function decodeStatus(): WaitStatus {
  const status = scratch.u32(0)
  const signal = status & 0x7f
  return signal === 0 ? { code: (status >> 8) & 0xff } : { signal }
}

/** Whether a process is a child of this one that has not been waited for. */
export const isChild = (pid: number): boolean =>
  callResult("waitid", P_PID, pid, null, WEXITED | WNOHANG | WNOWAIT | __WALL) === 0

/** wait4(2) without waiting: null while the child runs. */
export function waitChild(pid: number, flags: number): WaitStatus | null {
  const result = callResult("wait4", pid, scratch.address, flags, null)
  return result === pid ? decodeStatus() : null
}
