/** What a power cut, a full disk or a hand has made of the files of an OCI container. */
import { afterEach, describe, expect, test } from "bun:test"
import { existsSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { ociRuntime } from "../helpers/bundle.ts"
import { cgroupParent, hierarchies, ownLeftovers } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

cleanUpAfterAll()

// Right below the root: which of the cgroups above it were made for it is known to the state alone.
const CGROUP = `/${basename(cgroupParent())}`
const isRoot = process.getuid?.() === 0

/** A process that is on its way out is still in its cgroup. */
async function removeCgroup(path: string): Promise<void> {
  for (const end = performance.now() + 20_000; existsSync(path); await Bun.sleep(10)) {
    try {
      rmdirSync(path)
    } catch (error) {
      if (performance.now() > end) throw error
    }
  }
}

describe.skipIf(!isRoot)("an OCI container whose state is damaged", () => {
  const oci = ociRuntime()
  const stateFile = () => join(oci.root, "a/state.json")
  // One that has ended, and that nobody has waited for yet, has no words any more.
  const isThere = (pid: number) =>
    existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith("sleep")

  afterEach(async () => {
    for (const id of oci.entries()) oci.run("delete", "--force", id)
    expect(oci.entries()).toEqual([])
    expect(hierarchies().filter((path) => existsSync(join(path, CGROUP)))).toEqual([])
    expect(await ownLeftovers()).toEqual([])
  })

  function startDamaged(damage: (text: string) => string): number {
    const bundle = oci.bundle("a", { args: ["sleep", "600"], linux: { cgroupsPath: CGROUP } })
    expect(oci.run("run", "--detach", "-b", bundle, "a").exitCode).toBe(0)
    const pid = Number(oci.state("a").pid)
    writeFileSync(stateFile(), damage(readFileSync(stateFile(), "utf8")))
    return pid
  }

  const changed = (change: Record<string, unknown>) => (text: string) =>
    JSON.stringify({ ...JSON.parse(text), ...change })

  test.each([
    ["an empty file", () => "", "JSON"],
    ["half of it", (text: string) => text.slice(0, 40), "JSON"],
    ["a list", () => "[]", "state.json: must be an object"],
    ["a pid that is none", changed({ pid: "1" }), "state.json: pid: must be a whole number"],
    ["no pid", changed({ pid: undefined }), "state.json: pid: is missing"],
    ["another container's", changed({ id: "b" }), 'it is that of container "b"'],
    ["a cgroup that is none", changed({ cgroup: { version: 3 } }), "state.json: cgroup"],
  ])("%s: every command says so in one error, and delete --force ends it", (_, damage, why) => {
    const pid = startDamaged(damage)
    for (const words of [
      ["state", "a"],
      ["kill", "a"],
      ["exec", "a", "true"],
      ["ps", "a"],
      ["delete", "a"],
    ]) {
      const { exitCode, stdout, stderr } = oci.run(...words)
      expect({ words, exitCode, stdout }).toEqual({ words, exitCode: words[0] === "exec" ? 255 : 1, stdout: "" })
      expect(stderr).toContain("the state of container a is damaged")
      expect(stderr).toContain(why)
      expect(stderr).toContain("remove it: delete --force a")
    }
    expect(isThere(pid)).toBe(true)
    expect(oci.run("list").stderr).toContain("the state of container a is damaged")
    expect(oci.run("delete", "--force", "a")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(isThere(pid)).toBe(false)
    expect(oci.entries()).toEqual([])
  })

  test("and its configuration, too: it is removed, and what may be left is told", async () => {
    const pid = startDamaged(() => "{}")
    rmSync(join(oci.root, "a/config.json"))
    try {
      const removed = oci.run("delete", "--force", "a")
      expect(removed.exitCode).toBe(0)
      expect(removed.stderr).toContain("processes of container a may be left")
      expect(oci.entries()).toEqual([])
    } finally {
      process.kill(pid, "SIGKILL")
      for (const path of hierarchies().map((path) => join(path, CGROUP))) await removeCgroup(path)
    }
  })
})
