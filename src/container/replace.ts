/** run --replace: making way for a container of the same name. */
import type { Paths } from "../paths.ts"
import { NameInUse } from "./name.ts"
import { removeNamed } from "./remove.ts"

// Each of several who want the same name at once may come in between.
const ATTEMPTS = 50

/** Removes what has the name, and makes another with it. Throws UsageError without a name. */
export async function replacing<T>(paths: Paths, name: string | undefined, make: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    removeNamed(paths, name)
    try {
      return await make()
    } catch (error) {
      if (!(error instanceof NameInUse) || attempt === ATTEMPTS) throw error
    }
  }
}
