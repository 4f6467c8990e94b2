import { expect, test } from "bun:test"
import { decodeRecord, type OciRecord } from "../../../../src/container/oci/record.ts"
import { UsageError } from "../../../../src/errors.ts"
import { random } from "../../cgroup/random.ts"

const RECORD: OciRecord = {
  ociVersion: "1.2.0",
  id: "a",
  bundle: "/bundle",
  rootfs: "/bundle/rootfs",
  created: "2025-01-01T00:00:00.000Z",
  owner: "root",
  pid: 7,
  startTime: "123456",
  complete: true,
  cgroup: { version: 1, path: "/a", dirs: { pids: "/sys/fs/cgroup/pids/a" }, parents: [] },
  annotations: { k: "v" },
}

test("a record is read as it was written", () => {
  for (const record of [RECORD, { ...RECORD, cgroup: null }]) {
    expect(decodeRecord(JSON.stringify(record))).toEqual(record)
  }
})

test("of a later toybox, it may have more in it", () => {
  expect(decodeRecord(JSON.stringify({ ...RECORD, later: 1 }))).toEqual(RECORD)
})

test("a text with any damage is read, or refused with one error that names the file or is one of syntax (seed 3)", () => {
  const source = random(3)
  const text = JSON.stringify(RECORD)
  let refused = 0
  for (let round = 0; round < 3000; round++) {
    const at = source.int(0, text.length)
    const damaged =
      text.slice(0, at) + source.pick(["", "{", "0", "null", '"', "-1", "[]"]) + text.slice(at + source.int(0, 9))
    try {
      const { pid, cgroup } = decodeRecord(damaged)
      expect(Number.isSafeInteger(pid) && pid >= 0).toBe(true)
      expect(cgroup === null || typeof cgroup.dirs === "object").toBe(true)
    } catch (error) {
      if (!(error instanceof SyntaxError)) {
        expect(error).toBeInstanceOf(UsageError)
        expect((error as Error).message).toStartWith("state.json: ")
      }
      refused++
    }
  }
  expect(refused).toBeGreaterThan(1000)
})
