/** What a run is without any of the options of rare.ts. */
import { SIGTERM } from "../../../ffi/constants/signal.ts"
import type { ContainerRequest } from "../../container/request.ts"
import type { EndpointWish } from "../../network/default.ts"
import { USUAL_PLACES, usualNetwork } from "../../network/default.ts"
import type { NameOptions } from "../../network/names.ts"
import type { PortWish } from "../../network/ports.ts"
import type { Rlimit } from "../../oci/runtime.ts"
import { DEFAULT_SHM_SIZE } from "../../spec/defaults.ts"
import type { RunRequest } from "../../spec/request.ts"
import type { VolumeWish } from "../../volume/volume.ts"

/** What flags/rare.ts reads. */
export interface RareOptions {
  stopSignal: number
  stopSeconds?: number
  names: NameOptions | null
  networks: readonly EndpointWish[]
  ports: PortWish | null
  exposed: readonly string[]
  volumes: readonly VolumeWish[]
  /** What is given of these. */
  others: Pick<ContainerRequest, "passedFds" | "attach" | "ignoresSignals" | "pidFile">
  process: Omit<RunRequest, "args" | "user" | "workdir" | "terminal" | "consoleSize" | "readonlyRoot" | "resources">
}

/** What rareOptions gives where none of them is there. */
export const noRareOptions = (limits: readonly Rlimit[]): RareOptions => ({
  stopSignal: SIGTERM,
  names: null,
  networks: usualNetwork() === "none" ? [] : USUAL_PLACES,
  ports: null,
  exposed: [],
  volumes: [],
  others: {},
  process: {
    env: [],
    groupAdd: [],
    rlimits: limits,
    capAdd: [],
    capDrop: [],
    noNewPrivileges: true,
    seccomp: "default",
    privileged: false,
    mounts: [],
    shmSize: DEFAULT_SHM_SIZE,
    devices: [],
    sysctl: {},
    namespaces: {},
    labels: {},
  },
})
