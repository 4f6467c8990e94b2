import { existsSync, mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { makeBundle } from "./bundle.ts"
import { LIMITS, TOYBOX_LIMITS } from "./limits.ts"
import { attempt, type Contender } from "./measure.ts"
import { benchCgroup } from "./workspace.ts"

/** A peer that takes part, or the reason why it does not. */
export type Peer = { contender: Contender; note: string } | { skipped: string; name: string }

/** toybox on a directory root with the limits of the bench, with a state directory of its own. */
export function toyboxRun(
  root: string,
  state: string,
  name = "toybox",
  flags: readonly string[] = ["--rm"],
): Contender {
  return {
    name,
    cmd: [toyboxBinary(), "run", ...flags, ...TOYBOX_LIMITS, root, "/bin/true"],
    env: { TOYBOX_ROOT: state },
  }
}

/** The exit of podman's monitor starts a second podman that cleans up, docker's daemon does the same: about 100 ms. */
const SETTLE = 250

/** A bundle of the bench for an OCI runtime, whose cgroup is by its name. */
export function benchBundle(name: string, workspace: string, root: string): string {
  const cgroupsPath = `/${benchCgroup(workspace)}/${name}`
  const swapAccounting =
    existsSync("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes") || existsSync("/sys/fs/cgroup/cgroup.controllers")
  return makeBundle(join(workspace, name, "bundle"), root, cgroupsPath, swapAccounting)
}

function ociRuntime(name: string, workspace: string, root: string): Contender {
  const bundle = benchBundle(name, workspace, root)
  return { name, cmd: [name, "--root", join(workspace, name, "state"), "run", "--bundle", bundle, `bench-${name}`] }
}

function bubblewrap(root: string): Contender {
  const flags = ["--unshare-all", "--die-with-parent", "--bind", root, "/", "--proc", "/proc", "--dev", "/dev"]
  const cmd = ["bwrap", ...flags, "--ro-bind", "/sys", "/sys", "--tmpfs", "/run", "/bin/true"]
  return { name: "bubblewrap", cmd }
}

/** podman with its own OCI runtime, or with another. */
function podman(workspace: string, root: string, runtime?: string): Contender {
  const dir = join(workspace, "podman")
  mkdirSync(dir, { recursive: true })
  const store = ["--root", join(dir, "root"), "--runroot", join(dir, "run"), "--tmpdir", join(dir, "tmp")]
  const limits = ["--cpus", String(LIMITS.cpuQuota / LIMITS.cpuPeriod), "--memory", String(LIMITS.memory)]
    .concat(["--pids-limit", String(LIMITS.pids), "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"])
    .concat(["--cgroup-parent", `/${benchCgroup(workspace)}`])
  const engine = ["podman", ...store, "--cgroup-manager", "cgroupfs", ...(runtime ? ["--runtime", runtime] : [])]
  const cmd = [...engine, "run", "--rm", "--network", "none", ...limits]
  return { name: "podman", cmd: [...cmd, "--rootfs", `${root}:O`, "/bin/true"], settle: SETTLE }
}

function docker(workspace: string, root: string): Contender | string {
  const daemon = Bun.spawnSync(["timeout", "-k", "2", "10", "docker", "version", "--format", "{{.Server.Version}}"])
  if (daemon.exitCode !== 0) return "no daemon answers"
  const image = `${benchCgroup(workspace)}:latest`
  const load = `tar -C ${root} -c . | timeout -k 2 60 docker import - ${image}`
  if (Bun.spawnSync(["sh", "-c", load], { stdout: "ignore" }).exitCode !== 0) return "docker import failed"
  const limits = ["--cpus", "0.5", "--memory", String(LIMITS.memory), "--pids-limit", String(LIMITS.pids)]
  return {
    name: "docker",
    cmd: ["docker", "run", "--rm", "--network", "none", ...limits, image, "/bin/true"],
    settle: SETTLE,
  }
}

/** podman with crun, and with toybox in its place. */
export function podmanRuntimes(workspace: string, root: string): [Contender, Contender] | string {
  const crun = Bun.which("crun")
  if (crun === null || Bun.which("podman") === null) return "podman and crun are needed"
  const link = join(workspace, "toybox-oci")
  symlinkSync(toyboxBinary(), link)
  const pair: [Contender, Contender] = [
    { ...podman(workspace, root, crun), name: "podman with crun" },
    { ...podman(workspace, root, link), name: "podman with toybox" },
  ]
  return pair.map(attempt).find((said) => said !== undefined) ?? pair
}

/** Removes what docker keeps outside the workspace. */
export function removeDockerImage(workspace: string): void {
  if (Bun.which("docker") === null) return
  const image = `${benchCgroup(workspace)}:latest`
  Bun.spawnSync(["timeout", "-k", "2", "30", "docker", "image", "rm", "-f", image], {
    stdout: "ignore",
    stderr: "ignore",
  })
}

/** Every peer of the issue, each tried once before it is let into the measurement. */
export function findPeers(workspace: string, root: string): Peer[] {
  const makers: [string, string, () => Contender | string, string][] = [
    ["toybox", "", () => toyboxRun(root, join(workspace, "toybox")), "overlay, limits"],
    ["crun", "crun", () => ociRuntime("crun", workspace, root), "same mounts and limits, no overlay"],
    ["runc", "runc", () => ociRuntime("runc", workspace, root), "same mounts and limits, no overlay"],
    ["bubblewrap", "bwrap", () => bubblewrap(root), "no limits, no overlay"],
    ["podman", "podman", () => podman(workspace, root), "overlay, limits, no network"],
    ["docker", "docker", () => docker(workspace, root), "overlay, limits, no network"],
  ]
  return makers.map(([name, program, make, note]) => {
    if (program !== "" && Bun.which(program) === null) return { name, skipped: "not installed" }
    try {
      const contender = make()
      if (typeof contender === "string") return { name, skipped: contender }
      const failure = attempt(contender)
      return failure === undefined ? { contender, note } : { name, skipped: failure }
    } catch (error) {
      return { name, skipped: error instanceof Error ? error.message : String(error) }
    }
  })
}
