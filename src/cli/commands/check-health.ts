/** What a supervisor has toybox called as, to look at a container's health. */
import { checkHealth } from "../../container/probe.ts"
import { UsageError } from "../../errors.ts"
import { pathsFor } from "../../paths.ts"

/** `check-health ID STARTED`. */
export async function checkHealthCommand([id, started]: readonly string[]): Promise<number> {
  if (id === undefined || started === undefined) throw new UsageError("check-health is for toybox itself")
  return checkHealth(pathsFor(process.env.TOYBOX_ROOT), id, started)
}
