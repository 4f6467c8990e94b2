/** What is told of the process that unpacks, where that cannot begin: the one that runs tests is no toybox. */
import { expect, test } from "bun:test"
import { O_DIRECTORY, O_RDONLY } from "../../../../ffi/constants/fcntl.ts"
import { listDir } from "../../../../ffi/directory.ts"
import { close, open, readLink } from "../../../../ffi/fs.ts"
import { unpackApart } from "../../../../src/image/layer/apart.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"

cleanUpAfterAll()

async function* nothing() {}

async function apart(held: (fd: number) => number, signal?: AbortSignal): Promise<void> {
  const target = temporaryDirectory("apart")
  const fd = open(target, O_RDONLY | O_DIRECTORY)
  try {
    await unpackApart(nothing(), { name: "a layer", target, whiteouts: "overlay" }, { held: held(fd), nice: 0, signal })
  } finally {
    close(fd)
  }
}

const own = (fd: number) => fd

test("one that exits before it tells is told with its code", async () => {
  await expect(apart(own)).rejects.toThrow("cannot unpack a layer: the process for it exited with code 1")
})

test("one that cannot be started is told with the layer, and leaves no descriptor", async () => {
  const pipes = () =>
    listDir("/proc/self/fd").filter((fd) => readLink(`/proc/self/fd/${fd}`)?.startsWith("pipe:")).length
  const before = pipes()
  await expect(apart(() => 999_999)).rejects.toThrow("cannot start the process that unpacks a layer")
  // What others have left open may have been closed meanwhile.
  expect(pipes()).toBeLessThanOrEqual(before)
})

test("none is started where it was given up before", async () => {
  await expect(apart(own, AbortSignal.abort(new Error("given up")))).rejects.toThrow("given up")
})
