/** A container as docker inspect shows one: the fields of docker's that there is something to say in. */

import { type HealthCheck, imageHealthcheck, UNKNOWN_HEALTH } from "../container/health.ts"
import { readHealth } from "../container/health-file.ts"
import { isUp, summaryOf } from "../container/list.ts"
import { logPath } from "../container/log-files.ts"
import { bytesBelow, writtenBytes } from "../container/observe/size.ts"
import { signalName } from "../container/signal-name.ts"
import { containerPath, readRecord, readResult, readRunning } from "../container/state.ts"
import { readStored } from "../container/stored-request.ts"
import { ToyboxError } from "../errors.ts"
import type { Mount } from "../oci/runtime.ts"
import { copyOf } from "../overlay/copied.ts"
import { overlayLayout } from "../overlay/layout.ts"
import type { Paths } from "../paths.ts"
import type { UsesVolumes } from "../volume/volume.ts"
import { listOrNull, mapOrNull, NEVER, omitEmpty } from "./go-values.ts"
import { givenOptions, givenStreams, givenTmpfs, givenUser } from "./inspect-given.ts"
import { hostConfig } from "./inspect-host-config.ts"
import { exposedOf, networkSettings } from "./inspect-network.ts"
import { isGiven, volumeAt } from "./volume-fields.ts"

const isPropagation = (option: string): boolean => /^r?(private|shared|slave)$/.test(option)

function mountPoint({ type, source, destination, options }: Mount, record: UsesVolumes) {
  const Name = volumeAt(record, destination)
  const isReadOnly = options.includes("ro") || options.includes("rro")
  const mount = {
    Type: Name === undefined ? (type === "tmpfs" ? "tmpfs" : "bind") : "volume",
    ...(Name === undefined ? {} : { Name, Driver: "local" }),
    Source: type === "tmpfs" ? "" : source,
    Destination: destination,
    Mode: isReadOnly ? "ro" : "",
    RW: !isReadOnly,
    // Of the volume and the tmpfs there is nothing to propagate.
    Propagation: Name === undefined && type !== "tmpfs" ? (options.find(isPropagation) ?? "rprivate") : "",
  }
  return omitEmpty(mount, { Name: "", Driver: "" })
}

/** How the root came to be: "vfs" is a copy of the layers, which is all that there is. */
function graphDriver(directory: string, layers: readonly string[]) {
  const copy = copyOf(directory)
  if (copy !== null) return { Name: "vfs", Data: { UpperDir: copy } }
  const { upper, work, merged } = overlayLayout(directory)
  return {
    Name: "overlay2",
    Data: { LowerDir: layers.join(":"), UpperDir: upper, WorkDir: work, MergedDir: merged },
  }
}

/** A command of the shell as docker has it. */
function healthcheck(check: HealthCheck) {
  const { Test, ...rest } = imageHealthcheck(check)
  const isOfShell = Test.length === 4 && Test[1] === "/bin/sh" && Test[2] === "-c"
  return { Test: isOfShell ? ["CMD-SHELL", Test[3]] : Test, ...rest }
}

/** The files that it has of toybox's own, where they are here. */
function ownPaths(mounts: readonly Mount[], below: string) {
  const at = (place: string) =>
    mounts.find(({ destination, source }) => destination === place && source.startsWith(below))?.source ?? ""
  return {
    ResolvConfPath: at("/etc/resolv.conf"),
    HostnamePath: at("/etc/hostname"),
    HostsPath: at("/etc/hosts"),
  }
}

function healthOf(paths: Paths, id: string) {
  const { status, failingStreak, log } = readHealth(paths, id) ?? UNKNOWN_HEALTH
  const Log = log.map(({ start, end, exitCode, output }) => ({
    Start: start,
    End: end,
    ExitCode: exitCode,
    Output: output,
  }))
  return { Status: status, FailingStreak: failingStreak, Log }
}

/** With `sized` also what it takes on the disk. Throws ToyboxError where it is just being made or removed. */
export function inspectContainer(paths: Paths, id: string, sized: boolean): object {
  const record = readRecord(paths, id)
  const summary = summaryOf(paths, id)
  if (record === null || summary === null) throw new ToyboxError(`container ${id} is being made or removed`)
  const { spec, detached, lower, below = [] } = record
  const { user, cwd, env, terminal, args } = spec.process
  const stored = readStored(paths, id, record.name)
  const { entrypoint } = stored
  const anonymous = stored.volumes.filter((volume) => volume.anonymous)
  const directory = containerPath(paths, id)
  const layers = lower === undefined ? [] : [lower, ...below]
  const given = givenOptions(stored)
  const tmpfs = givenTmpfs(given)
  const driver = graphDriver(directory, layers)
  const written = sized ? writtenBytes(paths, id) : 0
  return {
    Id: id,
    Created: record.created,
    Path: args[0],
    Args: args.slice(1),
    State: omitEmpty(
      {
        Status: summary.status,
        Running: isUp(summary),
        Paused: summary.status === "paused",
        Restarting: summary.status === "restarting",
        OOMKilled: summary.oomKilled ?? false,
        Dead: false,
        Pid: summary.pid ?? 0,
        ExitCode: summary.exitCode ?? 0,
        Error: summary.error ?? "",
        StartedAt: summary.started ?? NEVER,
        FinishedAt: summary.finished ?? NEVER,
        ...(detached?.health ? { Health: healthOf(paths, id) } : {}),
      },
      { Health: null },
    ),
    // Ours: what toybox why tells of.
    Result: summary.status === "exited" ? readResult(paths, id) : null,
    RestartCount: readRunning(paths, id)?.restarts ?? readResult(paths, id)?.restarts ?? 0,
    // Of what is no image it is what was given.
    Image: record.imageId ?? record.image,
    // Podman's.
    PidFile: stored.pidFile ?? "",
    ...ownPaths(spec.mounts, `${paths.containers}/`),
    LogPath: detached?.log ? logPath(directory, 0) : "",
    Name: `/${record.name}`,
    HostConfig: hostConfig(record, stored, given),
    ...(sized
      ? { SizeRw: written, SizeRootFs: written + layers.reduce((sum, layer) => sum + bytesBelow(layer), 0) }
      : {}),
    Driver: driver.Name,
    GraphDriver: driver,
    ...{ Platform: "linux", MountLabel: spec.linux.mountLabel ?? "", ProcessLabel: spec.process.selinuxLabel ?? "" },
    AppArmorProfile: spec.process.apparmorProfile ?? "",
    ExecIDs: listOrNull([]),
    NetworkSettings: networkSettings({ id, name: record.name }, readRunning(paths, id), stored),
    Mounts: spec.mounts
      .filter((mount) => isGiven(paths, record, mount) || tmpfs.has(mount.destination))
      .map((mount) => mountPoint(mount, record)),
    Config: omitEmpty(
      {
        Hostname: spec.hostname ?? "",
        Domainname: spec.domainname ?? "",
        User: givenUser(stored, given),
        ...givenStreams(stored, given),
        Tty: terminal ?? false,
        Env: env,
        Entrypoint: listOrNull(args.slice(0, entrypoint)),
        Cmd: listOrNull(args.slice(entrypoint)),
        Image: record.image,
        ...exposedOf(stored),
        Volumes: mapOrNull(Object.fromEntries(anonymous.map(({ destination }) => [destination, {}]))),
        WorkingDir: cwd,
        OnBuild: listOrNull([]),
        // Podman's.
        Timeout: detached?.timeout ?? 0,
        Timezone: stored.process.timeZone ?? "",
        Umask: (user.umask ?? 0o022).toString(8).padStart(4, "0"),
        Labels: record.labels,
        StopSignal: signalName(record.stopSignal),
        ...(record.stopSeconds === undefined ? {} : { StopTimeout: record.stopSeconds }),
        ...(detached?.health
          ? {
              Healthcheck: healthcheck(detached.health),
              // Podman's.
              HealthcheckOnFailureAction: detached.health.onFailure ?? "none",
            }
          : {}),
      },
      { ExposedPorts: {}, StopTimeout: null, Healthcheck: null },
    ),
  }
}
