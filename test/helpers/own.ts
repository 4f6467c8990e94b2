import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs"
import { basename, join } from "node:path"
import { toyboxBinary } from "./binary.ts"
import { hostMounts } from "./container.ts"
import { scratch } from "./scratch.ts"
import { stateRoot } from "./toybox.ts"

/** A cgroup that only containers of this test file are in: others run containers on this machine at the same time. */
export const cgroupParent = (): string => `toybox.slice/${basename(scratch())}`

/** Words of `toybox run` for a container in it. */
export const ownRun = (...words: string[]): string[] => ["run", "--cgroup-parent", cgroupParent(), ...words]

const GRACE = 3

const entries = (dir: string) => (existsSync(dir) ? readdirSync(dir) : [])

/** The directories of cgroup hierarchies, v1 and v2. */
export function hierarchies(): string[] {
  return hostMounts().flatMap(({ type, path }) => (type.startsWith("cgroup") ? [path] : []))
}

function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch {
    // A process that ended while it was being looked at.
    return otherwise
  }
}

function processes(): string[] {
  const binary = realpathSync(toyboxBinary())
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return []
    const read = (file: string) => attempt(() => readFileSync(`/proc/${pid}/${file}`, "latin1"), "")
    const isOurs =
      read("cgroup").includes(cgroupParent()) ||
      (attempt(() => readlinkSync(`/proc/${pid}/exe`), "") === binary &&
        read("environ").includes(`TOYBOX_ROOT=${stateRoot()}\0`))
    return isOurs ? [`process ${pid} ${read("cmdline").replaceAll("\0", " ")}`] : []
  })
}

function found(root: string): string[] {
  const state = ["containers", "names", "run/running"].flatMap((part) =>
    entries(join(root, part)).map((name) => `${part}/${name}`),
  )
  const halves = entries(join(root, "base")).filter((name) => name.endsWith(".new"))
  const cgroups = hierarchies().map((path) => join(path, cgroupParent()))
  const dir = scratch()
  const mounts = hostMounts().filter(({ path, data }) => path.startsWith(`${dir}/`) || data.includes(`${dir}/`))
  return [
    ...state,
    ...halves,
    ...cgroups.filter((path) => existsSync(path)).map((path) => `cgroup ${path}: ${entries(path).join(" ")}`),
    ...mounts.map(({ path, type }) => `mount ${path} (${type})`),
    ...processes(),
  ]
}

/**
 * What the containers of this test file have left: state, cgroups, mounts, processes (and with the last process of a
 * namespace goes the namespace); [] when all is clean. Some of it goes by itself a moment after toybox has ended, so it
 * looks again for up to three seconds.
 */
export async function ownLeftovers(options: { root?: string; ignore?: RegExp } = {}): Promise<string[]> {
  for (const end = performance.now() + GRACE * 1000; ; await Bun.sleep(20)) {
    const left = found(options.root ?? stateRoot()).filter((line) => !options.ignore?.test(line))
    if (left.length === 0 || performance.now() > end) return left
  }
}
