/** spec.mounts and spec.linux.{maskedPaths,readonlyPaths} → steps. */
import { MOUNT_ATTR_RDONLY, MS_SHARED, MS_SLAVE } from "../../ffi/constants/mount.ts"
import type { Mount, Spec } from "../oci/runtime.ts"
import type { CgroupMount, Facts } from "./facts.ts"
import { type MountOptions, parseMountOptions, propagationFlag } from "./mount-options.ts"
import { isNew } from "./namespaces.ts"
import type { Step } from "./steps.ts"

const readonlyStep = ({ destination: path }: Mount): Step => ({ kind: "readonly-mount", path })

/** Whether it is a tmpfs that becomes read-only with all that is made in it: mounts, devices, a terminal. */
function becomesReadonly(mount: Mount, { mounts }: Spec): boolean {
  const { attributes, ways } = parseMountOptions(mount.options)
  if (mount.type !== "tmpfs" || ways.has("remount") || !(attributes.set & MOUNT_ATTR_RDONLY)) return false
  // What covers it would be found in its place.
  return mounts.findLast(({ destination }) => destination === mount.destination) === mount
}

/** Those that could not be read-only from the first. */
export const readonlyMountSteps = (spec: Spec): Step[] =>
  spec.mounts.filter((mount) => becomesReadonly(mount, spec)).map(readonlyStep)

/** One mount of the cgroup tree per hierarchy where there are several: cgroups(7). */
function cgroupSteps(mount: Mount, facts: Facts): Step[] {
  const { attributes } = parseMountOptions(mount.options)
  const one = ({ name, type, options, path }: CgroupMount, target: string): Step =>
    path === undefined
      ? { kind: "mount", type, source: name, target, attributes, data: options }
      : { kind: "bind", source: path, target, directory: true, recursive: false, attributes, coverSymlink: false }
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
  const close = attributes.set & MOUNT_ATTR_RDONLY ? [readonlyStep(mount)] : []
  return [base, ...mounts.map((each) => one(each, `${mount.destination}/${each.name}`)), ...links_, ...close]
}

/** What ties a container's mounts may have with the host's: MS_SHARED, MS_SLAVE, or 0 for none. */
export function tiesWithHost({ linux: { rootfsPropagation = "" } }: Spec): number {
  return (propagationFlag(rootfsPropagation) ?? 0) & (MS_SHARED | MS_SLAVE)
}

function bindStep(mount: Mount, { attributes, recursive, ways }: MountOptions, spec: Spec, facts: Facts): Step {
  const { source, destination } = mount
  const found = facts.sources.get(source)
  if (ways.has("copy-symlink") && found?.link !== undefined) {
    return { kind: "symlink", path: destination, target: found.link }
  }
  const made = facts.madeMounts?.get(mount)
  const tied =
    made === undefined && attributes.propagation & (MS_SLAVE | MS_SHARED) && tiesWithHost(spec) && isNew(spec, "mount")
  return {
    kind: "bind",
    source,
    target: destination,
    directory: found?.directory ?? false,
    recursive,
    attributes,
    coverSymlink: facts.ownFiles.has(source) || ways.has("dest-nofollow"),
    ...(made === undefined ? {} : { fd: made }),
    ...(ways.has("src-nofollow") ? { sourceNoFollow: true } : {}),
    ...(tied ? { taken: true } : {}),
  }
}

// Their labels are the kernel's own, or are given by the policy.
const UNLABELLED = new Set(["proc", "sysfs", "mqueue", "cgroup", "cgroup2"])
/** strndup_user() of fsconfig(2), without the NUL. */
const LONGEST_VALUE = 255

function newMountStep(mount: Mount, { attributes, data }: MountOptions, spec: Spec, facts: Facts): Step {
  const { type, source, destination: target } = mount
  const label = spec.linux.mountLabel
  const mode = facts.coveredModes?.get(mount)
  const whole: typeof data = [
    ...data,
    ...(mode === undefined ? [] : [["mode", mode.toString(8)] as const]),
    ...(label && !UNLABELLED.has(type) ? [["context", label] as const] : []),
  ]
  const isLong = source.length > LONGEST_VALUE || whole.some(([, value]) => value && value.length > LONGEST_VALUE)
  const detour = isLong ? { detour: facts.scratchMountPoint } : {}
  return { kind: "mount", type, source, target, attributes, data: whole, ...detour }
}

/** Whether a mount before is of the same that the parent has made. */
const isAgain = (mount: Mount, made: number, { mounts }: Spec, { madeMounts }: Facts): boolean =>
  mounts.slice(0, mounts.indexOf(mount)).some((other) => madeMounts?.get(other) === made)

function mountStep(mount: Mount, spec: Spec, facts: Facts): Step[] {
  if (mount.type === "cgroup") return cgroupSteps(mount, facts)
  const options = parseMountOptions(mount.options)
  const { attributes, data, bind, ways } = options
  if (becomesReadonly(mount, spec)) attributes.set &= ~MOUNT_ATTR_RDONLY
  const isBind = bind || mount.type === "bind"
  if (ways.has("remount")) return [{ kind: "remount", target: mount.destination, attributes, data: isBind ? [] : data }]
  if (isBind) return [bindStep(mount, options, spec, facts)]
  const made = facts.madeMounts?.get(mount)
  if (made === undefined) return [newMountStep(mount, options, spec, facts)]
  const { source, destination: target } = mount
  const again = isAgain(mount, made, spec, facts) ? { again: true } : {}
  const where = { source, target, directory: true, coverSymlink: false }
  return [{ kind: "bind", ...where, recursive: false, attributes, fd: made, ...again }]
}

/** Everything mounted, in the order of the spec. */
export const mountSteps = (spec: Spec, facts: Facts): Step[] =>
  spec.mounts.flatMap((mount) => mountStep(mount, spec, facts))

/** What some of these mounts need before the propagation is cut. */
export function takeSteps(mounts: readonly Step[], spec: Spec): Step[] {
  const propagation = tiesWithHost(spec)
  if (propagation === 0) return []
  return mounts.flatMap((step): Step[] => {
    if (step.kind !== "bind" || !step.taken) return []
    const { source, target, recursive, sourceNoFollow = false } = step
    return [{ kind: "take-source", source, target, recursive, noFollow: sourceNoFollow, propagation }]
  })
}

/** Masked and read-only paths. */
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
