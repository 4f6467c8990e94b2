/** What a cgroup has done with block devices and huge pages, device by device and size by size; and how often memory failed. */
import type { CgroupIo } from "./io.ts"
import type { CgroupHandle } from "./plan.ts"

/** One counter of one device. */
export interface BlockCounter {
  readonly major: number
  readonly minor: number
  /** Read, Write, and on v1 also Sync, Async, Discard and Total. */
  readonly op: string
  readonly value: number
}

export interface HugePages {
  readonly usageBytes: number
  /** v1 only. */
  readonly maxBytes: number
  /** How often the limit was met. */
  readonly failures: number
}

export interface DeviceStats {
  readonly ioBytes: readonly BlockCounter[]
  readonly ioOperations: readonly BlockCounter[]
  /** By the size as the kernel writes it: 2MB. */
  readonly hugePages: Readonly<Record<string, HugePages>>
  /** How often the memory limit was met. */
  readonly memoryFailures: number
}

/** `8:0 Read 123` lines, blkio-controller.rst; the sum over all devices has none and is left out. */
const blkioCounters = (text: string | null): BlockCounter[] =>
  [...(text ?? "").matchAll(/^(\d+):(\d+) (\w+) (\d+)$/gm)].map(([, major, minor, op = "", value]) => ({
    ...{ major: Number(major), minor: Number(minor), op, value: Number(value) },
  }))

/** `8:0 rbytes=1 wbytes=2 …` lines of io.stat, cgroup-v2.rst. */
const ioCounters = (text: string | null, keys: Readonly<Record<string, string>>): BlockCounter[] =>
  [...(text ?? "").matchAll(/^(\d+):(\d+) (.*)$/gm)].flatMap(([, major, minor, rest = ""]) =>
    [...rest.matchAll(/(\w+)=(\d+)/g)].flatMap(([, key = "", value]) => {
      const op = Object.hasOwn(keys, key) ? keys[key] : undefined
      return op === undefined ? [] : [{ major: Number(major), minor: Number(minor), op, value: Number(value) }]
    }),
  )

const number = (text: string | null) => (text === null ? 0 : Number(text.trim()))
const event = (text: string | null) => Number(/^max (\d+)$/m.exec(text ?? "")?.[1] ?? 0)

/** hugetlb.rst. Reservations count where the kernel knows them (5.7): what is reserved cannot be used by others. */
function readHugePages(dir: string | undefined, io: CgroupIo, isUnified: boolean): Record<string, HugePages> {
  if (dir === undefined || !io.exists(dir)) return {}
  const suffix = isUnified ? "current" : "usage_in_bytes"
  const found = io
    .listDir(dir)
    .flatMap((name) => new RegExp(`^hugetlb\\.(\\d+[KMG]B)\\.${suffix}$`).exec(name)?.[1] ?? [])
  const read = (name: string) => io.tryReadText(`${dir}/${name}`)
  return Object.fromEntries(
    found.map((size) => {
      const reserved = read(`hugetlb.${size}.rsvd.${suffix}`)
      const name = `hugetlb.${size}${reserved === null ? "" : ".rsvd"}`
      const pages: HugePages = {
        usageBytes: number(reserved ?? read(`${name}.${suffix}`)),
        maxBytes: isUnified ? 0 : number(read(`${name}.max_usage_in_bytes`)),
        failures: isUnified ? event(read(`hugetlb.${size}.events`)) : number(read(`${name}.failcnt`)),
      }
      return [size, pages]
    }),
  )
}

/** The first of the schedulers' and the throttle's files that has anything: which one counts depends on the kernel's scheduler. */
function readBlkio(dir: string | undefined, io: CgroupIo): Pick<DeviceStats, "ioBytes" | "ioOperations"> {
  const read = (name: string) => blkioCounters(dir === undefined ? null : io.tryReadText(`${dir}/blkio.${name}`))
  for (const group of ["bfq.", "", "throttle."]) {
    const ioOperations = read(`${group}io_serviced_recursive`)
    if (ioOperations.length > 0) return { ioOperations, ioBytes: read(`${group}io_service_bytes_recursive`) }
  }
  return { ioOperations: [], ioBytes: [] }
}

/** Reads all of it; what the kernel has no file for is empty or 0. */
export function readDeviceStats({ version, dirs }: CgroupHandle, io: CgroupIo): DeviceStats {
  const read = (dir: string | undefined, file: string) => (dir === undefined ? null : io.tryReadText(`${dir}/${file}`))
  if (version === 1) {
    return {
      ...readBlkio(dirs.blkio, io),
      hugePages: readHugePages(dirs.hugetlb, io, false),
      memoryFailures: number(read(dirs.memory, "memory.failcnt")),
    }
  }
  const dir = dirs.unified
  const stat = read(dir, "io.stat")
  return {
    ioBytes: ioCounters(stat, { rbytes: "Read", wbytes: "Write" }),
    ioOperations: ioCounters(stat, { rios: "Read", wios: "Write" }),
    hugePages: readHugePages(dir, io, true),
    memoryFailures: event(read(dir, "memory.events")),
  }
}
