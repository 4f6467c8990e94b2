import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs"
import { basename, join, relative } from "node:path"
import { toyboxBinary } from "./binary.ts"

/** What a machine has at one moment, each thing by a name that a human can read. */
export type Snapshot = Readonly<Record<Kind, ReadonlySet<string>>>

/** Where to look besides the machine itself. */
export interface LeakOptions {
  /** State directories whose subdirectories are compared as /run/toybox's are. */
  stateRoots?: readonly string[]
  /** What is found and may stay, such as a base image that was laid out. */
  ignore?: RegExp
  graceSeconds?: number
}

const KINDS = ["mount", "cgroup", "network namespace", "process", "link", "directory"] as const
type Kind = (typeof KINDS)[number]

const RUNTIME_DIRECTORY = "/run/toybox"
const DIRECTORY_DEPTH = 3
const GRACE = 3

/** The lines of a file, or none when it has gone. */
function lines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").filter(Boolean)
  } catch {
    // A process or a group that ended while it was being looked at.
    return []
  }
}

function mounts(): string[] {
  return lines("/proc/self/mountinfo").map((line) => {
    const fields = line.split(" ")
    const [type, source] = fields.slice(fields.indexOf("-") + 1)
    return `${fields[4]} (${type} ${source}, id ${fields[0]})`
  })
}

function subdirectories(dir: string, depth: number): string[] {
  if (depth === 0 || !existsSync(dir)) return []
  try {
    const names = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    return names.flatMap(({ name }) => [join(dir, name), ...subdirectories(join(dir, name), depth - 1)])
  } catch {
    return []
  }
}

function cgroups(): string[] {
  const roots = lines("/proc/self/mountinfo").flatMap((line) => {
    const fields = line.split(" ")
    const type = fields[fields.indexOf("-") + 1] ?? ""
    return type.startsWith("cgroup") ? [fields[4] ?? ""] : []
  })
  return roots.flatMap((root) => subdirectories(root, 16))
}

function pids(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name))
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** One line per process that is toybox, is its sealed second stage, or sits in one of its cgroups. */
function processes(binary: string | undefined): string[] {
  return pids().flatMap((pid) => {
    if (Number(pid) === process.pid) return []
    const stat = lines(`/proc/${pid}/stat`)[0] ?? ""
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]
    // Dead and waiting for an init that does not reap.
    if (state === undefined || (state === "Z" && parent === "1")) return []
    const exe = link(`/proc/${pid}/exe`) ?? ""
    const comm = lines(`/proc/${pid}/comm`)[0] ?? ""
    const groups = lines(`/proc/${pid}/cgroup`).join(" ")
    const ours = exe.replace(/ \(deleted\)$/, "") === binary || exe.startsWith("/memfd:toybox")
    if (!ours && !/toybox/.test(comm) && !/toybox/.test(groups)) return []
    return [`${pid} ${comm} (${exe || `state ${state}`}, started ${start})`]
  })
}

function networkNamespaces(): string[] {
  return pids().flatMap((pid) => link(`/proc/${pid}/ns/net`) ?? [])
}

/** Looks at the machine: mounts, cgroups, network namespaces, toybox's processes, links and state directories. */
export function snapshot(options: LeakOptions = {}): Snapshot {
  let binary: string | undefined
  try {
    binary = realpathSync(toyboxBinary())
  } catch {
    binary = undefined
  }
  const found: Record<Kind, string[]> = {
    mount: mounts(),
    cgroup: cgroups(),
    "network namespace": networkNamespaces(),
    process: processes(binary),
    link: existsSync("/sys/class/net") ? readdirSync("/sys/class/net") : [],
    directory: [RUNTIME_DIRECTORY, ...(options.stateRoots ?? [])].flatMap((dir) =>
      subdirectories(dir, DIRECTORY_DEPTH).map((path) => `${basename(dir)}: ${relative(dir, path)} (${path})`),
    ),
  }
  const set = (kind: Kind): [Kind, ReadonlySet<string>] => [kind, new Set(found[kind])]
  return Object.fromEntries(KINDS.map(set)) as Snapshot
}

function difference(before: Snapshot, after: Snapshot, ignore: RegExp | undefined): string[] {
  return KINDS.flatMap((kind) =>
    [...after[kind]]
      .filter((item) => !before[kind].has(item))
      .map((item) => `${kind} ${item}`)
      .filter((item) => ignore?.test(item) !== true),
  )
}

/**
 * What is there now and was not at `before`, in words; an empty list when all is clean. Some of it goes away by itself
 * a moment after toybox has ended (a killed process, a cgroup), so it looks again for up to `graceSeconds`.
 */
export async function leaks(before: Snapshot, options: LeakOptions = {}): Promise<string[]> {
  const end = performance.now() + (options.graceSeconds ?? GRACE) * 1000
  for (;;) {
    const found = difference(before, snapshot(options), options.ignore)
    if (found.length === 0 || performance.now() >= end) return found
    await Bun.sleep(50)
  }
}
