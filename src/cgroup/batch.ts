import { walkHere } from "../../ffi/call.ts"
import { type Call, slot } from "../../ffi/calls.ts"
import { EEXIST } from "../../ffi/constants/errno.ts"
import { AT_FDCWD, O_CLOEXEC, O_WRONLY } from "../../ffi/constants/fcntl.ts"
import { close } from "../../ffi/fs.ts"
import { arena } from "../../ffi/libc.ts"
import { release } from "../../ffi/memory.ts"

/** One thing of a batch. `exclusive`: the directory must be new. `values` are written one write(2) each, through one open(2). */
export type FileOp =
  | { readonly kind: "mkdir"; readonly dir: string; readonly exclusive: boolean }
  | { readonly kind: "write"; readonly path: string; readonly values: readonly string[] }

/** How far a batch came. */
export interface BatchResult {
  /** Things done; the next one failed, perhaps halfway, and why is for the caller to find out by doing it again. */
  readonly done: number
  /** Indexes of directories that were not there before. */
  readonly created: ReadonlySet<number>
}

const FILE = slot("cgroup file")
const encoder = new TextEncoder()
const REUSED = [EEXIST]

function callsOf(op: FileOp): Call[] {
  if (op.kind === "mkdir") {
    const call = { name: "mkdirat", args: [AT_FDCWD, op.dir, 0o755] }
    return [op.exclusive ? call : { ...call, tolerate: REUSED }]
  }
  const calls: Call[] = [{ name: "openat", args: [AT_FDCWD, op.path, O_WRONLY | O_CLOEXEC, 0], into: FILE }]
  for (const value of op.values) {
    const bytes = encoder.encode(value)
    calls.push({ name: "write", args: [FILE, bytes, bytes.length] })
  }
  calls.push({ name: "close", args: [FILE], fails: "never" })
  return calls
}

/**
 * Carries out the things in one go of the walker, for the start path: a call from JavaScript costs more than the kernel's
 * part of it. Stops at the first failure. mkdir(2), open(2), write(2).
 */
export function runBatch(ops: readonly FileOp[]): BatchResult {
  const calls: Call[] = []
  const starts = ops.map((op) => {
    const start = calls.length
    calls.push(...callsOf(op))
    return start
  })
  const mark = arena.used
  const { program, index: stopped } = walkHere(calls)
  if (stopped < calls.length && calls[stopped]?.name === "write") close(program.value(FILE))
  const created = new Set<number>()
  let done = 0
  for (const [index, start] of starts.entries()) {
    if (stopped < (starts[index + 1] ?? calls.length)) break
    if (ops[index]?.kind === "mkdir" && program.result(start) === 0) created.add(index)
    done++
  }
  release(arena, mark)
  return { done, created }
}
