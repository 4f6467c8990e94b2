/** toybox run: the command line → a container request. */
import { isDirectory, readText, stat } from "../../../ffi/fs.ts"
import { isTerminal, windowSize } from "../../../ffi/tty.ts"
import { detectCgroups } from "../../cgroup/detect.ts"
import { cgroupPath } from "../../cgroup/path.ts"
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "../../container/detach-keys.ts"
import type { ContainerRequest } from "../../container/request.ts"
import { run } from "../../container/run.ts"
import { isAlive, readRecord, readRunning, resolveId } from "../../container/state.ts"
import { takeSignals } from "../../container/supervise.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { BASE, basePath, ensureBase } from "../../image/base.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import type { RunningContainer } from "../../spec/request.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { mountOptions, normalPath, shmSize } from "../flags/mounts.ts"
import { namespaceModes } from "../flags/namespaces.ts"
import { environment, signalNumber, ulimits } from "../flags/process.ts"
import { resourceOptions } from "../flags/resources.ts"
import { capabilities, devices, noNewPrivileges, sysctls } from "../flags/security.ts"
import { RUN_OPTIONS } from "./run-options.ts"

/** A root file system as typed → its directory on the host. */
function rootDirectory(image: string, paths: Paths): string {
  if (image === BASE) return basePath(paths.bases)
  const path = image.startsWith("/") ? image : `${process.cwd()}/${image}`
  const found = stat(path)
  if (!found) {
    throw new UsageError(`${image}: there is no such directory`, { hint: "give a directory that holds a root file system, or base" })
  }
  if (!isDirectory(found)) throw new UsageError(`${image} is not a directory`, { hint: "give a directory that holds a root file system, or base" })
  return normalPath(path)
}

const SHELL = /^(.*\/)?(sh|ash|bash|dash|zsh|ksh|fish|csh|tcsh)$/

/** Whether -t and -i are meant though not given: a terminal on both sides, and a bare shell to run. */
function wantsTerminal(argv: ParsedArgv, args: readonly string[]): { terminal: boolean; interactive: boolean } {
  const terminal = argv.booleans.get("tty")
  const interactive = argv.booleans.get("interactive")
  if (terminal !== undefined || interactive !== undefined) return { terminal: terminal ?? false, interactive: interactive ?? false }
  const [command = ""] = args
  const bare = SHELL.test(command) && args.slice(1).every((arg) => arg === "-l" || arg === "-i")
  const meant = bare && isTerminal(0) && isTerminal(1)
  return { terminal: meant, interactive: meant }
}

function labels(argv: ParsedArgv): Record<string, string> {
  const result: Record<string, string> = {}
  for (const text of argv.lists.get("label") ?? []) {
    const equals = text.indexOf("=")
    const key = equals < 0 ? text : text.slice(0, equals)
    if (key === "") throw new UsageError(`--label: "${text}" is no label (use KEY=VALUE)`)
    result[key] = equals < 0 ? "" : text.slice(equals + 1)
  }
  return result
}

function hostName(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  // sethostname(2): at most 64 bytes; what else a name may hold is hostname(7)'s.
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/.test(text)) {
    throw new UsageError(`${option}: "${text}" is not a host name (letters, digits, - and . , at most 64)`)
  }
  return text
}

function workingDirectory(text: string | undefined): string {
  if (text === undefined) return "/"
  if (!text.startsWith("/")) throw new UsageError(`--workdir: "${text}" must be an absolute path in the container`)
  return normalPath(text)
}

function oomScore(text: string | undefined): { oomScoreAdj?: number } {
  if (text === undefined) return {}
  const value = /^-?\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= -1000 && value <= 1000)) throw new UsageError(`--oom-score-adj: "${text}" is no score (use -1000 to 1000)`)
  return { oomScoreAdj: value }
}

function runningContainer(paths: Paths, reference: string): RunningContainer {
  const id = resolveId(paths, reference)
  const running = readRunning(paths, id)
  if (!running || !isAlive(running)) throw new ToyboxError(`container ${reference} is not running`)
  return { pid: running.pid, id, hostname: readRecord(paths, id)?.spec.hostname }
}

/** Reads the command line of `run`. Throws UsageError. */
export function readRequest(argv: ParsedArgv, paths: Paths): ContainerRequest {
  const [image = BASE, ...words] = argv.rest
  const entrypoint = argv.strings.get("entrypoint")
  const command = words.length > 0 || entrypoint ? words : ["/bin/sh"]
  const args = entrypoint ? [entrypoint, ...command] : command
  if (args[0] === "") throw new UsageError("the command is empty")
  const mountinfo = readText("/proc/self/mountinfo")
  const cgroups = detectCgroups("/sys/fs/cgroup", mountinfo)
  const namespaces = namespaceModes(argv, (reference) => runningContainer(paths, reference))
  const requested = resourceOptions(argv, cgroups.mode === "unified" ? 2 : 1)
  const { terminal, interactive } = wantsTerminal(argv, args)
  const size = terminal ? (windowSize(1) ?? windowSize(0)) : null
  const { strings, lists, booleans } = argv
  const hostname = hostName(argv.typed.get("hostname") ?? "--hostname", strings.get("hostname"))
  const domainname = hostName("--domainname", strings.get("domainname"))
  const parent = strings.get("cgroup-parent")
  if (hostname !== undefined && (namespaces.uts?.mode ?? "private") !== "private") {
    throw new UsageError("--hostname would change the UTS namespace that the container shares: leave out one of --hostname and --uts")
  }
  return {
    image,
    lower: rootDirectory(image, paths),
    name: strings.get("name"),
    autoRemove: booleans.get("rm") ?? false,
    interactive,
    init: booleans.get("init") ?? false,
    detachKeys: parseDetachKeys(strings.get("detach-keys") ?? DEFAULT_DETACH_KEYS),
    stopSignal: signalNumber("--stop-signal", strings.get("stop-signal") ?? "TERM"),
    cgroupParent: parent === undefined ? null : cgroupPath("--cgroup-parent", parent),
    cgroups,
    mountinfo,
    requested,
    cidfile: strings.get("cidfile"),
    quiet: booleans.get("quiet") ?? false,
    trace: booleans.get("trace") ?? false,
    process: {
      args,
      env: environment(argv),
      user: strings.get("user") ?? "0",
      groupAdd: lists.get("group-add") ?? [],
      workdir: workingDirectory(strings.get("workdir")),
      ...(hostname === undefined ? {} : { hostname }),
      ...(domainname === undefined ? {} : { domainname }),
      terminal,
      ...(size ? { consoleSize: size } : {}),
      rlimits: ulimits(argv),
      ...oomScore(strings.get("oom-score-adj")),
      capAdd: capabilities(argv, "cap-add"),
      capDrop: capabilities(argv, "cap-drop"),
      noNewPrivileges: noNewPrivileges(argv),
      privileged: booleans.get("privileged") ?? false,
      readonlyRoot: booleans.get("read-only") ?? false,
      mounts: mountOptions(argv),
      shmSize: shmSize(argv),
      devices: devices(argv),
      sysctl: sysctls(argv, namespaces),
      namespaces,
      resources: requested.resources,
      labels: labels(argv),
    },
  }
}

/** Runs the command; returns the exit code. */
export async function runCommand(words: readonly string[]): Promise<number> {
  const signalFd = takeSignals()
  const argv = parseArgv(words, RUN_OPTIONS)
  if (argv.booleans.get("help")) {
    const { printUsage } = await import("../usage.ts")
    return printUsage("run")
  }
  const paths = pathsFor(argv.strings.get("root") ?? process.env.TOYBOX_ROOT)
  const explain = argv.strings.get("explain")
  if (explain !== undefined) {
    const { explainRun } = await import("../../container/explain.ts")
    return explainRun(readRequest(argv, paths), paths, explain)
  }
  if (process.geteuid?.() !== 0) {
    throw new ToyboxError("toybox run needs root", { hint: "use sudo; running as an ordinary user comes with a later release" })
  }
  const request = readRequest(argv, paths)
  ensurePaths(paths)
  if (request.image === BASE) await ensureBase(paths.bases)
  return run(request, paths, signalFd)
}
