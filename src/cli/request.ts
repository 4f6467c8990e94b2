/** The command line of `run` → a container request. */
import { callResult, scratch } from "../../ffi/call.ts"
import { F_GETFD } from "../../ffi/constants/fcntl.ts"
import { RLIMIT_NAMES } from "../../ffi/constants/resource.ts"
import { exists, isDirectory, readText, stat } from "../../ffi/fs.ts"
import { isTerminal, windowSize } from "../../ffi/tty.ts"
import { detectCgroups } from "../cgroup/detect.ts"
import type { RequestedResources } from "../cgroup/flags.ts"
import { cgroupPath } from "../cgroup/path.ts"
import { idFileExists } from "../container/bring-up.ts"
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "../container/detach-keys.ts"
import type { HealthCheck } from "../container/health.ts"
import { DEFAULT_LOG } from "../container/log-files.ts"
import type { Detached, LogLimits } from "../container/log-limits.ts"
import type { ContainerRequest } from "../container/request.ts"
import { plainName } from "../container/state.ts"
import { ToyboxError, UsageError } from "../errors.ts"
import { BASE } from "../image/base.ts"
import type { Healthcheck } from "../image/config.ts"
import type { ArchiveSource } from "../image/source.ts"
import { DEFAULT_NETWORK, usualNetwork } from "../network/default.ts"
import type { Rlimit } from "../oci/runtime.ts"
import type { Paths } from "../paths.ts"
import { DEFAULT_NOFILE } from "../spec/defaults.ts"
import type { ParsedArgv } from "./argv.ts"
import { noRareOptions, type RareOptions } from "./flags/none.ts"
import { normalPath } from "./flags/path.ts"
import { resourceOptions } from "./flags/resources.ts"
import { chooseRoot } from "./root.ts"

/** A container request, and what it still lacks: a root that has to be fetched or unpacked (then `lower` is empty). */
export interface RunCommandRequest extends ContainerRequest {
  archive: ArchiveSource | null
  /** An image, of the store or a registry: then what its config says is still to come, too. */
  fromStore: boolean
  /** What its supervisor is asked for, should it have one. */
  wishes: Detached
}

const SHELLS = new Set(["sh", "ash", "bash", "dash", "zsh", "ksh", "fish", "csh", "tcsh"])

/** Whether -t and -i are meant though not given: a terminal on both sides, and a bare shell to run. */
export function wantsTerminal(argv: ParsedArgv, args: readonly string[]): { terminal: boolean; interactive: boolean } {
  const terminal = argv.booleans.get("tty")
  const interactive = argv.booleans.get("interactive")
  if (terminal !== undefined || interactive !== undefined || argv.lists.has("attach"))
    return { terminal: terminal ?? false, interactive: interactive ?? false }
  if (argv.booleans.get("detach")) return { terminal: false, interactive: false }
  const [command = ""] = args
  const bare =
    SHELLS.has(command.slice(command.lastIndexOf("/") + 1)) &&
    args.slice(1).every((arg) => arg === "-l" || arg === "-i")
  const meant = bare && isTerminal(0) && isTerminal(1)
  return { terminal: meant, interactive: meant }
}

export function workingDirectory(text: string | undefined): string {
  if (text === undefined) return "/"
  if (!text.startsWith("/")) throw new UsageError(`--workdir: "${text}" must be an absolute path in the container`)
  return normalPath(text)
}

/** Options that need nothing of flags/rare.ts. */
const COMMON = new Set(
  "cpu cpus cpu-shares cpu-weight cpuset cpuset-mems mem memory-reservation swap memory-swap pids io-weight blkio-weight device-read-bps device-write-bps device-read-iops device-write-iops cgroup-parent user workdir entrypoint init tty interactive detach-keys read-only name replace detach restart rm cidfile result-fd checksum pull ca platform arch variant os insecure tls-verify quiet explain trace help root debug".split(
    " ",
  ),
)

/** This process's hard limit: getrlimit(2). Infinity where there is none. */
export function hardLimit(resource: number): number {
  if (callResult("prlimit64", 0, resource, null, scratch.address) < 0) return Number.POSITIVE_INFINITY
  const hard = scratch.word(8)
  return hard < 0 || hard >= Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : hard
}

// What the making of a usual container takes, and a few mounts.
const LEAST_NOFILE = 128

/** Bun has raised its own soft limit on descriptors; the command gets the usual one: getrlimit(2). */
export function defaultRlimits(): Rlimit[] {
  const hard = hardLimit(RLIMIT_NAMES.indexOf("RLIMIT_NOFILE"))
  if (hard < LEAST_NOFILE)
    throw new ToyboxError(`toybox may have ${hard} files open, and needs ${LEAST_NOFILE}`, { hint: "raise ulimit -Hn" })
  return [{ type: "RLIMIT_NOFILE", soft: Math.min(DEFAULT_NOFILE, hard), hard }]
}

/** Whether nothing is asked for that needs the files of rarely used options. */
function isUsual({ typed }: ParsedArgv): boolean {
  let usual = ["none", DEFAULT_NETWORK].includes(usualNetwork())
  for (const name of typed.keys()) usual &&= COMMON.has(name)
  return usual
}

async function readRare(argv: ParsedArgv, paths: Paths, usual: boolean): Promise<RareOptions> {
  const limits = defaultRlimits()
  return usual ? noRareOptions(limits) : (await import("./flags/rare.ts")).rareOptions(argv, paths, limits)
}

async function readLimits(argv: ParsedArgv, version: 1 | 2, usual: boolean): Promise<RequestedResources> {
  const asked = resourceOptions(argv, version)
  return usual ? asked : (await import("./flags/rare-limits.ts")).withRareLimits(argv, asked, version)
}

/** The number of a descriptor that the caller has opened for us. */
function resultFd(text: string | undefined, detached: boolean): number | null {
  if (text === undefined) return null
  if (detached)
    throw new UsageError("--result-fd does not go with --detach", { hint: "toybox wait NAME, then toybox why NAME" })
  const fd = /^\d{1,6}$/.test(text) ? Number(text) : -1
  if (fd < 1 || callResult("fcntl", fd, F_GETFD) < 0)
    throw new UsageError(`--result-fd: ${text} is not the number of an open file`, {
      hint: "run --result-fd 3 … 3>FILE",
    })
  return fd
}

/** --rmi leaves nothing of the container, either. */
const removesItself = (booleans: ParsedArgv["booleans"]): boolean => booleans.get("rm") ?? booleans.get("rmi") ?? false

/** --timeout: seconds; 0 is any time, as podman has it. Throws UsageError. */
function timeoutOption({ strings }: ParsedArgv): { timeout?: number } {
  const text = strings.get("timeout")
  if (text === undefined) return {}
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`--timeout: "${text}" is no number of seconds (0: without end)`)
  return Number(text) === 0 ? {} : { timeout: Number(text) }
}

/** Where the id is to be written: told before anything is fetched or made, if it cannot be. */
function idFile(path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  if (path !== "" && exists(path)) throw idFileExists(path)
  const directory = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : "."
  if (path === "" || !isDirectory(stat(directory)))
    throw new UsageError(`--cidfile: "${path}": there is no such directory`)
  return path
}

async function readLog(argv: ParsedArgv): Promise<LogLimits | null> {
  if (!argv.typed.has("log-driver") && !argv.typed.has("log-opt")) return DEFAULT_LOG
  return (await import("./flags/log.ts")).logLimits(argv)
}

/** What is asked of its health, over what the image does. Throws UsageError. */
export async function readHealthOptions(argv: ParsedArgv, image: Healthcheck): Promise<{ health?: HealthCheck }> {
  let asked = false
  for (const name of argv.typed.keys()) asked ||= name.startsWith("health-") || name === "no-healthcheck"
  if (!asked && image.Test === undefined) return {}
  return (await import("./flags/health.ts")).healthOption(argv, image)
}

/** Those that lead out of a terminal; they are checked also where there is none. Throws UsageError. */
export const detachKeysOf = ({ strings }: ParsedArgv, terminal: boolean): number[] =>
  terminal || strings.has("detach-keys") ? parseDetachKeys(strings.get("detach-keys") ?? DEFAULT_DETACH_KEYS) : []

/**
 * What is asked of a supervisor; null where none is needed. In the foreground one is for who can detach, who types at a terminal
 * of his own, and for what looks after the container's health, or its time.
 */
export function supervised(
  { booleans, typed }: ParsedArgv,
  { terminal, interactive }: { terminal: boolean; interactive: boolean },
  detachKeys: readonly number[],
  wishes: Detached,
): Detached | null {
  if (booleans.get("detach")) return wishes
  const detachable = terminal && interactive && detachKeys.length > 0 && isTerminal(0)
  const alone = ["trace", "result-fd", "preserve-fds"].find((name) => typed.has(name) && booleans.get(name) !== false)
  const goesOn = booleans.get("sig-proxy") === false ? "--sig-proxy=false" : null
  const needed = wishes.health !== undefined ? "a health check" : wishes.timeout !== undefined ? "--timeout" : goesOn
  if (alone !== undefined && needed !== null)
    throw new UsageError(`--${alone} does not go with ${needed}, which needs a supervisor`)
  return alone === undefined && (detachable || needed !== null) ? wishes : null
}

/** What needs this process. */
function refuseWithDetach(booleans: ParsedArgv["booleans"]): void {
  if (booleans.get("detach") && booleans.get("trace")) throw new UsageError("--trace does not go with --detach")
}

/** Reads the command line of `run`. Throws UsageError. */
export async function readRequest(argv: ParsedArgv, paths: Paths): Promise<RunCommandRequest> {
  const [word = BASE, ...words] = argv.rest
  const { strings, booleans } = argv
  const entrypoint = strings.get("entrypoint")
  const command = words.length > 0 || entrypoint ? words : ["/bin/sh"]
  const args = entrypoint ? [entrypoint, ...command] : command
  if (args[0] === "") throw new UsageError("the command is empty")
  refuseWithDetach(booleans)
  const usual = isUsual(argv)
  const rare = await readRare(argv, paths, usual)
  const mountinfo = readText("/proc/self/mountinfo")
  const cgroups = detectCgroups("/sys/fs/cgroup", mountinfo)
  const requested = await readLimits(argv, cgroups.mode === "unified" ? 2 : 1, usual)
  const { terminal, interactive } = wantsTerminal(argv, args)
  const size = terminal ? (windowSize(1) ?? windowSize(0)) : null
  const detachKeys = detachKeysOf(argv, terminal)
  const parent = strings.get("cgroup-parent")
  const log = await readLog(argv)
  const restart = strings.has("restart") ? (await import("./flags/restart.ts")).restartPolicy(argv) : {}
  const health = await readHealthOptions(argv, {})
  const name = strings.get("name")
  const wishes = { log, ...restart, ...health, ...timeoutOption(argv) }
  // Last, because all that can be wrong otherwise should be told before gigabytes are fetched.
  const { image, lower, archive, fromStore } = await chooseRoot(argv, word, paths)
  if (booleans.get("rmi") && !fromStore) throw new UsageError(`--rmi is for images, which ${image} is not`)
  return {
    image,
    lower: lower ?? "",
    below: [],
    archive,
    fromStore,
    name: name === undefined ? undefined : plainName(name),
    autoRemove: removesItself(booleans),
    interactive,
    init: booleans.get("init") ?? false,
    detachKeys,
    stopSignal: rare.stopSignal,
    ...(rare.stopSeconds === undefined ? {} : { stopSeconds: rare.stopSeconds }),
    names: rare.names,
    networks: rare.networks,
    ports: rare.ports,
    exposed: rare.exposed,
    volumes: rare.volumes,
    commandLine: null,
    obtainedMs: 0,
    resultFd: resultFd(strings.get("result-fd"), booleans.get("detach") ?? false),
    cgroupParent: parent === undefined ? null : cgroupPath("--cgroup-parent", parent),
    cgroups,
    mountinfo,
    requested,
    cidfile: idFile(strings.get("cidfile")),
    ...rare.others,
    wishes,
    detached: supervised(argv, { terminal, interactive }, detachKeys, wishes),
    foreground: !booleans.get("detach"),
    quiet: booleans.get("quiet") ?? false,
    trace: booleans.get("trace") ?? false,
    entrypoint: entrypoint ? 1 : 0,
    process: {
      ...rare.process,
      args,
      user: strings.get("user") ?? "0",
      workdir: workingDirectory(strings.get("workdir")),
      terminal,
      ...(size ? { consoleSize: size } : {}),
      readonlyRoot: booleans.get("read-only") ?? false,
      resources: requested.resources,
    },
  }
}
