/** What the doctor (doctor.ts) looks at, and what it says. */
import type { Cgroups } from "../cgroup/detect.ts"
import type { Obstacles } from "../network/firewall/obstacles.ts"

export interface Check {
  /** Stable, for scripts and for errors that name it. */
  name: string
  /** "missing": no container runs; "limited": something does not work. */
  state: "ok" | "limited" | "missing"
  found: string
  /** What the lack costs. */
  cost?: string
  /** A command for a shell. */
  mend?: string
  /** The same as a write to a file, where that is safe: it loosens nothing and lasts until the next boot. */
  write?: { path: string; value: string }
}

export interface StateDirectory {
  path: string
  readOnly: boolean
  /** Bytes and files that can still be written; null where a file system has no limit of files. */
  free: number
  inodes: number | null
}

/** What is asked of the machine; tests put another in its place. */
export interface Machine {
  read(path: string): string | null
  exists(path: string): boolean
  list(path: string): string[]
  /** Whether it is on a read-only mount. */
  isReadOnly(path: string): boolean
  cgroups: Cgroups
  isRoot: boolean
  /** clone3(2) is the kernel's answer, not that of a filter around toybox. */
  clones: boolean
  /** Null: not known. */
  nfTables: boolean | null
  /** What firewalls of others do to networks, by name; of one that might be made where there is none. Null: only root may look. */
  obstacles: readonly (Obstacles & { name: string })[] | null
  /** What somebody has removed of networks; null as above. */
  broken: readonly string[] | null
  /** Milliseconds since 1970. */
  now: number
  /** What the state directory has, null where there is none yet, or it may not be looked at. */
  state: StateDirectory | null
}

/** One look at a machine. */
export type Rule = (machine: Machine) => Check

export const ok = (name: string, found: string): Check => ({ name, state: "ok", found })
