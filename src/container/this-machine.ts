/** What the doctor (doctor.ts) asks of the machine that it runs on. */
import { statfsSync } from "node:fs"
import { callResult } from "../../ffi/call.ts"
import { AT_FDCWD, W_OK } from "../../ffi/constants/fcntl.ts"
import { listDir } from "../../ffi/directory.ts"
import { exists, tryReadText } from "../../ffi/fs.ts"
import { detectCgroups } from "../cgroup/detect.ts"
import { ToyboxError } from "../errors.ts"
import { withRoutes } from "../network/bridge.ts"
import { obstaclesOf } from "../network/firewall/obstacles.ts"
import { hasNfTables } from "../network/firewall/table.ts"
import { listNetworks } from "../network/network.ts"
import { linkNamed } from "../network/read.ts"
import type { Paths } from "../paths.ts"
import type { Machine, StateDirectory } from "./examined.ts"
import { type Look, remembering } from "./foreign-firewalls.ts"
import { whatIsBroken } from "./reload-networks.ts"

const EROFS = -30
const EINVAL = -22

/** faccessat(2). */
const isReadOnly = (path: string) => callResult("faccessat", AT_FDCWD, path, W_OK, 0) === EROFS

/** Without arguments it makes nothing, and the kernel says so: clone3(2). A filter answers before. */
const clones = () => callResult("clone3", null, 0) === EINVAL

/** statfs(2). */
function stateDirectory(path: string): StateDirectory | null {
  if (!exists(path)) return null
  const { bavail, bsize, files, ffree } = statfsSync(path)
  return { path, readOnly: isReadOnly(path), free: bavail * bsize, inodes: files > 0 ? ffree : null }
}

const MIGHT_BE = {
  name: "",
  bridge: "BRIDGE",
  subnet: "172.17.0.0/16",
  subnet6: null,
  internal: false,
  isolated: false,
}

function networksOf(paths: Paths) {
  const networks = listNetworks(paths)
  return withRoutes((socket) =>
    (networks.length > 0 ? networks : [MIGHT_BE]).map((network) => ({
      network,
      index: linkNamed(socket, network.bridge)?.index ?? 0,
    })),
  )
}

/** What cannot be looked at, for it is somebody else's, is missing, too. */
function brokenOf(paths: Paths, look: Look): string[] {
  try {
    return whatIsBroken(paths, look)
  } catch (error) {
    if (error instanceof ToyboxError) return [`rules of networks (${error.message})`]
    throw error
  }
}

/** `paths`: of a state directory that may not be there yet. */
export function thisMachine(paths: Paths): Machine {
  const isRoot = process.geteuid?.() === 0
  const look = remembering(obstaclesOf)
  return {
    read: tryReadText,
    exists,
    list: listDir,
    isReadOnly,
    cgroups: detectCgroups(),
    isRoot,
    clones: clones(),
    nfTables: isRoot ? hasNfTables() : null,
    obstacles: isRoot ? networksOf(paths).map((bridge) => ({ name: bridge.network.name, ...look(bridge) })) : null,
    broken: isRoot ? brokenOf(paths, look) : null,
    now: Date.now(),
    state: stateDirectory(paths.state),
  }
}
