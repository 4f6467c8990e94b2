/** The directories of a container's overlay, and how it is mounted: overlayfs.rst. */
import type { Step } from "../plan/steps.ts"

export interface OverlayLayout {
  upper: string
  work: string
  /** Where the root is attached, in the container's mount namespace only. */
  merged: string
}

export const overlayLayout = (container: string): OverlayLayout => ({
  upper: `${container}/upper`,
  work: `${container}/work`,
  merged: `${container}/merged`,
})

/**
 * The options of every overlay of ours. redirect_dir and metacopy stay off: with them the upper directory alone does not
 * tell what changed. volatile spares a sync of the whole disk at unmount, for what is thrown away anyway.
 */
function overlayOptions(disposable: boolean): string[] {
  return ["redirect_dir=off", "metacopy=off", ...(disposable ? ["volatile"] : [])]
}

/** Mode and owner of a root directory. */
export interface RootOwner {
  mode: number
  uid: number
  gid: number
}

/**
 * Directories and mount. `disposable`: the upper directory is removed with the container. The merged root is the upper
 * directory, and so has to be like the image's (`owner`). `layers` are those below `lower`.
 */
export function overlaySteps(
  lower: string,
  layout: OverlayLayout,
  disposable: boolean,
  owner: RootOwner | null,
  layers: { below: readonly string[]; links: Uint8Array } | null = null,
): Step[] {
  const { upper, work, merged } = layout
  return [
    isUsual(owner)
      ? { kind: "mkdir", path: upper, mode: 0o755 }
      : { kind: "mkdir", path: upper, mode: owner.mode & 0o7777, owner },
    { kind: "mkdir", path: work, mode: 0o700 },
    { kind: "mkdir", path: merged, mode: 0o700 },
    { kind: "overlay", lower, ...layers, upper, work, merged, options: overlayOptions(disposable) },
  ]
}

const isUsual = (owner: RootOwner | null): owner is null =>
  owner === null || (owner.uid === 0 && owner.gid === 0 && (owner.mode & 0o7777) === 0o755)

/** The fallback where overlayfs is refused: `copy`, a full copy of the root, is bound. */
export function copySteps(copy: string, layout: OverlayLayout): Step[] {
  return [
    { kind: "mkdir", path: layout.work, mode: 0o700 },
    { kind: "mkdir", path: layout.merged, mode: 0o700 },
    { kind: "bind-root", path: copy },
  ]
}
