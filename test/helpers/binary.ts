import { existsSync } from "node:fs"
import { resolve } from "node:path"

const DIST = resolve(import.meta.dir, "../../dist/toybox")

/** The executable under test: dist/toybox, or what TOYBOX_BINARY names. */
export function toyboxBinary(): string {
  const path = process.env.TOYBOX_BINARY ?? DIST
  if (!existsSync(path)) throw new Error(`${path} does not exist: npm run build`)
  return path
}
