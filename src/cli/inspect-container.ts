/** A container as docker inspect shows one: the fields of docker's that there is something to say in. */

import { imageHealthcheck, UNKNOWN_HEALTH } from "../container/health.ts"
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
import { listOrNull, NEVER } from "./go-values.ts"
import { hostConfig } from "./inspect-host-config.ts"
import { exposedOf, networkSettings } from "./inspect-network.ts"
import { volumeAt } from "./volume-fields.ts"

function mountPoint({ type, source, destination, options }: Mount, record: UsesVolumes) {
  const Name = volumeAt(record, destination)
  return {
    Type: Name === undefined ? (type === "tmpfs" ? "tmpfs" : "bind") : "volume",
    ...(Name === undefined ? {} : { Name, Driver: "local" }),
    Source: type === "tmpfs" ? "" : source,
    Destination: destination,
    RW: !options.includes("ro") && !options.includes("rro"),
  }
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
  const { entrypoint, attach = ["stdout", "stderr"] } = stored
  const directory = containerPath(paths, id)
  const layers = lower === undefined ? [] : [lower, ...below]
  const written = sized ? writtenBytes(paths, id) : 0
  const isOwn = ({ type, source, destination }: Mount) =>
    ((type === "bind" || type === "none") && !source.startsWith(`${paths.containers}/`)) ||
    volumeAt(record, destination) !== undefined
  return {
    Id: id,
    Created: record.created,
    Path: args[0],
    Args: args.slice(1),
    State: {
      Status: summary.status,
      Running: isUp(summary),
      Paused: summary.status === "paused",
      Restarting: summary.status === "restarting",
      OOMKilled: summary.oomKilled ?? false,
      Pid: summary.pid ?? 0,
      ExitCode: summary.exitCode ?? 0,
      Error: summary.error ?? "",
      StartedAt: summary.started ?? NEVER,
      FinishedAt: summary.finished ?? NEVER,
      // Known, so that templates can ask for it, and not shown where there is none.
      Health: detached?.health ? healthOf(paths, id) : undefined,
    },
    // Ours: what toybox why tells of.
    Result: summary.status === "exited" ? readResult(paths, id) : null,
    RestartCount: readRunning(paths, id)?.restarts ?? readResult(paths, id)?.restarts ?? 0,
    // Of what is no image it is what was given.
    Image: record.imageId ?? record.image,
    // Podman's.
    PidFile: stored.pidFile ?? "",
    LogPath: detached?.log ? logPath(directory, 0) : "",
    Name: `/${record.name}`,
    HostConfig: hostConfig(record, stored, isOwn),
    ...(sized
      ? { SizeRw: written, SizeRootFs: written + layers.reduce((sum, layer) => sum + bytesBelow(layer), 0) }
      : {}),
    GraphDriver: graphDriver(directory, layers),
    NetworkSettings: networkSettings({ id, name: record.name }, readRunning(paths, id), stored),
    Mounts: spec.mounts.filter(isOwn).map((mount) => mountPoint(mount, record)),
    Config: {
      Hostname: spec.hostname ?? "",
      User: `${user.uid}:${user.gid}`,
      AttachStdin: attach.includes("stdin"),
      AttachStdout: attach.includes("stdout"),
      AttachStderr: attach.includes("stderr"),
      Tty: terminal ?? false,
      OpenStdin: stored.interactive,
      Env: env,
      Entrypoint: listOrNull(args.slice(0, entrypoint)),
      Cmd: listOrNull(args.slice(entrypoint)),
      Image: record.image,
      ExposedPorts: exposedOf(stored),
      WorkingDir: cwd,
      // Podman's.
      Timeout: detached?.timeout ?? 0,
      Timezone: stored.process.timeZone ?? "",
      Umask: (user.umask ?? 0o022).toString(8).padStart(4, "0"),
      Labels: record.labels,
      StopSignal: signalName(record.stopSignal),
      StopTimeout: record.stopSeconds,
      Healthcheck: detached?.health ? imageHealthcheck(detached.health) : undefined,
    },
  }
}
