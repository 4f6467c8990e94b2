import { expect, test } from "bun:test"
import { mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { callResult } from "../../ffi/call.ts"
import { O_CLOEXEC, O_DIRECTORY, O_PATH, RESOLVE_IN_ROOT } from "../../ffi/constants/fcntl.ts"
import { close, open } from "../../ffi/fs.ts"
import { openat2 } from "../../ffi/openat2.ts"
import { OPEN_HOW_SIZE, openHow } from "../../ffi/structs.ts"
import { whileRenaming } from "../helpers/renaming.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

test('a way with ".." is opened, whatever is renamed on this machine meanwhile', async () => {
  const root = temporaryDirectory("root")
  mkdirSync(join(root, "a/b"), { recursive: true })
  symlinkSync("../../a", join(root, "a/b/way"))
  const fd = open(root, O_PATH | O_DIRECTORY)
  const how = openHow(O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT)
  const results = new Set<number>()
  try {
    await whileRenaming(() => {
      let refused = 0
      for (const end = performance.now() + 5000; refused < 3 && performance.now() < end; ) {
        for (let i = 0; i < 1000; i++) {
          const plain = callResult("openat2", fd, "a/b/way/b/../b", how, OPEN_HOW_SIZE)
          if (plain >= 0) close(plain)
          else refused++
          const patient = openat2(fd, "a/b/way/b/../b", how)
          if (patient >= 0) close(patient)
          else results.add(patient)
        }
      }
    })
    expect([...results]).toEqual([])
  } finally {
    close(fd)
  }
}, 20_000)
