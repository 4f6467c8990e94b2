/** Every path of the host that toybox owns. */
import { isDirectory, mkdir, mkdirAll, stat } from "../ffi/fs.ts"
import { needsRoot, ToyboxError } from "./errors.ts"

export interface Paths {
  /** True after a reboot. */
  state: string
  /** While the machine is up. */
  run: string
  containers: string
  names: string
  bases: string
  running: string
  /** Sockets of the supervisors. */
  attach: string
  /** Networks, by name. */
  networks: string
  /** What of networks is of this boot: addresses in use, the lock. */
  networkRun: string
  volumes: string
  /** Unpacked layers by digest, and what is being unpacked. */
  layers: string
  /** Which layer an archive or address was unpacked to. */
  sources: string
}

const SYSTEM = { state: "/var/lib/toybox", run: "/run/toybox" }

/** The environment by which a toybox that this one starts has the same places: a root of its own is told, the system's is not. */
export const environmentOf = ({ state, run }: Paths): string[] => (run === SYSTEM.run ? [] : [`TOYBOX_ROOT=${state}`])

/** The places below `root`, or the system's where none is given, or an empty one, as by a variable that has no value. */
export function pathsFor(root: string | undefined): Paths {
  const given = root || undefined
  const absolute = given === undefined || given.startsWith("/") ? given : `${process.cwd()}/${given}`
  const state = absolute ?? SYSTEM.state
  const run = absolute === undefined ? SYSTEM.run : `${absolute}/run`
  return {
    state,
    run,
    containers: `${state}/containers`,
    names: `${state}/names`,
    bases: `${state}/base`,
    running: `${run}/running`,
    attach: `${run}/attach`,
    networks: `${state}/networks`,
    networkRun: `${run}/networks`,
    volumes: `${state}/volumes`,
    layers: `${state}/layers`,
    sources: `${state}/sources`,
  }
}

/** The machine's containers are root's. Throws ToyboxError. */
export function requireAccess({ run }: Paths): void {
  if (run === SYSTEM.run && process.geteuid?.() !== 0) throw needsRoot("toybox")
}

/** Makes the directories, closed to everybody else (CVE-2024-25621); refuses ones that others own or may enter. */
export function ensurePaths(paths: Paths): void {
  requireAccess(paths)
  const fresh = stat(paths.running) === null || stat(paths.names) === null
  for (const path of [paths.state, paths.run]) {
    if (fresh) {
      mkdirAll(path.slice(0, path.lastIndexOf("/")) || "/", 0o755)
      mkdir(path, 0o700)
    }
    const found = stat(path)
    if (!found || !isDirectory(found)) throw new ToyboxError(`the state directory ${path} is not a directory`)
    if (found.uid !== process.geteuid?.() || (found.mode & 0o077) !== 0) {
      throw new ToyboxError(
        `the state directory ${path} must belong to this user and be closed to others (mode 0700)`,
        {
          hint: `chown root ${path} && chmod 700 ${path}`,
        },
      )
    }
  }
  // Nothing is put into a directory that was refused.
  const { containers, names, bases, running, attach, networks, networkRun, volumes, layers, sources } = paths
  if (fresh)
    for (const path of [containers, names, bases, running, attach, networks, networkRun, volumes, layers, sources])
      mkdir(path, 0o700)
}
