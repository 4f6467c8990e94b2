import { expect, test } from "bun:test"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { runList } from "../../../../ffi/call.ts"
import type { Call } from "../../../../ffi/calls.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../../../ffi/constants/fcntl.ts"
import { openTarget, ROOT, TARGET } from "../../../../src/launch/encode/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"

cleanUpAfterAll()

/** As if the first attempt had come to nothing: openat2(2) gives EAGAIN by chance. */
function openLater(root: string, path: string): void {
  const opened: Call = { name: "openat", args: [AT_FDCWD, root, O_PATH | O_DIRECTORY | O_CLOEXEC, 0], into: ROOT }
  const close = (fd: typeof ROOT): Call => ({ name: "close", args: [fd] })
  const [, ...calls] = openTarget(path, "file")
  runList([opened, ...calls, close(TARGET), close(ROOT)])
}

test("the place of a file is opened at the second attempt, too: also where it is a symlink", () => {
  const root = temporaryDirectory("root")
  mkdirSync(join(root, "etc"))
  writeFileSync(join(root, "etc/file"), "")
  symlinkSync("../etc/file", join(root, "etc/link"))
  symlinkSync("nowhere", join(root, "etc/lost"))
  for (const path of ["/etc/file", "/etc/link", "/etc/new"]) expect(() => openLater(root, path)).not.toThrow()
  expect(() => openLater(root, "/etc/lost")).toThrow("ENOENT")
})
