/** Bundles without a mount namespace of their own: the runtime's, or that of others. */
import { afterEach, describe, expect, test } from "bun:test"
import { existsSync, readFileSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { bundleRoot, ociRuntime } from "../helpers/bundle.ts"
import { hostMounts, parseMounts } from "../helpers/container.ts"
import { ownLeftovers } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)("a container in a mount namespace of others", () => {
  const oci = ociRuntime()
  afterEach(async () => {
    for (const id of oci.entries()) oci.run("delete", "--force", id)
    expect(oci.entries()).toEqual([])
    expect(await ownLeftovers()).toEqual([])
  })

  const namespaces = (path?: string) => [
    ...["pid", "network", "ipc", "uts"].map((type) => ({ type })),
    ...(path === undefined ? [] : [{ type: "mount", path }]),
  ]
  const bundle = (id: string, args: string[], path?: string, config: Record<string, unknown> = {}) =>
    oci.bundle(id, { args, linux: { namespaces: namespaces(path), maskedPaths: [], readonlyPaths: [] }, config })
  const below = <Mount extends { path: string }>(mounts: Mount[]) =>
    mounts.filter(({ path }) => path.startsWith(bundleRoot()))

  test("sees its root as the root, is entered there, and its mounts go with it", () => {
    const args = ["sh", "-c", "readlink /proc/self/ns/mnt; echo $(ls /); sleep 60"]
    expect(oci.run("run", "-d", "-b", bundle("a", args), "a")).toMatchObject({ exitCode: 0, stderr: "" })
    const { pid } = oci.state("a")
    expect(readlinkSync(`/proc/${pid}/ns/mnt`)).toBe(readlinkSync("/proc/self/ns/mnt"))
    expect(below(hostMounts()).map(({ path }) => path)).toContain(join(bundleRoot(), "proc"))
    const inside = oci.run("exec", "a", "sh", "-c", "echo $(ls /); readlink /proc/self/cwd")
    expect(inside).toMatchObject({ exitCode: 0, stderr: "" })
    expect(inside.stdout).toBe(
      `${[...new Bun.Glob("*").scanSync({ cwd: bundleRoot(), onlyFiles: false })].sort().join(" ")}\n/\n`,
    )
    expect(oci.run("delete", "--force", "a")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(below(hostMounts())).toEqual([])
  })

  test("leaves nothing where it cannot be made, and nothing of others is unmounted", () => {
    const root = bundleRoot()
    Bun.spawnSync(["mount", "--bind", root, root])
    try {
      const bad = bundle("a", ["true"], undefined, { mounts: [{ destination: "/x", type: "no-such", source: "x" }] })
      expect(oci.run("create", "-b", bad, "a").exitCode).toBe(1)
      expect(below(hostMounts()).length).toBe(1)
      expect(oci.run("run", "-b", bundle("b", ["true"]), "b")).toMatchObject({ exitCode: 0, stderr: "" })
      expect(below(hostMounts()).length).toBe(1)
    } finally {
      Bun.spawnSync(["umount", root])
    }
  })

  test("joins the one of a path, and leaves it as it was", async () => {
    const other = Bun.spawn(["unshare", "-m", "--propagation", "private", "sleep", "60"])
    const path = `/proc/${other.pid}/ns/mnt`
    try {
      while (readlinkSync(path) === readlinkSync("/proc/self/ns/mnt")) await Bun.sleep(5)
      const file = join(temporaryDirectory(), "pid")
      const made = oci.run("run", "-d", "--pid-file", file, "-b", bundle("a", ["sleep", "60"], path), "a")
      expect(made).toMatchObject({ exitCode: 0, stderr: "" })
      expect(readlinkSync(`/proc/${oci.state("a").pid}/ns/mnt`)).toBe(readlinkSync(path))
      expect(below(hostMounts())).toEqual([])
      const theirs = async () => parseMounts(await Bun.file(`/proc/${other.pid}/mountinfo`).text())
      expect(below(await theirs()).length).toBeGreaterThan(1)
      expect(oci.run("exec", "a", "cat", "/proc/1/comm")).toMatchObject({ stdout: "sleep\n", stderr: "" })
      expect(oci.run("delete", "--force", "a")).toMatchObject({ exitCode: 0, stderr: "" })
      expect(below(await theirs())).toEqual([])
      // What its owner has mounted there since is not the container's.
      expect(oci.run("run", "-d", "-b", bundle("b", ["sleep", "60"], path), "b")).toMatchObject({ exitCode: 0 })
      const script = `umount -l ${bundleRoot()} && mount -t tmpfs others ${bundleRoot()}`
      expect(Bun.spawnSync(["nsenter", "-m", "-t", `${other.pid}`, "sh", "-c", script]).exitCode).toBe(0)
      expect(oci.run("delete", "--force", "b")).toMatchObject({ exitCode: 0, stderr: "" })
      expect(below(await theirs()).map(({ type }) => type)).toEqual(["tmpfs"])
    } finally {
      other.kill()
      await other.exited
    }
  })

  test.each([[false], [true]])(
    "a create that was killed leaves no root mounted, in joined mounts %p",
    async (joins) => {
      const other = Bun.spawn(["unshare", "-m", "--propagation", "private", "sleep", "60"])
      const path = `/proc/${other.pid}/ns/mnt`
      try {
        while (readlinkSync(path) === readlinkSync("/proc/self/ns/mnt")) await Bun.sleep(5)
        const theirs = () =>
          below(parseMounts(readFileSync(joins ? `/proc/${other.pid}/mountinfo` : "/proc/self/mountinfo", "utf8")))
        const hooks = { createRuntime: [{ path: "/bin/sleep", args: ["sleep", "3"] }] }
        const dir = bundle("a", ["true"], joins ? path : undefined, { hooks })
        const creating = Bun.spawn([toyboxBinary(), "oci", "--root", oci.root, "create", "-b", dir, "a"])
        for (let i = 0; i < 500 && theirs().length < 3; i++) await Bun.sleep(5)
        creating.kill("SIGKILL")
        await creating.exited
        expect(theirs().length).toBeGreaterThan(0)
        expect(oci.run("delete", "--force", "a")).toMatchObject({ exitCode: 0, stderr: "" })
        expect(theirs()).toEqual([])
      } finally {
        other.kill()
        await other.exited
      }
    },
  )

  test.each([["a"], ["b"]])("two on one root: each takes its own mounts along, the first to go is %s", (first) => {
    const args = ["sleep", "60"]
    const counts = ["a", "b"].map((id) => {
      expect(oci.run("run", "-d", "-b", bundle(id, args), id)).toMatchObject({ exitCode: 0, stderr: "" })
      return below(hostMounts()).length
    })
    const other = first === "a" ? "b" : "a"
    expect(oci.run("delete", "--force", first)).toMatchObject({ exitCode: 0, stderr: "" })
    // Those that the other's root covers go with it.
    expect(below(hostMounts()).length).toBe(counts[first === "a" ? 1 : 0] ?? 0)
    const look = oci.run("exec", other, "cat", "/proc/1/comm")
    expect(look).toMatchObject({ exitCode: 0, stderr: "", stdout: "sleep\n" })
    expect(oci.run("delete", "--force", other)).toMatchObject({ exitCode: 0, stderr: "" })
    expect(below(hostMounts())).toEqual([])
  })

  test("two on one root, known in different places: what the one covers goes with it", () => {
    const other = ociRuntime()
    const args = ["sleep", "60"]
    expect(oci.run("run", "-d", "-b", bundle("a", args), "a")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(other.run("run", "-d", "-b", bundle("b", args), "b")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(oci.run("delete", "--force", "a")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(other.run("exec", "b", "cat", "/proc/1/comm")).toMatchObject({ exitCode: 0, stderr: "", stdout: "sleep\n" })
    expect(other.run("delete", "--force", "b")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(below(hostMounts())).toEqual([])
  })

  test("what others have mounted on its root stays", () => {
    const root = bundleRoot()
    expect(oci.run("run", "-d", "-b", bundle("a", ["sleep", "60"]), "a")).toMatchObject({ exitCode: 0, stderr: "" })
    Bun.spawnSync(["umount", "-l", root])
    Bun.spawnSync(["mount", "-t", "tmpfs", "others", root])
    try {
      expect(oci.run("delete", "--force", "a")).toMatchObject({ exitCode: 0, stderr: "" })
      expect(below(hostMounts()).map(({ type }) => type)).toEqual(["tmpfs"])
    } finally {
      Bun.spawnSync(["umount", root])
    }
  })

  test("can be deleted where the file of its namespace is of none any more; its hooks run", async () => {
    const other = Bun.spawn(["unshare", "-m", "--propagation", "private", "sleep", "60"])
    const dir = temporaryDirectory("bound")
    const path = join(dir, "mnt")
    try {
      // Of a shared mount a file of a mount namespace cannot be bound to others.
      const bind = `mount --bind ${dir} ${dir} && mount --make-private ${dir} && touch ${path} && mount --bind /proc/${other.pid}/ns/mnt ${path}`
      while (readlinkSync(`/proc/${other.pid}/ns/mnt`) === readlinkSync("/proc/self/ns/mnt")) await Bun.sleep(5)
      expect(Bun.spawnSync(["sh", "-c", bind]).exitCode).toBe(0)
      const hooks = { poststop: [{ path: "/bin/touch", args: ["touch", join(dir, "stopped")] }] }
      const made = oci.run("run", "-d", "-b", bundle("a", ["sleep", "60"], path, { hooks }), "a")
      expect(made).toMatchObject({ exitCode: 0, stderr: "" })
      Bun.spawnSync(["umount", path])
      const { exitCode, stderr } = oci.run("delete", "--force", "a")
      expect(exitCode).toBe(0)
      expect(stderr).toContain("cannot unmount the root of container a")
      expect(existsSync(join(dir, "stopped"))).toBe(true)
      expect(oci.entries()).toEqual([])
    } finally {
      other.kill()
      await other.exited
      Bun.spawnSync(["umount", "-R", dir])
    }
  })

  test("cannot have masked paths: they would be masked for others, too", () => {
    const { stderr } = oci.run("create", "-b", oci.bundle("a", { linux: { namespaces: namespaces() } }), "a")
    expect(stderr).toContain("linux.maskedPaths: needs a new mount namespace")
  })
})
