import { join } from "node:path"
import { parseArgs } from "node:util"
import { detached } from "./detached.ts"
import { isIsolated, isolate } from "./isolate.ts"
import { logs } from "./logs.ts"
import { attempt, measure } from "./measure.ts"
import { network } from "./network.ts"
import { oci } from "./oci.ts"
import { findPeers, podmanRuntimes, removeDockerImage, toyboxRun } from "./peers.ts"
import { pull } from "./pull.ts"
import { CACHED_TARGET, ENGINE_TARGET, growth, table, targets } from "./report.ts"
import { idle, recentlyUsed, type Settle } from "./settle.ts"
import { unpack } from "./unpack.ts"
import { makeBenchRoot, makeWorkspace, mountNewFilesystem, removeWorkspace } from "./workspace.ts"

const KEPT_CONTAINERS = 1000
const BIG_ROOT_FILES = 13_000

/** How often each contender is started, and what is done before each start. */
interface Method {
  rounds: number
  settle: Settle
  /** The method in words, for the heading. */
  label: string
}

/** A part of the bench: prints its figures and tells whether a target was missed. */
type Scenario = (workspace: string, method: Method) => Promise<boolean>

/** `/bin/true` in toybox and in every peer. */
const peers: Scenario = async (workspace, method) => {
  const found = findPeers(workspace, makeBenchRoot(join(workspace, "root")))
  const contenders = found.flatMap((peer) => ("contender" in peer ? [peer.contender] : []))
  const notes = Object.fromEntries(
    found.flatMap((peer) => ("contender" in peer ? [[peer.contender.name, peer.note]] : [])),
  )
  const plain = { name: "no container", cmd: ["/bin/true"] }
  const timings = await measure([...contenders, plain], method)
  console.log(`\npeers: /bin/true, start to exit, ${method.label}`)
  console.log(table(timings, "toybox", notes))
  for (const peer of found) if ("skipped" in peer) console.log(`${peer.name}: skipped: ${peer.skipped}`)
  const { lines, over } = targets(timings)
  for (const line of lines) console.log(line)
  return over
}

/** The cost of one run beside a state directory full of stopped containers. */
const kept: Scenario = async (workspace, method) => {
  const root = makeBenchRoot(join(workspace, "kept-root"))
  const full = join(workspace, "full")
  const filler = toyboxRun(root, full, "filler", [])
  for (let i = 0; i < KEPT_CONTAINERS; i++) {
    if (i % 50 === 0) await Bun.sleep(0)
    const failure = attempt(filler)
    if (failure !== undefined) throw new Error(`container ${i} of ${KEPT_CONTAINERS}: ${failure}`)
  }
  const names = ["empty", `${KEPT_CONTAINERS} kept`] as const
  const contenders = [toyboxRun(root, join(workspace, "empty"), names[0]), toyboxRun(root, full, names[1])]
  return compare(`kept: ${KEPT_CONTAINERS} stopped containers in the state directory`, contenders, method)
}

/** The cost of one run on a root of many files. */
const bigroot: Scenario = async (workspace, method) => {
  const state = join(workspace, "bigroot-state")
  const small = toyboxRun(makeBenchRoot(join(workspace, "small")), state, "small root")
  const big = toyboxRun(makeBenchRoot(join(workspace, "big"), BIG_ROOT_FILES), state, `${BIG_ROOT_FILES} files`)
  return compare(`bigroot: a root of ${BIG_ROOT_FILES} files`, [small, big], method)
}

/** The cost of one run on an archive that is in the cache, beside its directory. */
const archive: Scenario = async (workspace, method) => {
  const state = join(workspace, "archive-state")
  const root = makeBenchRoot(join(workspace, "archive-root"))
  const path = join(workspace, "root.tar")
  const { exitCode, stderr } = Bun.spawnSync(["tar", "-C", root, "-cf", path, "."])
  if (exitCode !== 0) throw new Error(`tar: ${stderr}`)
  const contenders = [toyboxRun(root, state, "directory"), toyboxRun(path, state, "cached archive")]
  const failure = contenders.map(attempt).find((said) => said !== undefined)
  if (failure !== undefined) throw new Error(failure)
  return compare("archive: a root from a cached archive", contenders, method, CACHED_TARGET)
}

/** What toybox costs an engine that calls it in place of crun. */
const engine: Scenario = async (workspace, method) => {
  const pair = podmanRuntimes(workspace, makeBenchRoot(join(workspace, "engine-root")))
  if (typeof pair !== "string") return compare("engine: podman run", pair, method, ENGINE_TARGET)
  console.log(`\nengine: skipped: ${pair}`)
  return false
}

async function compare(
  title: string,
  contenders: Parameters<typeof measure>[0],
  method: Method,
  target?: number,
): Promise<boolean> {
  const [base, grown] = await measure(contenders, method)
  if (base === undefined || grown === undefined) throw new Error(`${title}: nothing measured`)
  const { line, over } = growth(grown, base, target)
  console.log(`\n${title}, ${method.label}\n${table([base, grown], base.name, {})}\n${line}`)
  return over
}

const LOG_ROUNDS = 5
const UNPACK_ROUNDS = 5

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  peers,
  kept,
  bigroot,
  archive,
  engine,
  oci,
  logs: async (workspace, { rounds }) => logs(workspace, Math.min(rounds, LOG_ROUNDS)),
  detached,
  network,
  pull: async (workspace, { rounds }) => pull(workspace, Math.min(rounds, UNPACK_ROUNDS)),
  unpack: async (workspace, { rounds }) => unpack(workspace, Math.min(rounds, UNPACK_ROUNDS)),
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "60" },
      pause: { type: "string" },
      scenario: { type: "string", multiple: true, default: Object.keys(SCENARIOS) },
      check: { type: "boolean", default: false },
    },
  })
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds}: a whole number is needed`)
  const pause = values.pause === undefined ? undefined : Number(values.pause)
  if (pause !== undefined && !(pause >= 0)) throw new Error(`--pause ${values.pause}: milliseconds are needed`)
  const unknown = values.scenario.find((name) => SCENARIOS[name] === undefined)
  if (unknown !== undefined) throw new Error(`--scenario ${unknown}: one of ${Object.keys(SCENARIOS).join(", ")}`)
  if (!isIsolated()) return withWorkspace((workspace) => isolate(workspace))
  const workspace = process.env.TOYBOX_BENCH_WORKSPACE ?? ""
  mountNewFilesystem(workspace)
  const { settle, stop } = pause === undefined ? recentlyUsed(workspace) : { settle: idle(pause), stop: () => {} }
  const state = pause === undefined ? "cgroups recently used" : `${pause} ms idle before each start`
  const method = { rounds, settle, label: `${rounds} interleaved rounds, ${state}` }
  let over = false
  for (const name of values.scenario) {
    try {
      over = ((await SCENARIOS[name]?.(workspace, method)) ?? false) || over
    } catch (error) {
      over = true
      console.log(`\n${name}: failed: ${error instanceof Error ? error.message : error}`)
    }
  }
  stop()
  return values.check && over ? 1 : 0
}

async function withWorkspace(run: (workspace: string) => Promise<number>): Promise<number> {
  const workspace = makeWorkspace()
  try {
    return await run(workspace)
  } finally {
    removeDockerImage(workspace)
    removeWorkspace(workspace)
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 2
}
