/** What `run` needs beside the spec's request: the container as toybox keeps it. */

import type { Cgroups } from "../cgroup/detect.ts"
import type { RequestedResources } from "../cgroup/flags.ts"
import type { EndpointWish } from "../network/default.ts"
import type { NameOptions } from "../network/names.ts"
import type { PortWish } from "../network/ports.ts"
import type { RunRequest } from "../spec/request.ts"
import type { VolumeWish } from "../volume/volume.ts"
import type { Detached } from "./log-limits.ts"
import type { PassedFds } from "./passed-fds.ts"
import type { StreamName } from "./stdio.ts"

export interface ContainerRequest {
  /** The root file system: what was typed, and the directory it means. */
  image: string
  lower: string
  /** The id of an image of the store, where it is of one. */
  imageId?: string
  /** Layers below it, the nearest first. */
  below: readonly string[]
  name: string | undefined
  autoRemove: boolean
  /** The image of the store, by its name there, that is to go with it. */
  removedImage?: string
  /** Standard input is passed on even if it is a terminal. */
  interactive: boolean
  init: boolean
  detachKeys: readonly number[]
  stopSignal: number
  /** As of ContainerHead. */
  stopSeconds?: number
  /** Null: the host's servers, and no further names. */
  names: NameOptions | null
  /** Empty: none; the namespace then has a loopback only, or is another's. */
  networks: readonly EndpointWish[]
  /** Null: nothing is published. */
  ports: PortWish | null
  /** What it serves beside what its image says, published or not: 80/tcp. */
  exposed: readonly string[]
  /** Their mounts are among those of `process`. */
  volumes: readonly VolumeWish[]
  /** Null: toybox's own place. */
  cgroupParent: string | null
  cgroups: Cgroups
  /** The text of /proc/self/mountinfo. */
  mountinfo: string
  requested: RequestedResources
  cidfile: string | undefined
  /** Descriptors of the caller's that its command gets. */
  passedFds?: PassedFds
  /** Which of the command's streams the caller has; not given: all. */
  attach?: readonly StreamName[]
  /** Signals that toybox gets are not passed on to it. */
  ignoresSignals?: true
  /** Where the number of its first process is to be written at each start: an absolute path. */
  pidFile?: string
  /** The words after `run` that it was made by, and where they were typed; null where it was made otherwise. */
  commandLine: { words: readonly string[]; directory: string } | null
  /** Milliseconds that it took to bring the root here; 0 where it was. */
  obtainedMs: number
  /** Where the result is to be written when it has ended; null for nowhere. */
  resultFd: number | null
  /** It is supervised by a process of its own. */
  detached: Detached | null
  /** toybox stays with it even so. */
  foreground: boolean
  quiet: boolean
  trace: boolean
  process: RunRequest
  /** How many of the first words of its command are the entry point. */
  entrypoint: number
}
