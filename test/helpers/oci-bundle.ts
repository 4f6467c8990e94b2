import { writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { DEFAULT_CAPABILITIES, defaultMounts, MASKED_PATHS, READONLY_PATHS } from "../../src/spec/defaults.ts"
import { makeRoot } from "./root.ts"
import { scratch, temporaryDirectory } from "./scratch.ts"
import { type ToyboxOptions, type ToyboxResult, toybox } from "./toybox.ts"

/** A config.json as engines write it, to be changed. */
// biome-ignore lint/suspicious/noExplicitAny: tests also write what no type allows.
export type Config = any

/** By the directory of the test file: bun runs them all in one process. */
const roots = new Map<string, string>()

/** The root of all bundles of a test file, made once. */
export function sharedRoot(): string {
  const root = roots.get(scratch()) ?? makeRoot()
  roots.set(scratch(), root)
  return root
}

let count = 0

/** A valid configuration that runs `script`, with the usual mounts and namespaces. */
export function config(script: string, rootPath = "rootfs"): Config {
  const set = [...DEFAULT_CAPABILITIES]
  return {
    ociVersion: "1.2.0",
    root: { path: rootPath },
    process: {
      args: ["/bin/sh", "-c", script],
      cwd: "/",
      env: ["PATH=/bin:/sbin"],
      user: { uid: 0, gid: 0 },
      capabilities: { bounding: set, effective: set, permitted: set },
    },
    mounts: defaultMounts(1 << 20, true, false),
    linux: {
      namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
      maskedPaths: [...MASKED_PATHS],
      readonlyPaths: [...READONLY_PATHS],
    },
  }
}

/** Writes a bundle and runs it; the container is deleted by the run. */
export async function runConfig(
  value: Config,
  rootPath = sharedRoot(),
  options: ToyboxOptions = {},
): Promise<ToyboxResult> {
  const bundle = temporaryDirectory("bundle")
  const id = `${basename(scratch())}-${count++}`
  if (value.root?.path === "rootfs") value.root.path = rootPath
  if (value.linux && value.linux.cgroupsPath === undefined)
    value.linux.cgroupsPath = `/toybox.slice/${basename(scratch())}/${id}`
  writeFileSync(join(bundle, "config.json"), JSON.stringify(value))
  return toybox(["oci", "--root", join(scratch(), "oci"), "run", "--bundle", bundle, id], options)
}

/** What `script` prints in a container whose configuration `change` has changed. Throws unless all is well. */
export async function insideBundle(
  script: string,
  change: (config: Config) => void = () => {},
  rootPath = sharedRoot(),
): Promise<string> {
  const value = config(script, rootPath)
  change(value)
  const { stdout, stderr, exitCode } = await runConfig(value, rootPath)
  if (exitCode !== 0 || stderr !== "") throw new Error(`exit ${exitCode}\n${stderr}\n${stdout}`)
  return stdout.trimEnd()
}

/** The message of a configuration that is refused. */
export async function refusal(change: (config: Config) => void): Promise<string> {
  const value = config("echo it ran")
  change(value)
  const { stdout, stderr, exitCode } = await runConfig(value)
  if (exitCode === 0 || stdout !== "") throw new Error(`not refused: ${stdout}`)
  return stderr
}

/** A container that waits while `use` runs commands in it, by the words of `oci exec` before its name. */
export async function withRunning(
  use: (exec: (...words: string[]) => Promise<string>) => Promise<void>,
): Promise<void> {
  const bundle = temporaryDirectory("bundle")
  const id = `${basename(scratch())}-${count++}`
  const value = config("exec sleep 60 </dev/null >/dev/null 2>&1", sharedRoot())
  value.root.path = sharedRoot()
  value.linux.cgroupsPath = `/toybox.slice/${basename(scratch())}/${id}`
  writeFileSync(join(bundle, "config.json"), JSON.stringify(value))
  const oci = (...words: string[]) => toybox(["oci", "--root", join(scratch(), "oci"), ...words])
  const { exitCode, stderr } = await oci("run", "--detach", "--bundle", bundle, id)
  if (exitCode !== 0) throw new Error(stderr)
  try {
    await use(async (...words) => {
      const result = await oci("exec", ...words, id)
      if (result.exitCode !== 0) throw new Error(result.stderr)
      return result.stdout.trimEnd()
    })
  } finally {
    await oci("delete", "--force", id)
  }
}
