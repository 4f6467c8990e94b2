import { readFileSync } from "node:fs"

const UNIFIED = "/sys/fs/cgroup/unified"
const MARK = "TOYBOX_BENCH_WORKSPACE"

// crun refuses the hybrid layout. An empty tmpfs in the place of the v2 tree: /sys/fs/cgroup itself is one filesystem
// shared with the host, and what a peer made in the bare directory would stay there.
const ENTER = `if grep -q ' ${UNIFIED} .* - cgroup2 ' /proc/self/mountinfo
then umount ${UNIFIED} && mount -t tmpfs -o mode=755 tmpfs ${UNIFIED} || exit 1
fi
exec "$@"`

/** Whether this process is the one that measures, in a mount namespace of its own. */
export function isIsolated(): boolean {
  return process.env[MARK] !== undefined
}

/**
 * Runs the bench again in a private mount namespace, so that no mount of any peer reaches the host or outlives the
 * run, and waits for it. Signals end the inner process; the caller cleans up after both.
 */
export async function isolate(workspace: string): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error("needs root")
  const hybrid = readFileSync("/proc/self/mountinfo", "utf8").includes(` ${UNIFIED} `)
  if (hybrid) console.log("hybrid cgroup layout: hidden from all peers alike, who see cgroup v1")
  const inner = Bun.spawn(
    ["unshare", "-m", "--propagation", "private", "sh", "-c", ENTER, "sh", process.execPath, ...process.argv.slice(1)],
    { env: { ...process.env, [MARK]: workspace }, stdin: "ignore", stdout: "inherit", stderr: "inherit" },
  )
  let signal = 0
  const stop = (number: number) => () => {
    signal = number
    inner.kill("SIGKILL")
  }
  process.on("SIGINT", stop(2))
  process.on("SIGTERM", stop(15))
  process.on("SIGHUP", stop(1))
  const code = await inner.exited
  return signal === 0 ? code : 128 + signal
}
