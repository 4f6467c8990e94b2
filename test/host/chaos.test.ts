/**
 * Random commands from several processes at once, some of them and some supervisors killed at random moments: nothing is lost,
 * nothing leaks, and what is told is true. TOYBOX_CHAOS_SECONDS has it go on for longer, TOYBOX_CHAOS_SEED chooses the commands.
 */
import { afterAll, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { cgroupParent, ownLeftovers } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { stateRoot } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const SECONDS = Number(process.env.TOYBOX_CHAOS_SECONDS ?? 12)
const SEED = Number(process.env.TOYBOX_CHAOS_SEED ?? Math.floor(Math.random() * 1e9))
const WORKERS = 4
const NAMES = ["alpha", "beta", "gamma", "delta"]
/** Made once, and never removed. */
const KEPT = ["kept-one", "kept-two", "kept-three"]
/** No command takes longer, on however slow a machine. */
const LIMIT = 60_000
/** What a programme says that has lost its way. */
const BROKEN =
  /TypeError|ReferenceError|SyntaxError|RangeError|JSON Parse|is not an object|is not a function|\bat <anonymous>/

/** Mulberry32: the same numbers for the same seed. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Done {
  words: readonly string[]
  exitCode: number | null
  stdout: string
  stderr: string
  /** It was killed before its end. */
  killed: boolean
}

/** Runs one command; with `killAfter` it is killed after so many milliseconds, unless it has ended. */
async function toybox(words: readonly string[], killAfter: number | null = null): Promise<Done> {
  const child = Bun.spawn([toyboxBinary(), ...words], {
    env: { ...process.env, TOYBOX_ROOT: stateRoot() },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  let killed = false
  const kill = () => {
    killed = true
    child.kill("SIGKILL")
  }
  const timers = [setTimeout(kill, LIMIT), ...(killAfter === null ? [] : [setTimeout(kill, killAfter)])]
  const output = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  const start = performance.now()
  const exitCode = await child.exited
  for (const timer of timers) clearTimeout(timer)
  if (killed && killAfter === null) throw new Error(`${words.join(" ")} did not end in ${performance.now() - start} ms`)
  const [stdout, stderr] = await output
  return { words, exitCode, stdout, stderr, killed }
}

const command = (script: string) => ["base", "sh", "-c", script]
const PATIENT = command("trap 'exit 5' TERM; while :; do echo line; sleep 0.05; done")
const BRIEF = command("echo brief; exit 3")

/** The words of a random command. */
function choose(random: () => number): string[] {
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const name = one(NAMES)
  const any = one([...NAMES, ...KEPT])
  const parent = ["--cgroup-parent", cgroupParent()]
  const limits = one([[], ["--mem", "64M"], ["--cpu", "50%"], ["-v", "/data"], ["-v", "shared:/data"]])
  return one([
    () => ["run", "-d", ...parent, ...limits, "--name", name, ...one([PATIENT, BRIEF])],
    () => ["run", "-d", "--rm", ...parent, ...limits, "--name", name, ...one([PATIENT, BRIEF])],
    () => ["run", "-d", "--restart", "on-failure:3", ...parent, "--name", name, ...BRIEF],
    () => ["run", "-d", "--health-cmd", "true", "--health-interval", "50ms", ...parent, "--name", name, ...PATIENT],
    () => ["run", "--rm", ...parent, ...limits, ...BRIEF],
    () => ["run", "--replace", "-d", ...parent, "--name", name, ...PATIENT],
    () => ["run", "--name", name, ...parent, ...limits, ...BRIEF],
    () => ["create", ...parent, ...limits, "--name", name, ...one([PATIENT, BRIEF])],
    () => ["start", any],
    () => ["restart", "--time", "0", any],
    () => ["stop", "--time", one(["0", "1"]), any],
    () => ["kill", "--signal", one(["KILL", "TERM", "USR1"]), any],
    () => ["pause", any],
    () => ["unpause", any],
    () => ["exec", any, "true"],
    () => ["exec", "-d", any, "sleep", "0.2"],
    () => ["rename", name, one(NAMES)],
    () => ["update", "--pids", "200", any],
    () => ["cp", `${any}:/etc/passwd`, "-"],
    () => ["logs", "--tail", "3", any],
    () => ["inspect", any],
    () => ["ps", "-a"],
    () => ["stats", "--no-stream"],
    () => ["rm", "--force", "--volumes", name],
    () => ["rm", "--volumes", name],
    () => ["volume", "prune", "--force"],
    () => ["df"],
  ])()
}

function supervisors(): number[] {
  const running = join(stateRoot(), "run/running")
  return readdirSync(running).flatMap((id) => {
    try {
      return JSON.parse(readFileSync(join(running, id), "utf8")).supervisor?.pid ?? []
    } catch {
      return [] // Just ended.
    }
  })
}

async function worker(number: number, until: number, broken: Done[]): Promise<number> {
  const random = randomNumbers(SEED + number)
  let count = 0
  for (; performance.now() < until; count++) {
    if (random() < 0.04) {
      const pids = supervisors()
      const pid = pids[Math.floor(random() * pids.length)]
      if (pid !== undefined) {
        try {
          process.kill(pid, "SIGKILL")
        } catch {
          // It has ended by itself.
        }
      }
    }
    const done = await toybox(choose(random), random() < 0.25 ? Math.floor(random() * 120) : null)
    if (BROKEN.test(done.stderr)) broken.push(done)
  }
  return count
}

interface Listed {
  id: string
  name: string
  status: string
  command: string
  pid?: number
}

async function list(): Promise<Listed[]> {
  const { exitCode, stdout, stderr } = await toybox(["ps", "-a", "--json"])
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" })
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

/** Waits until what is on its way has come to rest: restarts, ends, signals, supervisors that were killed. */
async function settled(): Promise<Listed[]> {
  const states = (containers: readonly Listed[]) => containers.map(({ id, status, pid }) => `${id} ${status} ${pid}`)
  let before: Listed[] = []
  for (const end = performance.now() + 30_000; ; await Bun.sleep(200)) {
    const containers = await list()
    const moving = containers.filter(
      ({ status, command }) => status === "restarting" || (status === "running" && command.includes("brief")),
    )
    const running = readdirSync(join(stateRoot(), "run/running"))
    const up = containers.filter(({ status }) => status === "running" || status === "paused")
    const isQuiet = Bun.deepEquals(states(containers), states(before))
    if (isQuiet && moving.length === 0 && running.length === up.length) return containers
    if (performance.now() > end) throw new Error(`not settled: ${JSON.stringify(containers)} ${running.join(" ")}`)
    before = containers
  }
}

const processOf = (pid: number | undefined) => pid !== undefined && pid > 0 && existsSync(`/proc/${pid}`)

if (isRoot)
  afterAll(async () => {
    await toybox(["rm", "--all", "--force", "--volumes"])
  })

test.skipIf(!isRoot)(
  "chaos",
  async () => {
    console.log(`chaos: TOYBOX_CHAOS_SEED=${SEED}`)
    for (const name of KEPT) {
      const { exitCode, stderr } = await toybox([
        "run",
        "-d",
        "--cgroup-parent",
        cgroupParent(),
        "--name",
        name,
        ...PATIENT,
      ])
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" })
    }
    const broken: Done[] = []
    const until = performance.now() + SECONDS * 1000
    const counts = await Promise.all(Array.from({ length: WORKERS }, (_, i) => worker(i, until, broken)))
    console.log(`chaos: ${counts.reduce((sum, count) => sum + count, 0)} commands`)
    expect(broken).toEqual([])

    // Nothing is lost, and every state can be read and is true.
    const containers = await settled()
    expect(containers.map(({ name }) => name)).toEqual(expect.arrayContaining(KEPT))
    expect(new Set(containers.map(({ name }) => name)).size).toBe(containers.length)
    for (const { id, status, pid } of containers) {
      const { exitCode, stdout } = await toybox(["inspect", id])
      expect(exitCode).toBe(0)
      const [{ State }] = JSON.parse(stdout)
      expect({ id, status: State.Status }).toEqual({ id, status })
      expect({ id, status, alive: processOf(pid) }).toEqual({
        id,
        status,
        alive: status === "running" || status === "paused",
      })
    }
    const ids = containers.map(({ id }) => id).sort()
    expect(readdirSync(join(stateRoot(), "containers")).sort()).toEqual(ids)
    expect(readdirSync(join(stateRoot(), "names")).sort()).toEqual(containers.map(({ name }) => name).sort())

    // Each can still be used, and nothing of them is left when they are removed.
    for (const name of KEPT) {
      await toybox(["unpause", name])
      await toybox(["start", name])
      const { exitCode, stdout, stderr } = await toybox(["exec", name, "echo", "here"])
      expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: "here\n", stderr: "" })
    }
    const removed = await toybox(["rm", "--all", "--force", "--volumes"])
    expect({ exitCode: removed.exitCode, stderr: removed.stderr }).toEqual({ exitCode: 0, stderr: "" })
    expect((await toybox(["volume", "prune", "--all", "--force"])).exitCode).toBe(0)
    for (const directory of ["containers", "names", "run/running", "run/attach", "volumes"])
      expect({ directory, left: readdirSync(join(stateRoot(), directory)) }).toEqual({ directory, left: [] })
    expect(await ownLeftovers()).toEqual([])
  },
  (SECONDS + 150) * 1000,
)
