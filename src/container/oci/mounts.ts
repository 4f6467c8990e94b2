/** Mounts that the parent makes beforehand, attached nowhere: those that the child could not reach, or not change. */
import { call } from "../../../ffi/call.ts"
import { struct } from "../../../ffi/calls.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
} from "../../../ffi/constants/fcntl.ts"
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_IDMAP,
  MS_PRIVATE,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "../../../ffi/constants/mount.ts"
import { SIGKILL } from "../../../ffi/constants/signal.ts"
import { close, isDirectory, lstat, open, readLink, stat } from "../../../ffi/fs.ts"
import { pipe } from "../../../ffi/pipe.ts"
import { kill, waitChild } from "../../../ffi/signal.ts"
import { MOUNT_ATTR_SIZE, mountAttr } from "../../../ffi/structs.ts"
import { ToyboxError } from "../../errors.ts"
import { launch } from "../../launch/index.ts"
import { notice } from "../../log.ts"
import type { IDMapping, Mount, Spec } from "../../oci/runtime.ts"
import { copyTree } from "../../overlay/copy.ts"
import type { Source } from "../../plan/facts.ts"
import { type MountOptions, parseMountOptions } from "../../plan/mount-options.ts"
import { openInRootFd } from "../identity.ts"
import { writeIdMaps } from "./outside.ts"

/** What the plan has to know of the mounts. */
export interface PreparedMounts {
  sources: Map<string, Source>
  /** By destination: see Facts.madeMounts. */
  made: Map<string, number>
}

interface Mappings {
  uidMappings?: IDMapping[]
  gidMappings?: IDMapping[]
}

/** A user namespace that nobody is in, for its maps alone; returns its descriptor. */
function userNamespaceOf(mappings: Mappings): number {
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
    writeIdMaps(pid, mappings)
    return open(`/proc/${pid}/ns/user`, O_RDONLY)
  } finally {
    kill(pid, SIGKILL)
    waitChild(pid, 0)
    close(awaited)
    close(held)
  }
}

/** The maps of a mount, or those of the container. */
function idmapNamespace(mount: Mount, { linux }: Spec, where: string): number {
  if (mount.uidMappings?.length || mount.gidMappings?.length) return userNamespaceOf(mount)
  const user = linux.namespaces.find(({ type }) => type === "user")
  if (user?.path !== undefined) return open(user.path, O_RDONLY)
  if (user) return userNamespaceOf(linux)
  throw new ToyboxError(`${where}.uidMappings: is missing, and there is no user namespace to take it from`)
}

function applyIdmap(fd: number, mount: Mount, { ways }: MountOptions, spec: Spec, where: string): void {
  const namespace = idmapNamespace(mount, spec, where)
  const flags = AT_EMPTY_PATH | (ways.has("ridmap") ? AT_RECURSIVE : 0)
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

/** A copy of what is mounted at the source; private, unless its ties to the host are wanted. */
function takeBind(mount: Mount, options: MountOptions, spec: Spec, where: string): number {
  const { ways, recursive, attributes } = options
  const flags =
    OPEN_TREE_CLONE |
    OPEN_TREE_CLOEXEC |
    (recursive ? AT_RECURSIVE : 0) |
    (ways.has("src-nofollow") ? AT_SYMLINK_NOFOLLOW : 0)
  const fd = call("open_tree", AT_FDCWD, mount.source, flags)
  try {
    if (!attributes.propagation) {
      call("mount_setattr", fd, "", AT_EMPTY_PATH | AT_RECURSIVE, mountAttr(0, 0, MS_PRIVATE), MOUNT_ATTR_SIZE)
    }
    if (wantsIdmap(mount, options)) applyIdmap(fd, mount, options, spec, where)
    return fd
  } catch (error) {
    close(fd)
    throw error
  }
}

const wantsIdmap = (mount: Mount, { ways }: MountOptions) =>
  ways.has("idmap") || ways.has("ridmap") || Boolean(mount.uidMappings?.length || mount.gidMappings?.length)

/** A tmpfs with a copy of what the root has at its place. */
function copyUp(mount: Mount, { data }: MountOptions, rootFd: number): number {
  const fs = call("fsopen", mount.type, FSOPEN_CLOEXEC)
  try {
    call("fsconfig", fs, FSCONFIG_SET_STRING, "source", mount.source, 0)
    for (const [key, value] of data) {
      call("fsconfig", fs, value === null ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key, value, 0)
    }
    call("fsconfig", fs, FSCONFIG_CMD_CREATE, null, null, 0)
    const fd = call("fsmount", fs, FSMOUNT_CLOEXEC, 0)
    const from = openInRootFd(rootFd, mount.destination, O_PATH | O_DIRECTORY | O_CLOEXEC)
    if (from < 0) return fd
    try {
      copyTree(`/proc/self/fd/${from}/.`, `/proc/self/fd/${fd}/.`)
      return fd
    } catch (error) {
      close(fd)
      throw error
    } finally {
      close(from)
    }
  } finally {
    close(fs)
  }
}

// Of a file system, but what every one is unless told otherwise.
const HARMLESS = new Set(["async", "nomand", "nolazytime", "noiversion"])

function checkOptions({ type }: Mount, { data, ways }: MountOptions, where: string): void {
  if (type === "bind") {
    const [foreign] = data.filter(([key]) => !HARMLESS.has(key))
    // As mount(8), runc and crun have it: the kernel takes such options of a bind mount and does nothing with them.
    if (foreign) notice(`${where}.options: ${foreign[0]} is of a file system: a bind mount keeps that of its source`)
    return
  }
  const bindOnly = [...ways].find((way) => way !== "remount" && way !== "tmpcopyup" && way !== "dest-nofollow")
  if (bindOnly) throw new ToyboxError(`${where}.options: ${bindOnly} is for bind mounts`)
  if (ways.has("tmpcopyup") && type !== "tmpfs") throw new ToyboxError(`${where}.options: tmpcopyup is for a tmpfs`)
}

function sourceOf(mount: Mount, { ways }: MountOptions, where: string): Source {
  const found = ways.has("src-nofollow") || ways.has("copy-symlink") ? lstat(mount.source) : stat(mount.source)
  if (!found) throw new ToyboxError(`${where}.source: ${mount.source} does not exist`)
  const link = ways.has("copy-symlink") ? readLink(mount.source) : null
  return link === null ? { directory: isDirectory(found) } : { directory: false, link }
}

/** Looks at the sources of bind mounts, and makes what has to be made beforehand. Throws ToyboxError that names the mount. */
export function prepareMounts(spec: Spec, rootFd: number): PreparedMounts {
  const prepared: PreparedMounts = { sources: new Map(), made: new Map() }
  const inUserNamespace = spec.linux.namespaces.some(({ type }) => type === "user")
  try {
    spec.mounts.forEach((mount, index) => {
      const where = `config.json: mounts[${index}]`
      const options = parseMountOptions(mount.options)
      try {
        checkOptions(mount, options, where)
        if (mount.type === "bind") {
          const source = sourceOf(mount, options, where)
          prepared.sources.set(mount.source, source)
          if (source.link !== undefined || !(inUserNamespace || wantsIdmap(mount, options))) return
          prepared.made.set(mount.destination, takeBind(mount, options, spec, where))
        } else if (options.ways.has("tmpcopyup")) {
          prepared.made.set(mount.destination, copyUp(mount, options, rootFd))
        }
      } catch (cause) {
        if (cause instanceof ToyboxError && cause.message.startsWith(where)) throw cause
        throw new ToyboxError(`${where}: cannot prepare the mount on ${mount.destination}`, { cause })
      }
    })
  } catch (error) {
    releaseMounts(prepared)
    throw error
  }
  return prepared
}

function releaseMounts({ made }: PreparedMounts): void {
  for (const fd of made.values()) close(fd)
  made.clear()
}
