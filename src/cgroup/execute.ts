import { isErrno, SyscallError } from "../../ffi/errno.ts"
import { ToyboxError } from "../errors.ts"
import type { FileOp } from "./batch.ts"
import { deviceProgram } from "./devices/bpf.ts"
import { hintFor } from "./hints.ts"
import type { CgroupIo } from "./io.ts"
import type { CgroupPlan, CgroupStep } from "./plan.ts"
import { removeDirectory } from "./remove.ts"

type WriteStep = Extract<CgroupStep, { kind: "write" }>
type DevicesStep = Extract<CgroupStep, { kind: "devices" }>

/** What carrying out a plan gave. */
export interface Executed {
  /** Parents that were not there before. */
  readonly createdParents: readonly string[]
  readonly notices: readonly string[]
}

/** Hears of a step that was carried out; milliseconds. */
export type StepTrace = (step: CgroupStep, duration: number) => void

/** A shared parent went away under our feet, because the last other container in it ended: plan and try again. */
export class ParentGone extends Error {}

/** Whether the cpuset above is empty: another container has just made it, after this one's plan saw its predecessor. */
function isUnfilled(dir: string, file: string, io: CgroupIo): boolean {
  if (!/^cpuset\.(cpus|mems)$/.test(file)) return false
  return io.tryReadText(`${dir.slice(0, dir.lastIndexOf("/"))}/${file}`)?.trim() === ""
}

function writeOne(step: WriteStep, file: string, value: string, io: CgroupIo): boolean {
  try {
    io.writeText(`${step.dir}/${file}`, value)
    return true
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENODEV") && !io.exists(step.dir)) throw new ParentGone()
    if (isErrno(cause, "ENOENT")) return false
    if (isErrno(cause, "EACCES") && isUnfilled(step.dir, file, io)) throw new ParentGone()
    throw failed(step, file, value, cause)
  }
}

function failed(step: WriteStep, file: string, value: string, cause: unknown): ToyboxError {
  const hint = cause instanceof SyscallError ? hintFor(file, cause) : undefined
  return new ToyboxError(`${step.label}: write ${JSON.stringify(value)} to ${step.dir}/${file}`, { cause, hint })
}

/** Writes the first file that exists, or all that do; returns notices. */
function write(step: WriteStep, io: CgroupIo): string[] {
  const targets = [{ file: step.file, value: step.value }, ...(step.others ?? [])]
  let written = false
  for (const target of targets) {
    if (!writeOne(step, target.file, target.value, io)) continue
    written = true
    if (step.use !== "all") return "notice" in target && target.notice ? [target.notice] : []
  }
  if (written || step.absent?.notice === null) return []
  if (!step.asked) return step.absent?.notice ? [step.absent.notice] : []
  throw failed(step, step.file, step.value, new SyscallError("open", 2, `${step.dir}/${step.file}`))
}

/** Moves the processes until none is left: new ones may be born meanwhile. */
function evacuate(from: string, to: string, io: CgroupIo): void {
  for (let round = 0; round < 100; round++) {
    const pids = io.readText(`${from}/cgroup.procs`).split("\n").filter(Boolean)
    if (pids.length === 0) return
    if (pids.includes("0")) break // Not of this PID namespace: it has no number to be moved by.
    for (const pid of pids) {
      try {
        io.writeText(`${to}/cgroup.procs`, pid)
      } catch (error) {
        if (!isErrno(error, "ESRCH")) throw error // Ended by itself: it is out of the way too.
      }
    }
  }
  throw new ToyboxError(`cgroup ${from} has processes that cannot be moved, so no limits can be set below it`, {
    hint: "start toybox in a cgroup namespace or a cgroup of its own (cgroup v2: no internal processes)",
  })
}

function makeDirectory(dir: string, shared: boolean, io: CgroupIo): boolean {
  try {
    if (io.mkdir(dir, 0o755)) return true
  } catch (cause) {
    // ENODEV: the parent is just being removed.
    if (isErrno(cause, "ENOENT", "ENODEV")) throw new ParentGone()
    const hint = cause instanceof SyscallError ? hintFor("cgroup.procs", cause) : undefined
    throw new ToyboxError(`make cgroup ${dir}`, { cause, hint })
  }
  if (!shared && io.readText(`${dir}/cgroup.procs`).trim() !== "") {
    throw new ToyboxError(`cgroup ${dir} exists and has processes in it`, {
      hint: "choose another name for the container",
    })
  }
  return false
}

function attachDevices({ rules, dir, required }: DevicesStep, io: CgroupIo): string[] {
  try {
    io.attachDevices(deviceProgram(rules), dir)
    return []
  } catch (error) {
    if (required || !(error instanceof ToyboxError)) throw error
    return [`device access is not limited by the cgroup (${error.message}): the user namespace does it`]
  }
}

/** What was made goes again; what cannot be removed stays visible in the error. */
function rollBack(made: readonly string[], io: CgroupIo, error: unknown): void {
  for (const dir of made.toReversed()) {
    try {
      removeDirectory(dir, io)
    } catch (removal) {
      if (error instanceof ToyboxError)
        throw new ToyboxError(`${error.message} (and ${dir} was left: ${removal})`, error)
    }
  }
}

/** Removes a parent unless somebody uses it: EBUSY and ENOTEMPTY are the proof that somebody does. */
export function removeIfEmpty(dir: string, io: CgroupIo): void {
  try {
    io.rmdir(dir)
  } catch (error) {
    if (!isErrno(error, "EBUSY", "ENOTEMPTY", "ENOENT", "ENODEV")) throw error
  }
}

/** The next steps that need no thought while they succeed, as a batch; how many steps each thing of it stands for. */
function nextBatch(steps: readonly CgroupStep[], from: number): { ops: FileOp[]; counts: number[] } {
  const ops: (FileOp & { values?: string[] })[] = []
  const counts: number[] = []
  for (const step of steps.slice(from)) {
    if (step.kind === "mkdir") {
      ops.push({ kind: "mkdir", dir: step.dir, exclusive: !step.shared })
    } else if (step.kind === "write" && step.use !== "all") {
      const path = `${step.dir}/${step.file}`
      const last = ops[ops.length - 1]
      if (last?.kind === "write" && last.path === path) {
        last.values.push(step.value)
        counts.push((counts.pop() ?? 0) + 1)
        continue
      }
      ops.push({ kind: "write", path, values: [step.value] })
    } else break
    counts.push(1)
  }
  return { ops, counts }
}

interface Made {
  /** The container's own directories. */
  readonly own: string[]
  /** Parents that were not there before. */
  readonly parents: string[]
  readonly notices: string[]
}

function note(step: CgroupStep, made: Made): void {
  if (step.kind === "mkdir") (step.shared ? made.parents : made.own).push(step.dir)
}

/** Carries out one step and finds out why, where it fails. */
function executeStep(step: CgroupStep, io: CgroupIo, made: Made): void {
  if (step.kind === "mkdir") {
    if (makeDirectory(step.dir, step.shared, io)) note(step, made)
  } else if (step.kind === "write") made.notices.push(...write(step, io))
  else if (step.kind === "evacuate") evacuate(step.from, step.to, io)
  else made.notices.push(...attachDevices(step, io))
}

/** Returns how many steps from `from` on succeeded as a batch. */
function executeBatch(steps: readonly CgroupStep[], from: number, io: CgroupIo, made: Made): number {
  const { ops, counts } = nextBatch(steps, from)
  const { done, created } = io.runBatch(ops)
  let position = from
  for (let index = 0; index < done; index++) {
    const step = steps[position]
    if (step && created.has(index)) note(step, made)
    position += counts[index] ?? 1
  }
  return position - from
}

/**
 * Carries out the steps in order. If one fails, what was made is removed again and a ToyboxError tells the option, file,
 * value, errno and a hint. Throws ParentGone where a shared parent vanished: the caller plans again. `trace` hears of each
 * step once it is done, with the milliseconds it took.
 */
export function executePlan(plan: CgroupPlan, io: CgroupIo, trace?: StepTrace): Executed {
  const made: Made = { own: [], parents: [], notices: [...plan.notices] }
  const { steps } = plan
  try {
    for (let position = 0; position < steps.length; position++) {
      if (!trace) position += executeBatch(steps, position, io, made)
      const step = steps[position]
      if (!step) break
      const start = io.now()
      executeStep(step, io, made)
      trace?.(step, io.now() - start)
    }
  } catch (error) {
    rollBack(made.own, io, error)
    for (const dir of made.parents.toReversed()) removeIfEmpty(dir, io)
    throw error
  }
  return { createdParents: made.parents, notices: made.notices }
}
