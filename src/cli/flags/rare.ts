/** The options that most runs do without: read, and their modules loaded, only where one of them is given. */
import { SIGTERM } from "../../../ffi/constants/signal.ts"
import { recoverDead } from "../../container/dead.ts"
import { lookUpRunning } from "../../container/running.ts"
import { timeZoneFile } from "../../container/time-zone.ts"
import { UsageError } from "../../errors.ts"
import { nameOptions } from "../../network/names.ts"
import type { Rlimit } from "../../oci/runtime.ts"
import type { Paths } from "../../paths.ts"
import type { RunningContainer } from "../../spec/request.ts"
import type { ParsedArgv } from "../argv.ts"
import { labelsOf } from "../labels.ts"
import { mountOptions, shmSize } from "./mounts.ts"
import { namespaceModes } from "./namespaces.ts"
import { networkMode } from "./networks.ts"
import type { RareOptions } from "./none.ts"
import { exposedPorts, portWish } from "./ports.ts"
import {
  callerVariables,
  environment,
  linesOf,
  seconds,
  signalNumber,
  ulimits,
  umaskOption,
  unsetOptions,
} from "./process.ts"
import { seccomp } from "./seccomp.ts"
import { capabilities, deviceRules, devices, noNewPrivileges, sysctls } from "./security.ts"
import { sessionOptions } from "./session.ts"

function hostName(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  // sethostname(2): at most 64 bytes; what else a name may hold is hostname(7)'s.
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/.test(text)) {
    throw new UsageError(`${option}: "${text}" is not a host name (letters, digits, - and . , at most 64)`)
  }
  return text
}

function oomScore(text: string | undefined): { oomScoreAdj?: number } {
  if (text === undefined) return {}
  const value = /^-?\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= -1000 && value <= 1000))
    throw new UsageError(`--oom-score-adj: "${text}" is no score (use -1000 to 1000)`)
  return { oomScoreAdj: value }
}

function runningContainer(paths: Paths, reference: string): RunningContainer {
  const {
    id,
    running,
    record: { spec },
  } = lookUpRunning(paths, reference)
  // Any of them tells: the image's may have stayed in the place of one.
  const own = spec.mounts.find(
    ({ destination, source }) =>
      /^\/etc\/(hosts|hostname|resolv\.conf)$/.test(destination) && source.startsWith(`${paths.containers}/`),
  )
  return { pid: running.pid, id, hostname: spec.hostname, files: own?.source.slice(0, own.source.lastIndexOf("/")) }
}

/** --label-file: docker's, as --env-file, but that nothing comes from the caller. */
const fileLabels = (paths: readonly string[]): Record<string, string> =>
  Object.assign({}, ...paths.map((path) => fileOfLabels(path)))

function fileOfLabels(path: string): Record<string, string> {
  const lines = linesOf("--label-file", path)
  const blank = lines.find(({ line }) => /\s/.test(line.split("=", 1)[0] ?? ""))
  if (blank) throw new UsageError(`${blank.where}: a label's name has no blanks`)
  return labelsOf(
    lines.map(({ line }) => line),
    "--label-file",
  )
}

function timeZone(zone: string | undefined): { timeZone?: string } {
  if (zone === undefined) return {}
  timeZoneFile(zone)
  return { timeZone: zone }
}

/** --userns: there is one answer, and that is every container's. Throws UsageError. */
function checkUserNamespace(text: string | undefined): void {
  if (text === undefined || text === "" || text === "host") return
  throw new UsageError(`--userns: "${text}" is not possible: containers of toybox have the machine's user ids`, {
    hint: "leave it out, or use --userns host",
  })
}

const mayName = ({ strings, lists }: ParsedArgv, prefix: string) =>
  [...strings.values(), ...[...lists.values()].flat()].some((text) => text.includes(prefix))

/** Reads them; what is not given is as in noRareOptions. Throws UsageError. */
export async function rareOptions(argv: ParsedArgv, paths: Paths, limits: readonly Rlimit[]): Promise<RareOptions> {
  const { strings, lists, booleans, typed } = argv
  const running = (reference: string) => runningContainer(paths, reference)
  if (mayName(argv, "container:")) await recoverDead(paths)
  const { mode, networks } = networkMode(argv, running)
  const namespaces = { ...namespaceModes(argv, running), ...(mode.mode === "private" ? {} : { network: mode }) }
  const hostname = hostName(typed.get("hostname") ?? "--hostname", strings.get("hostname"))
  const domainname = hostName("--domainname", strings.get("domainname"))
  if (hostname !== undefined && (namespaces.uts?.mode ?? "private") !== "private") {
    throw new UsageError(
      "--hostname would change the UTS namespace that the container shares: leave out one of --hostname and --uts",
    )
  }
  const ofNetwork = ["hostname", "domainname", "add-host", "dns", "dns-search", "dns-opt"].find((name) =>
    typed.has(name),
  )
  if (mode.mode === "container" && ofNetwork !== undefined)
    throw new UsageError(
      `--${ofNetwork} does not go with --net container:ID: names, and servers that know them, are those of that container`,
    )
  checkUserNamespace(strings.get("userns"))
  const stopSignal = strings.get("stop-signal")
  const stopTimeout = strings.get("stop-timeout")
  const { mounts, volumes } = mountOptions(argv, paths)
  return {
    stopSignal: stopSignal === undefined ? SIGTERM : signalNumber("--stop-signal", stopSignal),
    ...(stopTimeout === undefined ? {} : { stopSeconds: seconds("--stop-timeout", stopTimeout) }),
    names: nameOptions(lists, booleans.get("no-hosts")),
    networks,
    ports: portWish(argv, { mode: mode.mode, hasNetwork: networks.length > 0 }),
    exposed: exposedPorts(argv),
    volumes,
    others: sessionOptions(argv),
    process: {
      env: [...callerVariables(argv), ...environment(argv)],
      groupAdd: lists.get("group-add") ?? [],
      ...(hostname === undefined ? {} : { hostname }),
      ...(domainname === undefined ? {} : { domainname }),
      rlimits: ulimits(argv, limits),
      ...oomScore(strings.get("oom-score-adj")),
      capAdd: capabilities(argv, "cap-add"),
      capDrop: capabilities(argv, "cap-drop"),
      noNewPrivileges: noNewPrivileges(argv),
      seccomp: seccomp(argv),
      privileged: booleans.get("privileged") ?? false,
      mounts,
      shmSize: shmSize(argv),
      devices: devices(argv),
      ...(lists.has("device-cgroup-rule") ? { deviceRules: deviceRules(argv) } : {}),
      sysctl: sysctls(argv, namespaces),
      namespaces,
      ...umaskOption(strings.get("umask")),
      ...unsetOptions(argv),
      ...timeZone(strings.get("tz")),
      labels: { ...fileLabels(lists.get("label-file") ?? []), ...labelsOf(lists.get("label") ?? []) },
      ...(lists.has("annotation") ? { annotations: labelsOf(lists.get("annotation") ?? [], "--annotation") } : {}),
    },
  }
}
