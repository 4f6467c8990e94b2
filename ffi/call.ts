/** Single libc calls in this process, with errno stored beside the result by the walker. */
import { type Arg, layOut, type Stage } from "./calls.ts"
import { SyscallError } from "./errno.ts"
import { address, arena, syscallNumber, walk } from "./libc.ts"

/** Stage one: libc's own function where it has one, else libc's syscall(2). */
export const stageOne: Stage = {
  resolve(name) {
    const target = address(name)
    return target ? { target } : { target: address("syscall"), number: syscallNumber(name) }
  },
  errnoLocation: address("__errno_location"),
}

/** Memory for calls that fill a buffer: pass `scratch.address`, then read from `scratch.view`. 64 KiB. */
export const scratch = arena.allocate(65536)
export const SCRATCH_SIZE = 65536

function shown(arg: Arg): string {
  if (typeof arg === "string") return JSON.stringify(arg)
  if (typeof arg === "number" || typeof arg === "bigint") return String(arg)
  return arg === null ? "NULL" : "…"
}

/** Calls the libc function or system call `name`; returns its result, or -errno where it failed. */
export function callResult(name: string, ...args: Arg[]): number {
  const mark = arena.mark()
  const program = layOut([{ name, args }], arena, stageOne, { reportFd: -1, child: false })
  const failed = walk(program.address) === 0
  const result = failed ? -program.errno(0) : program.result(0)
  arena.reset(mark)
  return result
}

/** The SyscallError of a call that returned -errno. */
export function failure(name: string, result: number, ...args: Arg[]): SyscallError {
  return new SyscallError(name, -result, args.map(shown).join(", "))
}

/** As callResult, but throws a SyscallError where the call failed. */
export function call(name: string, ...args: Arg[]): number {
  const result = callResult(name, ...args)
  if (result < 0) throw failure(name, result, ...args)
  return result
}
