/** CVE-2020-15257: abstract sockets belong to a network namespace, and a container on the host's network reaches all of them. */
import { expect, test } from "bun:test"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** Numbers of the sockets that a process has open. */
const sockets = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
    } catch {
      // Closed while it was being looked at.
      return []
    }
  })

test.skipIf(!isRoot)(
  "a supervisor has sockets, and none of them is abstract",
  async () => {
    const { stdout, stderr, exitCode } = await toybox(ownRun("-d", "-t", "-i", "base", "sleep", "600"))
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 })
    const id = stdout.trim()
    try {
      const state = readFileSync(join(stateRoot(), "run/running", id), "utf8")
      const own = sockets(JSON.parse(state).supervisor.pid)
      expect(own.length).toBeGreaterThan(0)
      const seen = await toybox(ownRun("--rm", "--net", "host", "base", "cat", "/proc/net/unix"))
      expect(seen.exitCode).toBe(0)
      // Num RefCount Protocol Flags Type St Inode Path, proc_net(5); an abstract path begins with @.
      const rows = seen.stdout.split("\n").map((line) => line.trim().split(/\s+/))
      const ours = rows.filter(([, , , , , , inode]) => own.includes(inode ?? ""))
      expect(ours.length).toBeGreaterThan(0)
      expect(ours.filter(([, , , , , , , path]) => path?.startsWith("@"))).toEqual([])
    } finally {
      expect((await toybox(["rm", "-f", id])).exitCode).toBe(0)
    }
    expect(await ownLeftovers()).toEqual([])
  },
  40_000,
)
