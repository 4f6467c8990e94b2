import { join } from "node:path"

/** The root of the source tree. */
export const ROOT = join(import.meta.dir, "..")

/** Everything that is built goes below this directory, which version control ignores. */
export const DIST = join(ROOT, "dist")

/** Downloads, kept between builds. */
export const CACHE = join(DIST, "cache")
