import { expect, test } from "bun:test"
import { mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { O_DIRECTORY, O_PATH } from "../../../ffi/constants/fcntl.ts"
import { close, open } from "../../../ffi/fs.ts"
import { createTargetDirectories } from "../../../src/copy/directories.ts"
import { containerTree } from "../../../src/copy/tree.ts"
import { whileRenaming } from "../../helpers/renaming.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../helpers/scratch.ts"

cleanUpAfterAll()

test("what is copied is found by a symlink that leads upwards, whatever is renamed on this machine meanwhile", async () => {
  const root = temporaryDirectory("root")
  mkdirSync(join(root, "var"))
  mkdirSync(join(root, "run"))
  symlinkSync("../run", join(root, "var/run"))
  const fd = open(root, O_PATH | O_DIRECTORY)
  const tree = containerTree((path) => ({ rootFd: fd, path, readOnly: false }), "web")
  const results = new Set<number>()
  try {
    await whileRenaming(() => {
      for (const end = performance.now() + 2000; performance.now() < end; ) {
        const found = tree.open("/var/run", O_PATH)
        if (found >= 0) close(found)
        else results.add(found)
        // Throws where it is not found.
        const directories = createTargetDirectories({ rootFd: fd, directory: "/var/run", follow: true })
        directories.open([])
        directories.close()
      }
    })
  } finally {
    close(fd)
  }
  expect([...results]).toEqual([])
}, 20_000)
