/** Mounts that the parent makes beforehand, attached nowhere: those that the child could not reach, or not change. */
import { call } from "../../../ffi/call.ts"
import { AT_EMPTY_PATH, AT_FDCWD, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW } from "../../../ffi/constants/fcntl.ts"
import { MS_PRIVATE, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from "../../../ffi/constants/mount.ts"
import { close, isDirectory, lstat, readLink, stat } from "../../../ffi/fs.ts"
import { MOUNT_ATTR_SIZE, mountAttr } from "../../../ffi/structs.ts"
import { ToyboxError } from "../../errors.ts"
import { notice } from "../../log.ts"
import type { Mount, Spec } from "../../oci/runtime.ts"
import type { Source } from "../../plan/facts.ts"
import { type MountOptions, parseMountOptions } from "../../plan/mount-options.ts"
import { tiesWithHost } from "../../plan/mounts.ts"
import { hasOwn, isNew } from "../../plan/namespaces.ts"
import { copyUp, openBelow } from "./copy-up.ts"
import { applyIdmap, wantsIdmap } from "./idmap.ts"

/** What the plan has to know of the mounts. */
export interface PreparedMounts {
  sources: Map<string, Source>
  /** See Facts.madeMounts. */
  made: Map<Mount, number>
  /** See Facts.coveredModes. */
  coveredModes: Map<Mount, number>
}

/** A copy of what is mounted at the source; private, unless ties with the host's mounts are wanted. */
function takeBind(mount: Mount, options: MountOptions, spec: Spec, where: string): number {
  const { ways, recursive, attributes } = options
  const flags =
    OPEN_TREE_CLONE |
    OPEN_TREE_CLOEXEC |
    (recursive ? AT_RECURSIVE : 0) |
    (ways.has("src-nofollow") ? AT_SYMLINK_NOFOLLOW : 0)
  const fd = call("open_tree", AT_FDCWD, mount.source, flags)
  try {
    const propagation = (attributes.propagation && tiesWithHost(spec)) || MS_PRIVATE
    call("mount_setattr", fd, "", AT_EMPTY_PATH | AT_RECURSIVE, mountAttr(0, 0, propagation), MOUNT_ATTR_SIZE)
    if (wantsIdmap(mount, options)) applyIdmap(fd, mount, options, spec, where)
    return fd
  } catch (error) {
    close(fd)
    throw error
  }
}

// Of a file system, but what every one is unless told otherwise.
const HARMLESS = new Set(["async", "nomand", "nolazytime", "noiversion"])
const IDMAP = new Set(["idmap", "ridmap"])

function checkOptions({ type, ...mount }: Mount, { data, ways }: MountOptions, where: string): void {
  if (ways.has("tmpcopyup") && type !== "tmpfs") throw new ToyboxError(`${where}.options: tmpcopyup is for a tmpfs`)
  if (type === "bind") {
    const [foreign] = data.filter(([key]) => !HARMLESS.has(key) && !IDMAP.has(key))
    // As mount(8), runc and crun have it: the kernel takes such options of a bind mount and does nothing with them.
    if (foreign) notice(`${where}.options: ${foreign[0]} is of a file system: a bind mount keeps that of its source`)
    return
  }
  const bindOnly = [...ways].find((way) => way !== "remount" && way !== "tmpcopyup" && way !== "dest-nofollow")
  if (bindOnly) throw new ToyboxError(`${where}.options: ${bindOnly} is for bind mounts`)
  if (mount.uidMappings?.length || mount.gidMappings?.length) {
    throw new ToyboxError(`${where}.uidMappings: only the ids of a bind mount can be mapped`)
  }
}

function sourceOf(mount: Mount, { ways }: MountOptions, where: string): Source {
  const found = ways.has("src-nofollow") || ways.has("copy-symlink") ? lstat(mount.source) : stat(mount.source)
  if (!found) throw new ToyboxError(`${where}.source: ${mount.source} does not exist`)
  const link = ways.has("copy-symlink") ? readLink(mount.source) : null
  return link === null ? { directory: isDirectory(found) } : { directory: false, link }
}

/** Whether the container's user namespace is that of its network: of one that is joined with a network, as in pods, it is taken to be. */
const ownsNetwork = (spec: Spec): boolean => isNew(spec, "network") || (!isNew(spec, "user") && hasOwn(spec, "network"))

/** The mode of the directory that a mount covers; undefined where there is none yet. */
function coveredMode(mount: Mount, spec: Spec, rootFd: number, { made }: PreparedMounts): number | undefined {
  const fd = openBelow(mount, spec, rootFd, made)
  if (fd < 0) return undefined
  try {
    const found = stat("", AT_EMPTY_PATH, fd)
    return found ? found.mode & 0o7777 : undefined
  } finally {
    close(fd)
  }
}

/** Looks at the sources of bind mounts, and makes what has to be made beforehand. Throws ToyboxError that names the mount. */
export function prepareMounts(spec: Spec, rootFd: number): PreparedMounts {
  const prepared: PreparedMounts = { sources: new Map(), made: new Map(), coveredModes: new Map() }
  const inUserNamespace = hasOwn(spec, "user")
  try {
    spec.mounts.forEach((mount, index) => {
      const where = `config.json: mounts[${index}]`
      const options = parseMountOptions(mount.options)
      try {
        checkOptions(mount, options, where)
        if (options.ways.has("remount")) return
        if (mount.type === "bind") {
          const source = sourceOf(mount, options, where)
          prepared.sources.set(mount.source, source)
          if (source.link !== undefined || !(inUserNamespace || wantsIdmap(mount, options))) return
          prepared.made.set(mount, takeBind(mount, options, spec, where))
        } else if (mount.type === "sysfs" && inUserNamespace && !ownsNetwork(spec)) {
          // It shows the links of a network, whose owner alone may mount it anew.
          prepared.made.set(mount, takeBind({ ...mount, source: "/sys" }, options, spec, where))
        } else if (options.ways.has("tmpcopyup")) {
          prepared.made.set(mount, copyUp(mount, options, spec, rootFd, prepared.made))
        } else if (mount.type === "tmpfs" && !options.data.some(([key]) => key === "mode")) {
          const mode = coveredMode(mount, spec, rootFd, prepared)
          if (mode !== undefined) prepared.coveredModes.set(mount, mode)
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
