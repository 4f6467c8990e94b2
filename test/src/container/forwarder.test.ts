/** The process behind published ports, where it cannot be written down. */
import { expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { startForwarder } from "../../../src/container/forwarder.ts"
import { pathsFor } from "../../../src/paths.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../helpers/scratch.ts"

cleanUpAfterAll()

test("a process that nobody could find again is none", () => {
  const file = join(temporaryDirectory(), "file")
  writeFileSync(file, "")
  // No room is much the same as no directory.
  const paths = { ...pathsFor(temporaryDirectory()), networkRun: join(file, "networks") }
  expect(startForwarder(paths, "id", "2026-01-01T00:00:00.000Z", [])).toBe(0)
})
