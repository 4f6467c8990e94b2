/** spec.mounts and spec.linux.{maskedPaths,readonlyPaths,devices} → steps. */
import { MOUNT_ATTR_RDONLY, MS_SHARED, MS_SLAVE } from "../../ffi/constants/mount.ts"
import { S_IFMT } from "../../ffi/constants/stat.ts"
import type { Mount, Spec } from "../oci/runtime.ts"
import type { CgroupMount, Facts } from "./facts.ts"
import { parseMountOptions } from "./mount-options.ts"
import type { Step } from "./steps.ts"

/** One mount of the cgroup tree per hierarchy where there are several: cgroups(7). */
function cgroupSteps(mount: Mount, facts: Facts): Step[] {
  const { attributes } = parseMountOptions(mount.options)
  const one = ({ name, type, options }: CgroupMount, target: string): Step => ({
    kind: "mount",
    type,
    source: name,
    target,
    attributes,
    data: options,
  })
  const { mounts, links } = facts.cgroupView
  if (facts.cgroupView.hostPath) {
    const tree = { ...attributes, recursiveSet: attributes.set, set: 0 }
    const source = facts.cgroupView.hostPath
    return [
      {
        kind: "bind",
        source,
        target: mount.destination,
        directory: true,
        recursive: true,
        attributes: tree,
        coverSymlink: false,
      },
    ]
  }
  const [first] = mounts
  if (mounts.length === 1 && first && first.type === "cgroup2") return [one(first, mount.destination)]
  const base: Step = {
    kind: "mount",
    type: "tmpfs",
    source: "cgroup",
    target: mount.destination,
    attributes: { ...attributes, set: attributes.set & ~MOUNT_ATTR_RDONLY },
    data: [
      ["mode", "755"],
      ["size", "64k"],
    ],
  }
  const links_ = links.map(
    ([path, target]): Step => ({ kind: "symlink", path: `${mount.destination}/${path}`, target }),
  )
  const close: Step[] = attributes.set & MOUNT_ATTR_RDONLY ? [{ kind: "readonly-mount", path: mount.destination }] : []
  return [base, ...mounts.map((each) => one(each, `${mount.destination}/${each.name}`)), ...links_, ...close]
}

function mountStep(mount: Mount, facts: Facts): Step[] {
  if (mount.type === "cgroup") return cgroupSteps(mount, facts)
  const { attributes, data, bind, recursive } = parseMountOptions(mount.options)
  if (!bind && mount.type !== "bind") {
    return [{ kind: "mount", type: mount.type, source: mount.source, target: mount.destination, attributes, data }]
  }
  const source = facts.sources.get(mount.source)
  return [
    {
      kind: "bind",
      source: mount.source,
      target: mount.destination,
      directory: source?.directory ?? false,
      recursive,
      attributes,
      coverSymlink: facts.ownFiles.has(mount.source),
      ...(attributes.propagation & (MS_SLAVE | MS_SHARED) ? { taken: true } : {}),
    },
  ]
}

/** Everything mounted, in the order of the spec. */
export const mountSteps = (spec: Spec, facts: Facts): Step[] => spec.mounts.flatMap((mount) => mountStep(mount, facts))

/** What some of these mounts need before the propagation is cut. */
export const takeSteps = (mounts: readonly Step[]): Step[] =>
  mounts.flatMap((step): Step[] =>
    step.kind === "bind" && step.taken
      ? [{ kind: "take-source", source: step.source, target: step.target, recursive: step.recursive }]
      : [],
  )

/** The device nodes of the spec, and the links that every container has (runtime-spec, config-linux.md). */
export function deviceSteps(spec: Spec): Step[] {
  const ours = (path: string, type: string) =>
    spec.mounts.some((mount) => mount.destination === path && mount.type === type)
  const given: Step[] = ours("/dev", "tmpfs") && ours("/dev/pts", "devpts") ? [] : [{ kind: "given-dev" }]
  // Nothing is made in a directory of the host.
  if (!ours("/dev", "tmpfs")) return given
  const devices = spec.linux.devices.map(
    (device): Step => ({
      kind: "device",
      path: device.path,
      type: device.type === "u" ? "c" : device.type,
      major: device.major,
      minor: device.minor,
      mode: (device.fileMode ?? 0o666) & ~S_IFMT,
      uid: device.uid ?? 0,
      gid: device.gid ?? 0,
    }),
  )
  const links: [string, string][] = [
    ["/proc/self/fd", "/dev/fd"],
    ["/proc/self/fd/0", "/dev/stdin"],
    ["/proc/self/fd/1", "/dev/stdout"],
    ["/proc/self/fd/2", "/dev/stderr"],
    ["pts/ptmx", "/dev/ptmx"],
  ]
  return [...given, ...devices, ...links.map(([target, path]): Step => ({ kind: "symlink", target, path }))]
}

/** Masked and read-only paths; only those that this kernel has. */
export function hiddenSteps(spec: Spec, facts: Facts): Step[] {
  const readonly = spec.linux.readonlyPaths.filter((path) => facts.present.has(path))
  const masked = spec.linux.maskedPaths.flatMap((path): Step[] => {
    const found = facts.present.get(path)
    return found ? [{ kind: "mask", path, directory: found.directory }] : []
  })
  return [
    ...readonly.map((path): Step => ({ kind: "readonly-path", path })),
    ...(masked.length > 0 ? [{ kind: "mask-source", path: facts.scratchMountPoint } satisfies Step] : []),
    ...masked,
  ]
}
