import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { benchCgroup } from "./workspace.ts"

/** What is done before every measured start, so that each finds the machine in the same state. */
export type Settle = () => Promise<void>

/** Waits: every start finds a machine that has been idle. */
export function idle(milliseconds: number): Settle {
  return () => Bun.sleep(milliseconds)
}

/**
 * Moves a sleeping process from one cgroup to another. The first move after an idle time waits for an RCU grace period
 * (cgroup_threadgroup_rwsem), here 10 to 20 ms; the ones right after it do not. Without this, whoever happened to start
 * after a peer that is slow, or not using cgroups, would pay that for the others.
 */
export function recentlyUsed(workspace: string): { settle: Settle; stop: () => void } {
  const tree = existsSync("/sys/fs/cgroup/cgroup.controllers") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/freezer"
  const groups = ["warm-a", "warm-b"].map((name) => join(tree, benchCgroup(workspace), name))
  for (const group of groups) mkdirSync(group, { recursive: true })
  const sleeper = Bun.spawn(["sleep", "3600"], { stdin: "ignore", stdout: "ignore", stderr: "ignore" })
  const settle = async () => {
    for (const group of groups) writeFileSync(join(group, "cgroup.procs"), String(sleeper.pid))
  }
  return { settle, stop: () => sleeper.kill("SIGKILL") }
}
