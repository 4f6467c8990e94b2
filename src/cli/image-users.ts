/** Which containers use images, and layers of them. */
import { containersByImage, containersByRoot } from "../container/list.ts"
import type { Users } from "../image/store/remove.ts"
import type { Paths } from "../paths.ts"

export const imageUsers = (paths: Paths): Users => ({
  ofImages: () => containersByImage(paths),
  ofRoots: () => containersByRoot(paths),
})
