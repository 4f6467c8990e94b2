/**
 * The embedded base image. package.json maps `#base/*` to dist/base/<architecture>/, which build/base-image.ts fills;
 * these declarations let the program type-check before that. The paths are read only when the image is laid out.
 */
declare module "#base/busybox" {
  /** Path of the embedded busybox binary. */
  const path: string
  export default path
}

declare module "#base/base.json" {
  /** Path of the embedded list of entries: `BaseEntry[]` of build/base-image.ts. */
  const path: string
  export default path
}

declare module "#base/digest.js" {
  /** SHA-256 over busybox and base.json, a constant of the build. */
  export const BASE_DIGEST: string
}
