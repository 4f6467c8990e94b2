/** Mount option strings as the OCI runtime-spec and mount(8) have them → attributes, propagation and data. */
import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_RELATIME,
  MOUNT_ATTR_STRICTATIME,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from "../../ffi/constants/mount.ts"
import type { MountAttributes } from "./steps.ts"

interface AttributeRow {
  set: number
  clear: number
}

/** One row an option; with the prefix "r" it applies to the whole tree ("rro", "rnosuid", …). */
const ATTRIBUTES: Record<string, AttributeRow> = {
  ro: { set: MOUNT_ATTR_RDONLY, clear: 0 },
  rw: { set: 0, clear: MOUNT_ATTR_RDONLY },
  nosuid: { set: MOUNT_ATTR_NOSUID, clear: 0 },
  suid: { set: 0, clear: MOUNT_ATTR_NOSUID },
  nodev: { set: MOUNT_ATTR_NODEV, clear: 0 },
  dev: { set: 0, clear: MOUNT_ATTR_NODEV },
  noexec: { set: MOUNT_ATTR_NOEXEC, clear: 0 },
  exec: { set: 0, clear: MOUNT_ATTR_NOEXEC },
  nosymfollow: { set: MOUNT_ATTR_NOSYMFOLLOW, clear: 0 },
  symfollow: { set: 0, clear: MOUNT_ATTR_NOSYMFOLLOW },
  noatime: { set: MOUNT_ATTR_NOATIME, clear: MOUNT_ATTR__ATIME },
  relatime: { set: MOUNT_ATTR_RELATIME, clear: MOUNT_ATTR__ATIME },
  strictatime: { set: MOUNT_ATTR_STRICTATIME, clear: MOUNT_ATTR__ATIME },
  nodiratime: { set: MOUNT_ATTR_NODIRATIME, clear: 0 },
  diratime: { set: 0, clear: MOUNT_ATTR_NODIRATIME },
  // The opposites, as mount(8) has them, lead back to the default: relatime.
  atime: { set: MOUNT_ATTR_RELATIME, clear: MOUNT_ATTR__ATIME },
  norelatime: { set: MOUNT_ATTR_STRICTATIME, clear: MOUNT_ATTR__ATIME },
  nostrictatime: { set: MOUNT_ATTR_RELATIME, clear: MOUNT_ATTR__ATIME },
}

/** Options that say what is usual, for mount(8) and older kernels; buildah has an empty one for volumes. */
const USUAL = new Set(["", "defaults", "silent", "loud", "acl"])

/** Options of the runtime-spec and of other runtimes that are about the mount point. */
const WAYS = ["remount", "tmpcopyup", "copy-symlink", "src-nofollow", "dest-nofollow", "idmap", "ridmap"] as const
type Way = (typeof WAYS)[number]
const isWay = (option: string): option is Way => (WAYS as readonly string[]).includes(option)

const PROPAGATION: Record<string, number> = {
  private: MS_PRIVATE,
  rprivate: MS_PRIVATE,
  shared: MS_SHARED,
  rshared: MS_SHARED,
  slave: MS_SLAVE,
  rslave: MS_SLAVE,
  unbindable: MS_UNBINDABLE,
  runbindable: MS_UNBINDABLE,
}

/** What a list of options says. `data` goes to fsconfig(2): a flag where the value is null. */
export interface MountOptions {
  attributes: MountAttributes
  data: (readonly [string, string | null])[]
  bind: boolean
  recursive: boolean
  ways: ReadonlySet<Way>
}

/** Whether `option` is an attribute, a propagation or a kind of bind, and so no data of a file system. */
export const isMountOption = (option: string): boolean =>
  Object.hasOwn(ATTRIBUTES, option) || Object.hasOwn(PROPAGATION, option) || option === "bind" || option === "rbind"

/** Every option that is not passed on to a file system. */
export const mountOptionNames = (): string[] => {
  const attributes = Object.keys(ATTRIBUTES)
  return [...attributes, ...attributes.map((name) => `r${name}`), ...Object.keys(PROPAGATION), ...WAYS, "bind", "rbind"]
}

/** The MS_* flag of a propagation word, or undefined. */
export const propagationFlag = (word: string): number | undefined =>
  Object.hasOwn(PROPAGATION, word) ? PROPAGATION[word] : undefined

/** Reads option strings in order; a later one wins over an earlier one. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  const attributes: MountAttributes = { set: 0, clear: 0, recursiveSet: 0, recursiveClear: 0, propagation: 0 }
  const ways = new Set<Way>()
  const result: MountOptions = { attributes, data: [], bind: false, recursive: false, ways }
  for (const option of options) {
    const row = Object.hasOwn(ATTRIBUTES, option) ? ATTRIBUTES[option] : undefined
    const tree =
      option.startsWith("r") && Object.hasOwn(ATTRIBUTES, option.slice(1)) ? ATTRIBUTES[option.slice(1)] : undefined
    if (row) {
      attributes.set = (attributes.set & ~row.clear) | row.set
      attributes.clear = (attributes.clear & ~row.set) | row.clear
    } else if (tree) {
      attributes.recursiveSet = (attributes.recursiveSet & ~tree.clear) | tree.set
      attributes.recursiveClear = (attributes.recursiveClear & ~tree.set) | tree.clear
    } else if (Object.hasOwn(PROPAGATION, option)) {
      attributes.propagation = PROPAGATION[option] ?? 0
    } else if (option === "bind" || option === "rbind") {
      result.bind = true
      result.recursive = option === "rbind"
    } else if (isWay(option)) {
      ways.add(option)
    } else if (!USUAL.has(option)) {
      const equals = option.indexOf("=")
      result.data.push(equals < 0 ? [option, null] : [option.slice(0, equals), option.slice(equals + 1)])
    }
  }
  return result
}
