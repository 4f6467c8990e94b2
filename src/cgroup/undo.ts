/** Values of cgroup files, which are put back where a change of them comes to nothing. */
import { errorChain, ToyboxError } from "../errors.ts"
import type { CgroupIo } from "./io.ts"
import type { CgroupStep } from "./plan.ts"

/** Gives all files the values of before; returns the error for which that is done, with what could not be put back. */
export type Undo = (error: unknown) => unknown

/** The line of a device, or of all that have none of their own: `8:0 1048576`, `default 100`. */
const KEYED = /^(\d+:\d+|default) /

const UNSET_IO_MAX = "rbps=max wbps=max riops=max wiops=max"

function unsetLine(file: string, key: string): string {
  if (file === "io.max") return `${key}${UNSET_IO_MAX}`
  if (key === "default ") return "default 100"
  return `${key}${file.includes("weight") ? "default" : "0"}`
}

/** Of a file's text what `value` is about; empty where it has nothing on that. */
function partOf(text: string, file: string, value: string): string {
  const key = KEYED.exec(value)?.[0]
  if (key !== undefined) return text.split("\n").find((line) => line.startsWith(key)) ?? ""
  return file === "memory.oom_control" ? (/oom_kill_disable (\d)/.exec(text)?.[1] ?? "") : text.trim()
}

/** Of a hierarchy that is only now of use the values are those of the cgroup above; on v2 a cpuset is empty then. */
function unsetValue(dir: string, file: string, value: string, io: CgroupIo): string {
  const key = KEYED.exec(value)?.[0]
  if (key !== undefined) return unsetLine(file, key)
  return io.tryReadText(`${dir.slice(0, dir.lastIndexOf("/"))}/${file}`)?.trim() || "\n"
}

/** Reads what the writes of `steps` are about to change. The order of undoing, the last first, is one that the kernel takes. */
export function rememberValues(steps: readonly CgroupStep[], io: CgroupIo): Undo {
  const before = steps.flatMap((step) => {
    if (step.kind !== "write") return []
    const { dir } = step
    return [step, ...(step.others ?? [])].map(({ file, value }) => {
      return { dir, file, value, part: partOf(io.tryReadText(`${dir}/${file}`) ?? "", file, value) }
    })
  })
  return (error) => {
    const left: string[] = []
    for (const { dir, file, value, part } of before.toReversed()) {
      const path = `${dir}/${file}`
      const text = io.tryReadText(path)
      if (text === null || partOf(text, file, value) === part) continue
      try {
        io.writeText(path, part || unsetValue(dir, file, value, io))
      } catch (cause) {
        left.push(errorChain(cause))
      }
    }
    if (left.length === 0 || !(error instanceof ToyboxError)) return error
    return new ToyboxError(`${error.message} (and the limits of before could not all be set again: ${left[0]})`, error)
  }
}
