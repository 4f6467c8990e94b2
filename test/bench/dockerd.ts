/** docker, with a daemon of its own. */
import { join } from "node:path"
import type { Namespace } from "../helpers/network.ts"
import { attempt, type Contender } from "./measure.ts"

/** What the daemon does after the exit of its client: about 100 ms. */
const SETTLE = 250
const START_SECONDS = 30

export interface Dockerd {
  /** `docker run` of `/bin/true` in a network, as in the others with limits. */
  run(network: string): Contender
  stop(): Promise<void>
}

/** Starts a daemon in a network namespace, with an image of `root`. What it said where that fails. */
export async function startDockerd(workspace: string, root: string, host: Namespace): Promise<Dockerd | string> {
  if (Bun.which("dockerd") === null || Bun.which("docker") === null) return "not installed"
  const dir = join(workspace, "dockerd")
  const socket = `unix://${join(dir, "socket")}`
  const own = ["--data-root", join(dir, "data"), "--exec-root", join(dir, "exec"), "--pidfile", join(dir, "pid")]
  const daemon = Bun.spawn(host.within("dockerd", ...own, "--host", socket), {
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(join(workspace, "dockerd.log")),
  })
  const stop = async () => {
    daemon.kill("SIGTERM")
    await Promise.race([daemon.exited, Bun.sleep(20_000)])
    daemon.kill("SIGKILL")
  }
  const client = (...words: string[]) => ["docker", "--host", socket, ...words]
  const load = ["sh", "-c", `tar -C ${root} -c . | ${client("import", "-", "bench").join(" ")}`]
  let failure = attempt({ name: "docker import", cmd: load })
  for (const end = Date.now() + START_SECONDS * 1000; failure !== undefined && Date.now() < end; ) {
    await Bun.sleep(200)
    failure = attempt({ name: "docker import", cmd: load })
  }
  if (failure !== undefined) {
    await stop()
    return failure
  }
  const limits = ["--cpus", "0.5", "--memory", "500m", "--pids-limit", "4096"]
  return {
    run: (network) => ({
      name: `docker ${network}`,
      cmd: client("run", "--rm", "--network", network, ...limits, "bench", "/bin/true"),
      settle: SETTLE,
    }),
    stop,
  }
}
