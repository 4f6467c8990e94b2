/** A machine on which something is always being renamed. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { temporaryDirectory } from "./scratch.ts"

const SCRIPT = 'cd "$1"; mkdir x; while :; do for n in 1 2 3 4 5 6 7 8; do mv x y; mv y x; done; done'

/** Carries something out while others rename. */
export async function whileRenaming(action: () => void): Promise<void> {
  const renaming = temporaryDirectory("renaming")
  const others = Array.from({ length: 2 }, (_, i) => {
    mkdirSync(join(renaming, `${i}`))
    return Bun.spawn(["sh", "-c", SCRIPT, "sh", join(renaming, `${i}`)], { stdout: "ignore", stderr: "ignore" })
  })
  try {
    action()
  } finally {
    for (const other of others) {
      other.kill("SIGKILL")
      await other.exited
    }
  }
}
