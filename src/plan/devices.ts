/** spec.linux.devices, and the links that every container has: runtime-spec config-linux.md, "Default Devices". */
import { S_IFMT } from "../../ffi/constants/stat.ts"
import type { Device, Mount, Spec } from "../oci/runtime.ts"
import type { Facts } from "./facts.ts"
import type { Step } from "./steps.ts"

const LINKS: readonly (readonly [target: string, path: string])[] = [
  ["/proc/self/fd", "/dev/fd"],
  ["/proc/self/fd/0", "/dev/stdin"],
  ["/proc/self/fd/1", "/dev/stdout"],
  ["/proc/self/fd/2", "/dev/stderr"],
  ["pts/ptmx", "/dev/ptmx"],
]

const node = (device: Device, existing: boolean): Step => ({
  kind: "device",
  path: device.path,
  type: device.type === "u" ? "c" : device.type,
  major: device.major,
  minor: device.minor,
  mode: (device.fileMode ?? 0o666) & ~S_IFMT,
  uid: device.uid ?? 0,
  gid: device.gid ?? 0,
  ...(existing ? { existing } : {}),
})

const devMount = ({ mounts }: Spec): Mount | undefined => mounts.findLast(({ destination }) => destination === "/dev")

/** Whether the container's /dev is a directory of the host. */
const hasHostsDev = (spec: Spec): boolean => devMount(spec)?.type === "bind"

/** Whether there is a null device in /dev that was made for the container, and can be opened. */
export const hasOwnNull = (spec: Spec): boolean => !hasHostsDev(spec) && !devMount(spec)?.options.includes("nodev")

/** mknod(2) of a device is refused in a user namespace: one that there is is bound. */
const boundNode = ({ path: target }: Device, source: string, within: number | undefined): Step => ({
  kind: "bind",
  source,
  target,
  directory: false,
  recursive: false,
  attributes: { set: 0, clear: 0, recursiveSet: 0, recursiveClear: 0, propagation: 0 },
  coverSymlink: false,
  ...(within === undefined ? {} : { within }),
})

/**
 * The device nodes of the spec, and the links. Nothing is made in a /dev that is a directory of the host, or where something else is
 * mounted.
 */
export function deviceSteps(spec: Spec, facts: Facts): Step[] {
  const types: Record<string, string> = {}
  for (const { destination, type } of spec.mounts) types[destination] = type
  const isOwn = types["/dev"] === "tmpfs"
  const given: Step[] = isOwn && types["/dev/pts"] === "devpts" ? [] : [{ kind: "given-dev" }]
  const isHosts = hasHostsDev(spec)
  const { fd, nodes } = facts.deviceSources ?? {}
  const made = new Set<string>()
  const devices = spec.linux.devices
    // That of the host leads to the host's terminals, or nowhere: the container's is a link.
    .filter(({ path }) => path !== "/dev/ptmx" && !(isHosts && path.startsWith("/dev/")) && !Object.hasOwn(types, path))
    .map((device) => {
      const source = nodes?.get(device)
      if (source !== undefined) return boundNode(device, source, fd)
      const existing = !(isOwn && device.path.startsWith("/dev/")) || made.has(device.path)
      made.add(device.path)
      return node(device, existing)
    })
  const links = isHosts
    ? []
    : LINKS.filter(([, path]) => !Object.hasOwn(types, path)).map(
        ([target, path]): Step => ({ kind: "symlink", target, path }),
      )
  const attached: Step[] = fd === undefined ? [] : [{ kind: "device-nodes", fd, path: facts.scratchMountPoint }]
  return [...given, ...attached, ...devices, ...links]
}
