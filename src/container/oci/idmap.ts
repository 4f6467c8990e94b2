/** Idmapped mounts: mount_setattr(2), MOUNT_ATTR_IDMAP. */
import { call } from "../../../ffi/call.ts"
import { struct } from "../../../ffi/calls.ts"
import { AT_EMPTY_PATH, AT_RECURSIVE, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { MOUNT_ATTR_IDMAP } from "../../../ffi/constants/mount.ts"
import { SIGKILL } from "../../../ffi/constants/signal.ts"
import { close, open } from "../../../ffi/fs.ts"
import { pipe } from "../../../ffi/pipe.ts"
import { kill, waitChild } from "../../../ffi/signal.ts"
import { MOUNT_ATTR_SIZE } from "../../../ffi/structs.ts"
import { ToyboxError } from "../../errors.ts"
import { launch } from "../../launch/index.ts"
import type { IDMapping, Mount, Spec } from "../../oci/runtime.ts"
import type { MountOptions } from "../../plan/mount-options.ts"
import { writeIdMaps } from "./outside.ts"

interface Mappings {
  uidMappings?: IDMapping[]
  gidMappings?: IDMapping[]
}

/** A user namespace that nobody is in, for its maps alone; returns its descriptor. */
function userNamespaceOf(mappings: Mappings, where: string): number {
  for (const key of ["uidMappings", "gidMappings"] as const) {
    if (!mappings[key]?.length)
      throw new ToyboxError(`${where}.${key}: is missing, and users and groups are mapped together`)
  }

  const [awaited, held] = pipe()
  const { pid } = launch(
    [
      { kind: "clone", namespaces: ["user"] },
      { kind: "close-other-fds", keep: [awaited] },
      { kind: "await-go", fd: awaited, what: "end of its use" },
    ],
    { reportFd: -1, memfd: -1 },
  )
  try {
    writeIdMaps(pid, mappings, where.replace(/^config.json: /, ""))
    return open(`/proc/${pid}/ns/user`, O_RDONLY)
  } finally {
    kill(pid, SIGKILL)
    waitChild(pid, 0)
    close(awaited)
    close(held)
  }
}

/** crun's form of the option: `uids=0-1000-1#1-2000-10;gids=0-1000-1`, each as a line of uid_map has it. Throws ToyboxError. */
function optionMappings(text: string, where: string): Mappings {
  const read = (name: string): IDMapping[] => {
    const value = text.split(";").find((part) => part.startsWith(`${name}=`))
    return (value?.slice(name.length + 1).split("#") ?? []).map((range) => {
      const [, containerID, hostID, size] = /^(\d+)-(\d+)-(\d+)$/.exec(range) ?? []
      if (size === undefined) {
        throw new ToyboxError(`${where}.options: idmap=${text}: ${JSON.stringify(range)} is not a range`, {
          hint: "use idmap=uids=FIRST-FIRST_OUTSIDE-COUNT#…;gids=…, or the fields uidMappings and gidMappings",
        })
      }
      return { containerID: Number(containerID), hostID: Number(hostID), size: Number(size) }
    })
  }
  return { uidMappings: read("uids"), gidMappings: read("gids") }
}

/** The maps of a mount, or those of the container. */
function idmapNamespace(mount: Mount, { data }: MountOptions, { linux }: Spec, where: string): number {
  if (mount.uidMappings?.length || mount.gidMappings?.length) return userNamespaceOf(mount, where)
  const text = data.find(([key]) => key === "idmap" || key === "ridmap")?.[1]
  if (text) return userNamespaceOf(optionMappings(text, where), where)
  const user = linux.namespaces.find(({ type }) => type === "user")
  if (user?.path !== undefined) return open(user.path, O_RDONLY)
  if (user) return userNamespaceOf(linux, "config.json: linux")
  throw new ToyboxError(`${where}.uidMappings: is missing, and there is no user namespace to take it from`)
}

/** Maps the ids of a detached mount. Throws ToyboxError that names the mount. */
export function applyIdmap(fd: number, mount: Mount, options: MountOptions, spec: Spec, where: string): void {
  const namespace = idmapNamespace(mount, options, spec, where)
  const { ways, data } = options
  const recursive = ways.has("ridmap") || data.some(([key]) => key === "ridmap")
  const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0)
  const attr = struct([8, MOUNT_ATTR_IDMAP], [8, 0], [8, 0], [8, namespace])
  try {
    call("mount_setattr", fd, "", flags, attr, MOUNT_ATTR_SIZE)
  } catch (cause) {
    throw new ToyboxError(`${where}.options: cannot map the ids of ${mount.source}`, {
      cause,
      hint: "the file system, or something mounted below, may not know idmapped mounts, or the kernel is older than 5.12",
    })
  } finally {
    close(namespace)
  }
}

export const wantsIdmap = (mount: Mount, { ways, data }: MountOptions): boolean =>
  ways.has("idmap") ||
  ways.has("ridmap") ||
  data.some(([key]) => key === "idmap" || key === "ridmap") ||
  Boolean(mount.uidMappings?.length || mount.gidMappings?.length)
