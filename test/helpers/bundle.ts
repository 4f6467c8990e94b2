import { mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "./binary.ts"
import { cgroupParent } from "./own.ts"
import { makeRoot } from "./root.ts"
import { scratch, temporaryDirectory } from "./scratch.ts"

type Json = Record<string, unknown>

/** How a bundle differs from the usual one. */
export interface BundleOptions {
  args?: readonly string[]
  /** Fields of process, linux and the whole that take the place of the usual ones. */
  process?: Json
  linux?: Json
  config?: Json
  mounts?: readonly Json[]
}

const MOUNTS: readonly Json[] = [
  { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
  { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755"] },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
]
const CAPABILITIES = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE"]

/** By test file: they run in one process. */
const roots = new Map<string, string>()

/** The root file system that the bundles of a test file share. */
export function bundleRoot(): string {
  const root = roots.get(scratch()) ?? makeRoot()
  roots.set(scratch(), root)
  return root
}

/** The text of a config.json, as an engine might write it. */
export function bundleConfig(
  id: string,
  { args = ["true"], process, linux, config, mounts = [] }: BundleOptions,
): Json {
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args,
      env: ["PATH=/bin", "HOME=/root"],
      cwd: "/",
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      ...process,
    },
    root: { path: bundleRoot() },
    hostname: "bundle",
    mounts: [...MOUNTS, ...mounts],
    linux: {
      namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
      cgroupsPath: `/${cgroupParent()}/${id}`,
      maskedPaths: ["/proc/kcore"],
      readonlyPaths: ["/proc/sys"],
      ...linux,
    },
    ...config,
  }
}

/** How a command ended; what the container writes goes to the same files, also later. */
export interface OciResult {
  stdout: string
  stderr: string
  exitCode: number
  /** What is there by now. */
  later(): string
}

/** toybox as an OCI runtime with a directory of its own. */
export interface OciRuntime {
  root: string
  run(...words: string[]): OciResult
  /** With other ways to start it. */
  runWith(options: { stdin?: string; cwd?: string; env?: Record<string, string> }, ...words: string[]): OciResult
  /** Makes a bundle; returns its directory. */
  bundle(id: string, options?: BundleOptions): string
  state(id: string): Json
  /** What is left of its containers. */
  entries(): string[]
}

const LIMIT = 20

export function ociRuntime(): OciRuntime {
  const dir = temporaryDirectory("oci")
  const own = join(dir, "root")
  let calls = 0
  const runWith: OciRuntime["runWith"] = ({ stdin, cwd, env }, ...words) => {
    const files = ["out", "err"].map((name) => join(dir, `${calls}.${name}`))
    calls++
    const [out = -1, err = -1] = files.map((path) => openSync(path, "w"))
    // In files: a pipe would stay open as long as the container does.
    const { exitCode, signalCode } = Bun.spawnSync(
      ["timeout", "-k", "2", String(LIMIT), toyboxBinary(), "oci", "--root", own, ...words],
      {
        stdin: stdin === undefined ? null : new TextEncoder().encode(stdin),
        stdout: out,
        stderr: err,
        env: { ...process.env, ...env },
        ...(cwd === undefined ? {} : { cwd }),
      },
    )
    if (exitCode === 124 || signalCode) throw new Error(`oci ${words.join(" ")} did not end: ${signalCode}`)
    const read = (i: number) => readFileSync(files[i] ?? "", "utf8")
    return { stdout: read(0), stderr: read(1), exitCode, later: () => read(0) }
  }
  const run: OciRuntime["run"] = (...words) => runWith({}, ...words)
  return {
    root: own,
    run,
    runWith,
    bundle(id, options = {}) {
      const path = join(dir, `bundle-${id}-${calls++}`)
      mkdirSync(path)
      writeFileSync(join(path, "config.json"), JSON.stringify(bundleConfig(id, options)))
      return path
    },
    state: (id) => JSON.parse(run("state", id).stdout) as Json,
    entries: () => {
      try {
        return readdirSync(own)
      } catch {
        // Nothing was ever made.
        return []
      }
    },
  }
}
