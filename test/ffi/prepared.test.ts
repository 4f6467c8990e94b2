import { expect, test } from "bun:test"
import { readFileSync, statSync } from "node:fs"
import { slot } from "../../ffi/calls.ts"
import { AT_FDCWD, O_CREAT, O_EXCL, O_WRONLY } from "../../ffi/constants/fcntl.ts"
import { addressOf, prepareList, takeWords } from "../../ffi/prepared.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const EEXIST = 17

test("a list is carried out again and again, with other arguments", () => {
  const dir = temporaryDirectory()
  const fd = slot("file")
  const times = takeWords(4)
  const list = prepareList([
    { name: "openat", args: [AT_FDCWD, 0, O_WRONLY | O_CREAT | O_EXCL, 0o600], into: fd },
    { name: "write", args: [fd, 0, 0], fails: { mask: -1, unless: 0 } },
    { name: "futimens", args: [fd, times.address] },
    { name: "close", args: [fd] },
  ])
  const make = (name: string, content: string, expected = content.length) => {
    const path = Buffer.from(`${dir}/${name}\0`)
    const bytes = Buffer.from(content)
    list.set(0, 1, addressOf(path))
    list.set(1, 1, addressOf(bytes))
    list.set(1, 2, bytes.length)
    list.expect(1, expected)
    return list.run()
  }
  for (let i = 1; i <= 100; i++) {
    times.set(2, -i)
    times.set(3, 5e8)
    expect(make(`${i}`, "x".repeat(i))).toBe(4)
  }
  expect(readFileSync(`${dir}/77`, "utf8")).toBe("x".repeat(77))
  expect(statSync(`${dir}/77`, { bigint: true }).mtimeNs).toBe(-76_500_000_000n)
  // The first that fails ends it, with its errno; a result other than expected is a failure, too.
  expect([make("77", "y"), list.errno(0)]).toEqual([0, EEXIST])
  expect([make("new", "abc", 4), list.result(1)]).toEqual([1, 3])
  expect(make("newer", "abc")).toBe(4)
})
