/** The device nodes of a container that cannot make any by itself: in a user namespace mknod(2) refuses those of devices. */
import { call } from "../../../ffi/call.ts"
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from "../../../ffi/constants/fcntl.ts"
import { MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID } from "../../../ffi/constants/mount.ts"
import { S_IFBLK, S_IFCHR, S_IFMT } from "../../../ffi/constants/stat.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, lstat, tryReadText } from "../../../ffi/fs.ts"
import { mountDetached } from "../../../ffi/mount.ts"
import { ToyboxError } from "../../errors.ts"
import { makedev } from "../../launch/encode/devices.ts"
import type { Device, IDMapping, Spec } from "../../oci/runtime.ts"
import type { Facts } from "../../plan/facts.ts"
import { isNew } from "../../plan/namespaces.ts"
import { outside } from "./copy-up.ts"

type DeviceSources = NonNullable<Facts["deviceSources"]>

const typeOf = ({ type }: Device): number => (type === "b" ? S_IFBLK : S_IFCHR)

/** The maps of a user namespace that is joined, where its path tells of a process in it: proc_pid_uid_map(5). */
function mapsOf(spec: Spec): Pick<Spec["linux"], "uidMappings" | "gidMappings"> {
  const path = spec.linux.namespaces.find(({ type }) => type === "user")?.path
  if (path === undefined) return spec.linux
  const read = (name: string): IDMapping[] =>
    (tryReadText(path.replace(/ns\/user$/, name)) ?? "")
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number))
      .flatMap(([containerID = 0, hostID = 0, size]) => (size === undefined ? [] : [{ containerID, hostID, size }]))
  return /^\/proc\/\d+\/ns\/user$/.test(path)
    ? { uidMappings: read("uid_map"), gidMappings: read("gid_map") }
    : { uidMappings: [], gidMappings: [] }
}

/** Nodes of the container's own users, as crun has them. Throws SyscallError EPERM where toybox may make none either. */
function makeNodes(devices: readonly Device[], spec: Spec): DeviceSources {
  const { uidMappings, gidMappings } = mapsOf(spec)
  const parameters = [["source", "devices"] as const, ["mode", "0755"] as const]
  const fd = mountDetached("tmpfs", parameters, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
  const nodes = new Map<Device, string>()
  try {
    devices.forEach((device, index) => {
      const { major, minor, fileMode = 0o666, uid = 0, gid = 0 } = device
      const name = String(index)
      call("mknodat", fd, name, typeOf(device), makedev(major, minor))
      call("fchownat", fd, name, outside(uid, uidMappings), outside(gid, gidMappings), AT_SYMLINK_NOFOLLOW)
      call("fchmodat", AT_FDCWD, `/proc/self/fd/${fd}/${name}`, fileMode & ~S_IFMT, 0)
      nodes.set(device, name)
    })
    return { fd, nodes }
  } catch (error) {
    close(fd)
    throw error
  }
}

/** Where the host has the device; as the spec calls it, if that is the one. Throws ToyboxError where there is none. */
function hostNode(device: Device): string {
  const { type, path, major, minor } = device
  const kind = type === "b" ? "block" : "char"
  const [, name] = /^DEVNAME=(.+)$/m.exec(tryReadText(`/sys/dev/${kind}/${major}:${minor}/uevent`) ?? "") ?? []
  const found = [path, `/dev/${name}`].find((place) => {
    const node = lstat(place)
    return node && (node.mode & S_IFMT) === typeOf(device) && node.rdevMajor === major && node.rdevMinor === minor
  })
  if (found !== undefined) return found
  throw new ToyboxError(`config.json: linux.devices: the host has no device ${type} ${major}:${minor} at ${path}`, {
    hint: "in a user namespace no device can be made; those of the host are bound",
  })
}

/**
 * What is bound where the container cannot make its devices: nodes made for it, or the host's own, where toybox may make none.
 * Throws ToyboxError.
 */
export function prepareDevices(spec: Spec): DeviceSources {
  const devices = spec.linux.devices.filter(({ type }) => type !== "p")
  // What they lie in is mounted, for a moment, among the mounts of the container's own.
  if (isNew(spec, "mount")) {
    try {
      return makeNodes(devices, spec)
    } catch (error) {
      if (!isErrno(error, "EPERM")) throw error
    }
  }
  return { nodes: new Map(devices.map((device) => [device, hostNode(device)])) }
}
