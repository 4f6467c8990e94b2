/** How fast a detached container may write lines of 100 bytes, beside podman's monitor with the same format and rotation. */
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { makeRoot } from "../helpers/root.ts"
import { benchCgroup } from "./workspace.ts"

const LINE = 100
const MEGABYTES = 600
/** Megabytes a second at least, and times what podman does. */
const LEAST = 300
const TIMES = 1.5
const ROTATION = ["--log-driver", "k8s-file", "--log-opt", "max-size=10mb"]
// What starts the container does not count: only how long the writer is kept.
const SCRIPT = ": > /io/begin; cat /io/lines /io/lines /io/lines; : > /io/end"

interface Writer {
  name: string
  program: readonly string[]
  env: Record<string, string>
}

function writers(workspace: string, io: string, root: string): Writer[] {
  const env = { PATH: process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root", TOYBOX_NETWORK: "none" }
  const run = ["run", "-d", "--name", "writer", ...ROTATION, "-v", `${io}:/io`]
  const toybox = {
    name: "toybox",
    program: [toyboxBinary(), ...run, root],
    env: { ...env, TOYBOX_ROOT: join(workspace, "logs-state") },
  }
  if (Bun.which("podman") === null) return [toybox]
  const dir = join(workspace, "podman-logs")
  const store = ["--root", join(dir, "root"), "--runroot", join(dir, "run"), "--tmpdir", join(dir, "tmp")]
  const limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
  const place = [...limits, "--network", "none", "--cgroup-parent", `/${benchCgroup(workspace)}`]
  mkdirSync(dir, { recursive: true })
  const podman = ["podman", ...store, "--cgroup-manager", "cgroupfs"]
  return [toybox, { name: "podman", program: [...podman, ...run, ...place, "--rootfs", `${root}:O`], env }]
}

function call(cmd: readonly string[], env: Record<string, string>): void {
  const { exitCode, stderr } = Bun.spawnSync(["timeout", "-k", "2", "120", ...cmd], { env, stdin: "ignore" })
  if (exitCode !== 0) throw new Error(`${cmd.slice(0, 6).join(" ")}: ${stderr}`)
}

/** Megabytes a second of one writer. */
function once({ program, env }: Writer, io: string): number {
  const base = program.slice(0, program.indexOf("run"))
  call([...program, "sh", "-c", SCRIPT], env)
  call([...base, "wait", "writer"], env)
  call([...base, "rm", "writer"], env)
  const [begin, end] = ["begin", "end"].map((name) => statSync(join(io, name)).mtimeMs / 1000)
  return MEGABYTES / ((end ?? 0) - (begin ?? 0))
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0

/** Prints the figures; true where a target was missed. */
export function logs(workspace: string, rounds: number): boolean {
  const io = join(workspace, "logs-io")
  mkdirSync(io, { recursive: true })
  const line = `${"0123456789".repeat(10).slice(0, LINE - 1)}\n`
  writeFileSync(join(io, "lines"), line.repeat((MEGABYTES * 1e6) / 3 / LINE))
  const found = writers(workspace, io, makeRoot({ dir: join(workspace, "logs-root") }))
  const speeds = found.map(() => [] as number[])
  for (let round = 0; round < rounds; round++) {
    found.forEach((writer, i) => {
      speeds[i]?.push(once(writer, io))
    })
  }
  rmSync(io, { recursive: true })
  console.log(`\nlogs: ${MEGABYTES} MB in lines of ${LINE} bytes, k8s-file, 10 MB files, ${rounds} interleaved rounds`)
  found.forEach(({ name }, i) => {
    console.log(`${name}: ${Math.round(median(speeds[i] ?? []))} MB/s`)
  })
  const [own = 0, peer] = speeds.map(median)
  const over = own < LEAST || (peer !== undefined && own < peer * TIMES)
  const beside = peer === undefined ? "podman is not installed" : `${(own / peer).toFixed(1)} × podman, target ${TIMES}`
  console.log(`target: ${LEAST} MB/s; ${beside}${over ? ": MISSED" : ""}`)
  return over
}
