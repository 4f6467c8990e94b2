/** What save and push make is taken, and run, by podman and docker; what those save is loaded. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { TestLayout, tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { startRegistry, type TestRegistry } from "../helpers/registry.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"
import { engineDirectory, runtimeLink, succeed, unavailable } from "./engine.ts"

cleanUpAfterAll()

const reason = unavailable("/usr/bin/podman", "/usr/bin/conmon", "/usr/bin/docker-registry")
if (reason !== undefined) console.warn(`images are not tested with podman: ${reason}`)

// The machine may lack CAP_SYS_RESOURCE, and podman raises limits unless they are named.
const OWN = ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]

describe.skipIf(reason !== undefined)("podman", () => {
  let base: string[] = []
  let registry: TestRegistry
  let id = ""
  const layout = new TestLayout()
  const podman = (...rest: string[]) => succeed([...base, ...rest])
  const runs = (name: string) => podman("run", "--rm", ...OWN, "--pull", "never", name)
  const file = () => join(temporaryDirectory("archive"), "a.tar")
  const ok = async (...words: string[]) => {
    const result = await toybox(words)
    expect(result).toMatchObject({ exitCode: 0 })
    return result.stdout
  }

  beforeAll(async () => {
    const directory = engineDirectory("root", "run", "tmp")
    base = [
      ...["podman", "--root", join(directory, "root"), "--runroot", join(directory, "run")],
      ...["--tmpdir", join(directory, "tmp"), "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"],
      ...["--events-backend", "file", "--runtime", runtimeLink()],
    ]
    registry = await startRegistry()
    const changes = temporaryDirectory("changes")
    chmodSync(changes, 0o755)
    writeFileSync(join(changes, "seen"), "by podman\n")
    const layers = [tarOf(makeRoot()), tarOf(changes, "--format=pax")]
    layout.tags({ v1: layout.image({ layers, config: { Cmd: ["cat", "/seen"] } }) })
    await ok("pull", "-q", "--keep-blobs", `oci:${layout.dir}:v1`)
    for (const name of ["example.org/saved:1", "short"]) await ok("tag", `oci:${layout.dir}:v1`, name)
    id = (await ok("images", "-q", "--no-trunc")).trim().slice(7)
  }, 60_000)

  afterAll(async () => {
    await registry.stop()
    succeed([...base, "rmi", "--all", "--force"])
  })

  test.each([
    ["docker-archive", ["example.org/saved:1", "short"]],
    // Of these podman loads only those of one image.
    ["oci-archive", ["example.org/saved:1"]],
    ["oci-archive", ["short"]],
  ])("loads and runs a %s of %j", async (format, images) => {
    const path = file()
    await ok("save", "--format", format, "-o", path, ...images)
    podman("load", "-i", path)
    const names = podman("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").split("\n")
    const whole = images.map((name) => (name === "short" ? "docker.io/library/short:latest" : name))
    expect(names.sort()).toEqual(whole.map((name) => `${name} sha256:${id}`).sort())
    for (const name of whole) expect(runs(name)).toBe("by podman")
    podman("rmi", "--all", "--force")
  })

  test("pulls and runs what was pushed, kept or compressed anew", async () => {
    await ok("push", "-q", "short", `${registry.host}/kept:1`)
    // Made again of a plain archive: by way of a store that does not have the blobs.
    const path = file()
    await ok("save", "-o", path, "short")
    const other = temporaryDirectory("state")
    chmodSync(other, 0o700)
    await ok("load", "--root", other, "-q", "-i", path)
    await ok("push", "--root", other, "-q", "short", `${registry.host}/anew:1`)
    for (const name of ["kept:1", "anew:1"]) {
      podman("pull", "--tls-verify=false", `${registry.host}/${name}`)
      expect(runs(`${registry.host}/${name}`)).toBe("by podman")
      expect(podman("image", "inspect", "--format", "{{.Id}}", `${registry.host}/${name}`)).toBe(id)
    }
  })

  test("saves what is loaded here", async () => {
    const path = file()
    await ok("save", "-o", path, "example.org/saved:1")
    podman("load", "-i", path)
    for (const format of ["docker-archive", "oci-archive"]) {
      const saved = file()
      podman("save", "--format", format, "-o", saved, "example.org/saved:1")
      const root = temporaryDirectory("state")
      chmodSync(root, 0o700)
      expect(await ok("load", "--root", root, "-i", saved)).toBe("Loaded image: example.org/saved:1\n")
      expect((await toybox(ownRun("--root", root, "--rm", "example.org/saved:1"))).stdout).toBe("by podman\n")
    }
    const many = file()
    podman("tag", "example.org/saved:1", "example.org/other:2")
    podman("save", "--multi-image-archive", "-o", many, "example.org/saved:1", "example.org/other:2")
    const root = temporaryDirectory("state")
    chmodSync(root, 0o700)
    const loaded = await ok("load", "--root", root, "-i", many)
    expect(loaded.split("\n").sort().slice(1)).toEqual([
      "Loaded image: example.org/other:2",
      "Loaded image: example.org/saved:1",
    ])
  })

  test("leaves nothing of our containers", async () => {
    expect(await ownLeftovers()).toEqual([])
  })
})
