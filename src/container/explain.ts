/** --explain: what a run would do, from the same lists that a run carries out. */
import { call } from "../../ffi/call.ts"
import type { Call } from "../../ffi/calls.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { formatCall } from "../../ffi/format.ts"
import { exists, stat } from "../../ffi/fs.ts"
import { planCgroup } from "../cgroup/manager.ts"
import { shellForm } from "../cgroup/plan.ts"
import { UsageError } from "../errors.ts"
import { encodeChild, encodeSealed, encodeSteps } from "../launch/encode/index.ts"
import { print } from "../log.ts"
import type { Mount } from "../oci/runtime.ts"
import { overlayLayout, overlaySteps } from "../overlay/layout.ts"
import type { Paths } from "../paths.ts"
import { shellLines } from "../plan/describe.ts"
import { sealedSteps } from "../plan/identity.ts"
import { childSteps } from "../plan/index.ts"
import type { Step } from "../plan/steps.ts"
import { ownStandardFds } from "./caller-files.ts"
import { containerFiles, fileRequest, timeZoneMount } from "./files.ts"
import { effectiveHostname, gatherFacts, identify, makeSpec, openingFacts } from "./prepare.ts"
import type { ContainerRequest } from "./request.ts"
import { seccompFacts } from "./seccomp.ts"
import { containerPath, newId } from "./state.ts"
import { timeZoneFile } from "./time-zone.ts"

// Numbers that a run would get from the kernel; shown, never used.
const REPORT_FD = 10
const MEMFD = 11

/**
 * Prints the plan of a run as shell commands, or with `form` "calls" as libc calls, after the lines of what comes `before`.
 * `madeRoot` is a descriptor of the root where that is not there yet, but known. Changes nothing.
 */
export async function explainRun(
  request: ContainerRequest,
  paths: Paths,
  form: string,
  before: readonly string[],
  madeRoot: number | null = null,
): Promise<number> {
  if (form !== "" && form !== "shell" && form !== "calls") {
    throw new UsageError(`--explain: "${form}" is not known (use --explain, --explain=shell or --explain=calls)`)
  }
  const id = newId()
  const directory = containerPath(paths, id)
  const layout = overlayLayout(directory)
  const layers = [request.lower, ...request.below]
  // Nothing is mounted, so that users are looked up in the layer that has them.
  const people = layers.find((root) => exists(`${root}/etc/passwd`)) ?? request.lower
  // Of one that only a run makes nothing is known, but that it has root.
  const lower = exists(people) ? people : "/proc/self/fdinfo"
  const rootFd = madeRoot ?? call("openat", AT_FDCWD, lower, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
  const hostname = effectiveHostname(request, id)
  const network = request.networks.length === 0 ? null : await import("./explain-network.ts")
  const { endpoints, lines: networkLines } = (await network?.explainNetworks(request, paths, id)) ?? {
    endpoints: [],
    lines: [],
  }
  const shares = request.process.namespaces.network?.mode === "container"
  const { files } = shares
    ? { files: [] }
    : await containerFiles(fileRequest(request, { directory, hostname, networks: endpoints }))
  const host: Step[] = [
    { kind: "mkdir", path: directory, mode: 0o700 },
    ...request.volumes.flatMap(({ name }): Step[] =>
      exists(`${paths.volumes}/${name}`)
        ? []
        : [
            { kind: "mkdir", path: `${paths.volumes}/${name}`, mode: 0o700 },
            { kind: "mkdir", path: `${paths.volumes}/${name}/data`, mode: 0o755 },
          ],
    ),
    ...files.map(
      ([name, content]): Step => ({ kind: "create-file", path: `${directory}/${name}`, content, mode: 0o644 }),
    ),
  ]
  const { timeZone } = request.process
  if (timeZone !== undefined) {
    const { source, content } = timeZoneFile(timeZone)
    host.push({ kind: "create-file", path: timeZoneMount(directory).source, content, copyOf: source, mode: 0o644 })
  }
  const spec = makeSpec(request, id, directory)
  const { compat } = identify(request, id, spec, rootFd)
  const wish = {
    path: spec.linux.cgroupsPath,
    resources: spec.linux.resources,
    options: request.requested.options,
    defaults: request.requested.defaults,
  }
  const cgroup = planCgroup(request.cgroups, wish)
  const opening = openingFacts(spec, {
    stdio: request.process.terminal ? { socketFd: 13 } : ownStandardFds(),
    reportFd: REPORT_FD,
    traceFd: undefined,
    memfd: MEMFD,
    goFd: 15,
    cgroupFd: cgroup.join.into === null ? undefined : 14,
    rootSteps: overlaySteps(
      request.lower,
      layout,
      request.autoRemove,
      stat(request.lower),
      request.below.length === 0 ? null : { below: request.below, links: new Uint8Array() },
    ),
    awaitsNetwork: request.networks.length > 0,
    mountedRoot: undefined,
    listenerFd: undefined,
    passedFds: request.passedFds?.fds ?? [],
    madeMounts: undefined,
  })
  const isVolume = ({ source }: Mount) => source.startsWith(`${paths.volumes}/`)
  // Bind sources that only a run makes are files, or directories of volumes.
  const gathered = gatherFacts(
    request,
    { ...spec, mounts: spec.mounts.filter((mount) => !mount.source.startsWith(directory) && !isVolume(mount)) },
    directory,
    opening,
    cgroup,
  )
  const sources = new Map(gathered.sources)
  for (const { source } of spec.mounts.filter(isVolume)) sources.set(source, { directory: true })
  const facts = { ...gathered, sources }
  const filter = await seccompFacts(request, spec, { id, pid: 0, compat, listenerFd: undefined })
  const whole = { host, child: childSteps(spec, facts), sealed: sealedSteps(spec, { ...facts, ...filter }) }
  const lines =
    form === "calls"
      ? callLines(
          [
            encodeSteps(whole.host, { report: REPORT_FD, free: [0, 1, 2] }),
            encodeChild(whole.child, REPORT_FD),
            encodeSealed(whole.sealed, REPORT_FD, [REPORT_FD]),
          ],
          cgroup.steps.map(shellForm),
          networkLines,
        )
      : shellScript(whole, cgroup.steps.map(shellForm), networkLines, layout.merged)
  print([...before, ...lines])
  return 0
}

function shellScript(
  whole: Record<"host" | "child" | "sealed", readonly Step[]>,
  cgroup: readonly string[],
  network: readonly string[],
  root: string,
): string[] {
  const lines = (steps: readonly Step[]) => steps.flatMap((step) => shellLines(step, { root }))
  return [
    "# The host, before",
    ...lines(whole.host),
    ...cgroup,
    "",
    "# The container's process",
    ...lines(whole.child),
    "",
    ...network,
    "# The sealed second stage",
    ...lines(whole.sealed),
  ]
}

function callLines(
  [host = [], child = [], sealed = []]: readonly (readonly Call[])[],
  cgroup: readonly string[],
  network: readonly string[],
): string[] {
  return [
    "# The host, before",
    ...host.map(formatCall),
    ...cgroup,
    "",
    "# Stage one, libc: the parent makes the clone, the child goes on",
    ...child.map(formatCall),
    "",
    ...network,
    "# Stage two, system calls of the sealed program",
    ...sealed.map(formatCall),
  ]
}
