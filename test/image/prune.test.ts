/** toybox df and prune: what takes room, and that what is used stays. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeArchive } from "../helpers/archive.ts"
import { toyboxBinary } from "../helpers/binary.ts"
import { makeNamespace, type Namespace } from "../helpers/network.ts"
import { TestLayout, tarOf } from "../helpers/oci-layout.ts"
import { ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { dockerArchive } from "../helpers/saved.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { stateRoot, toybox } from "../helpers/toybox.ts"
import { terminal } from "../helpers/tty.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

interface Pruned {
  containers: string[]
  networks: string[]
  images: string[]
  layers: string[]
  cache: string[]
  reclaimed: number
}

async function succeed(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await toybox(words)
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.trimEnd()
}

const prune = async (...options: string[]): Promise<Pruned> =>
  JSON.parse(await succeed("prune", "--force", "--json", ...options))
const rows = async () =>
  Object.fromEntries(
    (await succeed("df", "--json")).split("\n").map((line) => {
      const { type, ...rest } = JSON.parse(line)
      return [type, rest]
    }),
  )

describe.skipIf(!isRoot)("toybox df and prune", () => {
  const directory = temporaryDirectory("images")
  let base: Uint8Array
  let top: Uint8Array

  const load = async (name: string | null, layers: Uint8Array[]) => {
    const file = join(directory, "image.tar")
    writeFileSync(file, dockerArchive([{ layers, tags: name === null ? null : [`${name}:latest`] }]))
    await succeed("load", "-i", file)
  }

  beforeAll(() => {
    base = tarOf(makeRoot())
    top = tarOf(makeRoot({ files: { "opt/top": "x".repeat(100_000) } }))
  })

  test("df counts each layer once, and tells what could be had back", async () => {
    expect(await rows()).toEqual({
      Images: { total: 0, active: 0, size: 0, reclaimable: 0 },
      Containers: { total: 0, active: 0, size: 0, reclaimable: 0 },
      "Local Volumes": { total: 0, active: 0, size: 0, reclaimable: 0 },
      "Archive Cache": { total: 0, active: 0, size: 0, reclaimable: 0 },
    })
    await load("low", [base])
    await load("high", [base, top])
    const archive = makeArchive("root.tar")
    await succeed(...ownRun("--rm", "-q", archive, "true"))
    await succeed(...ownRun("--name", "wrote", "low", "sh", "-c", "printf 12345 > /tmp/five"))
    await succeed(...ownRun("-d", "--name", "lives", "low", "sh", "-c", "printf 123 > /tmp/three; sleep 1000"))
    const size = base.length + top.length
    const { size: cached } = (await rows())["Archive Cache"]
    expect(cached).toBe(Bun.file(archive).size)
    expect(await rows()).toEqual({
      Images: { total: 2, active: 1, size, reclaimable: top.length },
      Containers: { total: 2, active: 1, size: 8, reclaimable: 5 },
      "Local Volumes": { total: 0, active: 0, size: 0, reclaimable: 0 },
      "Archive Cache": { total: 1, active: 0, size: cached, reclaimable: cached },
    })
    expect(await succeed("df")).toMatch(
      /^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\nImages +2 +1 +[\d.]+ MB +[\d.]+ MB \(\d+%\)\n/,
    )
    expect(await succeed("df", "--format", "{{.Type}}={{.TotalCount}}/{{.Active}}")).toBe(
      "Images=2/1\nContainers=2/1\nLocal Volumes=0/0\nArchive Cache=1/0",
    )
    const details = await succeed("df", "-v")
    expect(details).toMatch(/^low:latest +[0-9a-f]{12} +[\d.]+ MB +[\d.]+ MB +0 B +2$/m)
    expect(details).toMatch(/^high:latest +[0-9a-f]{12} +[\d.]+ MB +[\d.]+ MB +[\d.]+ .?B +0$/m)
    expect(details).toMatch(/^[0-9a-f]{12} +low:latest +5 B +Exited \(0\) .* +wrote$/m)
  })

  test("df counts what is being unpacked, too, and removes what was", async () => {
    const { size } = (await rows()).Images
    const [left, held] = ["1.1", "1.2"].map((name) => join(stateRoot(), "images/layers/new", name)) as [string, string]
    for (const path of [left, held]) {
      mkdirSync(join(path, "root"), { recursive: true })
      writeFileSync(join(path, "root/file"), "x".repeat(1000))
    }
    const holder = Bun.spawn(["sh", "-c", 'exec 9< "$0"; flock 9; exec sleep 100', held])
    try {
      while (Bun.spawnSync(["flock", "-n", held, "true"]).exitCode === 0) await Bun.sleep(10)
      expect((await rows()).Images.size).toBe(size + 1000)
      expect([existsSync(left), existsSync(held)]).toEqual([false, true])
    } finally {
      holder.kill()
      await holder.exited
    }
    expect((await rows()).Images.size).toBe(size)
  })

  test("asks on a terminal, and does nothing where nobody can be asked", async () => {
    const refused = await toybox(["prune"])
    expect(refused).toMatchObject({ exitCode: 125, stdout: "" })
    expect(refused.stderr).toContain("nobody can be asked")
    expect(refused.stderr).toContain("toybox prune --force")
    const window = await terminal({ cmd: [toyboxBinary(), "prune"] })
    await window.waitFor("Go on? [y/N]")
    window.send("\r")
    expect(await window.exited()).toBe(1)
    await window.close()
    expect(await succeed("ps", "-a", "--format", "{{.Names}}")).toBe("lives\nwrote")
  })

  test("removes what has ended, and images without a name", async () => {
    await succeed(...ownRun("--name", "made", "--label", "keep=1", "low", "true"))
    expect(await prune("--filter", "until=1h")).toMatchObject({ containers: [], images: [] })
    expect((await prune("--filter", "label!=keep")).containers).toHaveLength(1)
    expect(await succeed("ps", "-a", "--format", "{{.Names}}")).toBe("made\nlives")
    await load(null, [top])
    expect(await succeed("images", "--format", "{{.Repository}}")).toContain("<none>")
    const pruned = await prune()
    expect(pruned).toMatchObject({ networks: [], cache: [], reclaimed: top.length })
    expect([pruned.containers.length, pruned.images.length, pruned.layers.length]).toEqual([1, 1, 1])
    expect(await succeed("ps", "-a", "--format", "{{.Names}}")).toBe("lives")
    expect((await succeed("images", "--format", "{{.Repository}}")).split("\n").sort()).toEqual(["high", "low"])
    const nothing = { containers: [], networks: [], volumes: [], images: [], layers: [], cache: [], reclaimed: 0 }
    expect(await prune()).toEqual(nothing)
  })

  test("with --all removes images and archives that no container stands on", async () => {
    const { exitCode, stdout } = await toybox(["prune", "--all", "--force"])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(
      /^Deleted Images:\nuntagged: high:latest\ndeleted: sha256:[0-9a-f]{64}\n\nDeleted cache:\nsha256:[0-9a-f]{64}\n\nTotal reclaimed space: [\d.]+ MB\n$/,
    )
    expect(await succeed("exec", "lives", "cat", "/tmp/three")).toBe("123")
    expect((await rows()).Images).toEqual({ total: 1, active: 1, size: base.length, reclaimable: 0 })
    await succeed("rm", "--force", "lives")
    expect((await prune("--all")).images).toEqual(["docker.io/library/low:latest"])
    expect((await rows()).Images).toEqual({ total: 0, active: 0, size: 0, reclaimable: 0 })
  })

  test("layers that are kept as they came are counted, too", async () => {
    const layout = new TestLayout()
    layout.tags({ kept: layout.image({ layers: [base] }) })
    const name = `oci:${layout.dir}:kept`
    await succeed("pull", "-q", "--keep-blobs", name)
    const { size } = JSON.parse(Bun.spawnSync(["skopeo", "inspect", "--raw", name]).stdout.toString()).layers[0]
    const idle = { total: 1, active: 0, size: base.length + size, reclaimable: base.length + size }
    expect((await rows()).Images).toEqual(idle)
    await succeed("create", "--name", "stays", name, "true")
    expect((await rows()).Images).toEqual({ ...idle, active: 1, reclaimable: 0 })
    await succeed("rm", "stays")
    expect((await prune("--all")).reclaimed).toBe(base.length + size)
  })

  test("beside runs of the same image each of them works or is told that the image is gone", async () => {
    await load("race", [base])
    const runs = Array.from({ length: 6 }, () =>
      toybox(ownRun("--rm", "--pull", "never", "race", "cat", "/etc/passwd")),
    )
    const prunes = Array.from({ length: 4 }, () => toybox(["prune", "--all", "--force"]))
    for (const one of await Promise.all(prunes)) expect(one).toMatchObject({ exitCode: 0 })
    for (const { exitCode, stdout, stderr } of await Promise.all(runs)) {
      if (exitCode === 0) expect(stdout).toContain("root:")
      else expect(stderr).toMatch(/race/)
    }
    await prune("--all")
    expect((await rows()).Images).toEqual({ total: 0, active: 0, size: 0, reclaimable: 0 })
  }, 60_000)

  describe("of networks", () => {
    let namespace: Namespace
    beforeAll(async () => {
      namespace = await makeNamespace()
    })
    afterAll(async () => {
      await namespace.close()
    })

    test("removes those that no running container is on", async () => {
      const within = async (...words: string[]) => {
        const child = Bun.spawn(namespace.within(toyboxBinary(), ...words), {
          env: { ...process.env, TOYBOX_ROOT: stateRoot() },
          stderr: "pipe",
        })
        const [stdout, stderr] = await Promise.all([
          new Response(child.stdout).text(),
          new Response(child.stderr).text(),
        ])
        if ((await child.exited) !== 0) throw new Error(`${words.join(" ")}: ${stderr}`)
        return stdout.trimEnd()
      }
      await within("network", "create", "used")
      await within("network", "create", "unused")
      await within("network", "create", "--label", "keep", "kept")
      await within(...ownRun("-d", "--name", "on", "--net", "used", "base", "sleep", "1000"))
      expect(JSON.parse(await within("prune", "--force", "--json", "--filter", "label!=keep")).networks).toEqual([
        "unused",
      ])
      await within("rm", "--force", "on")
      expect(JSON.parse(await within("prune", "--force", "--json")).networks.sort()).toEqual(["kept", "used"])
    })
  })
})
