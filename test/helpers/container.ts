import { readFileSync } from "node:fs"
import { type ToyboxOptions, type ToyboxResult, toybox } from "./toybox.ts"

/** A container to run a script in. */
export interface Container extends ToyboxOptions {
  /** The root file system; the embedded one when not given. */
  image?: string
  /** Options of `toybox run`. */
  run?: readonly string[]
}

/** Runs `script` with the container's sh; `--rm` is given. */
export function sh(script: string, { image = "base", run = [], ...options }: Container = {}): Promise<ToyboxResult> {
  return toybox(["run", "--rm", ...run, image, "sh", "-c", script], options)
}

/** What `script` prints in a container. Throws unless it exits with 0 and nothing is said on standard error. */
export async function inside(script: string, container: Container = {}): Promise<string> {
  const { stdout, stderr, exitCode } = await sh(script, container)
  if (exitCode !== 0 || stderr !== "") throw new Error(`exit ${exitCode}\n${stderr}\n${stdout}`)
  return stdout.trimEnd()
}

/** One line of /proc/PID/mountinfo: proc_pid_mountinfo(5). */
export interface MountLine {
  root: string
  path: string
  /** Sorted, "rw" left out. */
  options: string
  /** "shared:1" and the like; empty for a private mount. */
  propagation: string
  type: string
  source: string
  /** Of the file system, e.g. "rw,size=65536k,mode=755". */
  data: string
}

/** Reads the text of a mountinfo file. */
export function parseMounts(text: string): MountLine[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [, , , root = "", path = "", options = "", ...rest] = line.split(" ")
      const dash = rest.indexOf("-")
      const [type = "", source = "", data = ""] = rest.slice(dash + 1)
      const kept = options.split(",").filter((word) => word !== "rw")
      return { root, path, options: kept.sort().join(), propagation: rest.slice(0, dash).join(" "), type, source, data }
    })
}

/** The mounts of the machine that the tests run on. */
export const hostMounts = (): MountLine[] => parseMounts(readFileSync("/proc/self/mountinfo", "utf8"))
