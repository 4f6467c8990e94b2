/** A cgroup's memory in detail, and its processors' time one by one: what engines ask an OCI runtime for. */
import type { CgroupIo } from "./io.ts"
import type { CgroupHandle } from "./plan.ts"

/** Bytes; a limit of none is null. */
export interface MemoryPool {
  readonly usage: number
  readonly max: number
  readonly limit: number | null
  readonly failures: number
}

export interface DetailStats {
  /** memory.stat as it is. */
  readonly memory: Readonly<Record<string, number>>
  readonly cacheBytes: number
  /** Memory and swap together (v1), or swap alone (v2). */
  readonly swap: MemoryPool | null
  /** Nanoseconds by processor; v1 only. */
  readonly processors: readonly number[]
}

const number = (text: string | null) => (text === null || !/^\d+\s*$/.test(text) ? null : Number(text))
const limit = (text: string | null) => {
  const value = number(text)
  return value !== null && Number.isSafeInteger(value) ? value : null
}

/** `key value` lines: memory.rst, cgroup-v2.rst. */
const flatKeyed = (text: string | null): Record<string, number> =>
  Object.fromEntries([...(text ?? "").matchAll(/^(\w+) (\d+)$/gm)].map(([, key, value]) => [key, Number(value)]))

/** Reads all of it; what the kernel has no file for is empty, 0 or null. */
export function readDetailStats({ version, dirs }: CgroupHandle, io: CgroupIo): DetailStats {
  const isUnified = version === 2
  const read = (controller: string, file: string) => {
    const dir = isUnified ? dirs.unified : dirs[controller]
    return dir === undefined ? null : io.tryReadText(`${dir}/${file}`)
  }
  const memory = flatKeyed(read("memory", "memory.stat"))
  const pool = (usage: string, max: string, most: string, failures: string): MemoryPool | null => {
    const used = number(read("memory", usage))
    if (used === null) return null
    const failed = isUnified ? flatKeyed(read("memory", failures)).max : number(read("memory", failures))
    return {
      usage: used,
      max: number(read("memory", max)) ?? 0,
      limit: limit(read("memory", most)),
      failures: failed ?? 0,
    }
  }
  return {
    memory,
    cacheBytes: memory[isUnified ? "file" : "cache"] ?? 0,
    swap: isUnified
      ? pool("memory.swap.current", "memory.swap.peak", "memory.swap.max", "memory.swap.events")
      : pool(
          "memory.memsw.usage_in_bytes",
          "memory.memsw.max_usage_in_bytes",
          "memory.memsw.limit_in_bytes",
          "memory.memsw.failcnt",
        ),
    processors: (read("cpuacct", "cpuacct.usage_percpu") ?? "").split(/\s+/).filter(Boolean).map(Number),
  }
}
