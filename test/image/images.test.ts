/** The names of images: who has which, what they are found by, and what becomes of those that lose theirs. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { TestLayout, tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { skopeoCopy, startRegistry, type TestRegistry } from "../helpers/registry.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { succeed, toybox, toyboxBytes } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const OWN = process.arch === "x64" ? "amd64" : "arm64"

/** An image of one layer, whose /srv/what says what it is. Returns its id. */
async function make(name: string | null, what: string, ...changes: string[]): Promise<string> {
  const root = makeRoot({ files: { "srv/what": what } })
  const words = ["import", "-q", ...changes.flatMap((change) => ["-c", change]), "-"]
  return succeed([...words, ...(name === null ? [] : [name])], { stdin: tarOf(root) })
}

/** Every image: its id, and its name where it has one. */
const listed = async () =>
  (await succeed(["images", "--json"]))
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .map(({ id, name }) => (id === name ? id : `${id} ${name.replace("docker.io/library/", "")}`))

afterEach(async () => {
  await toybox(["rm", "--all", "--force"])
  await toybox(["rmi", "--all", "--force"])
  expect(await ownLeftovers()).toEqual([])
})

describe.skipIf(!isRoot)("names of images", () => {
  test("are not what there is in the current directory", async () => {
    const cwd = temporaryDirectory("here")
    mkdirSync(join(cwd, "one"))
    writeFileSync(join(cwd, "two"), "")
    await make("one", "1", "CMD true")
    for (const words of [
      ["inspect", "one"],
      ["history", "one"],
      ["save", "-q", "-o", join(cwd, "x.tar"), "one"],
    ])
      expect(await toybox(words, { cwd })).toMatchObject({ exitCode: 0 })
    expect(await toybox(["tag", "one", "two"], { cwd })).toMatchObject({ exitCode: 0 })
    const pulled = await toybox(["pull", "--policy", "never", "two"], { cwd })
    expect(pulled).toMatchObject({ exitCode: 0 })
    expect((await toybox(["inspect", "./one"], { cwd })).stderr).toContain(
      "no such container, image, network or volume: ./one",
    )
    expect(await toybox(["rmi", "two"], { cwd })).toMatchObject({ exitCode: 0 })
  })

  test("are free where containers are of other images, of the same layers or of more", async () => {
    const id = await make("base-image", "1", "CMD true")
    const [container = ""] = (await succeed(["create", "base-image"])).split("\n")
    await succeed(["commit", "-q", "-c", "LABEL a=b", container, "more"])
    await succeed(["rm", container])
    await succeed(["create", "--name", "of-more", "more"])
    const [found] = JSON.parse(await succeed(["inspect", "of-more"]))
    const [more] = JSON.parse(await succeed(["inspect", "more"]))
    expect([found.Image, found.Config.Image]).toEqual([more.Id, "more:latest"])
    expect(await succeed(["df", "-v", "--json"]).then((line) => JSON.parse(line).images)).toMatchObject([
      { names: ["docker.io/library/more:latest"], containers: [found.Id] },
      { image: { id }, containers: [] },
    ])
    expect(await toybox(["rmi", "more"])).toMatchObject({ exitCode: 1 })
    await succeed(["rmi", "base-image"])
    // Its layer stays, for it is the other's, too.
    expect(await succeed(["start", "-a", "of-more"])).toBe("")
  })

  test("pass to another image: the one that loses its last goes by its id", async () => {
    const old = await make("moves", "old", 'ENTRYPOINT ["cat"]', 'CMD ["/srv/what"]')
    await succeed(["create", "--name", "of-old", "moves"])
    const young = await make("moves", "young", "CMD true")
    expect((await listed()).sort()).toEqual([old, `${young} moves:latest`].sort())
    const short = old.slice(7, 19)
    expect(await succeed(ownRun("--rm", short))).toBe("old")
    expect(await succeed(ownRun("--rm", old.slice(7, 13)))).toBe("old")
    expect(JSON.parse(await succeed(["inspect", short]))).toMatchObject([{ Id: old, RepoTags: [] }])
    // The container is still of it.
    await succeed(["commit", "-q", "of-old", "of-old"])
    const [committed] = JSON.parse(await succeed(["inspect", "of-old:latest"]))
    expect(committed).toMatchObject({ Config: { Entrypoint: ["cat"] }, RootFS: { Layers: { length: 2 } } })
    expect((await toybox(["rmi", "-f", short])).stderr).toContain(`${old} is in use by container`)
    await succeed(["rm", "of-old"])
    await succeed(["tag", young, "other"])
    // As long as it has others it needs none for its id.
    await succeed(["tag", "of-old", "moves"])
    expect((await listed()).filter((line) => line.startsWith(young))).toEqual([`${young} other:latest`])
    expect(await succeed(["prune", "-f"])).toContain(old)
    expect((await listed()).join(" ")).not.toContain(old)
  })

  test("have docker's and podman's fields for templates to ask for", async () => {
    const id = await make("asked", "1", "CMD cat /srv/what")
    await succeed(["create", "--name", "of-asked", "asked"])
    await succeed(["commit", "-q", "-m", "what was done", "of-asked", "asked:2"])
    const ask = (field: string, name = "asked:2") => succeed(["inspect", "--type", "image", "-f", `{{${field}}}`, name])
    expect(await ask(".Parent")).toBe(id)
    expect(await ask(".Parent", "asked")).toBe("")
    expect(await ask(".Comment")).toBe("what was done")
    expect(await ask(".DockerVersion")).toBe("")
    expect(await ask(".Container")).toBe("")
    expect(await ask(".Config.Entrypoint")).toBe("[]")
    expect(await ask("json .Config.Entrypoint")).toBe("null")
    expect(await ask(".Config.Healthcheck")).toBe("<nil>")
    expect(await ask(".Config.OnBuild")).toBe("[]")
    expect(await ask(".Config.Hostname}}{{.Config.Image}}{{.Config.Tty")).toBe("false")
    expect(await ask(".OsVersion")).toBe("")
    expect(await ask(".Variant")).toBe("")
    expect(await ask("eq .Size .VirtualSize")).toBe("true")
    expect(await ask("len .History")).toBe("2")
    expect(await ask(".Digest")).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(await ask(".GraphDriver.Name")).toBe("overlay2")
    const [upper, lower] = (await ask(".GraphDriver.Data.UpperDir}} {{.GraphDriver.Data.LowerDir")).split(" ")
    expect(readFileSync(join(lower ?? "", "srv/what"), "utf8")).toBe("1")
    expect(existsSync(upper ?? "")).toBe(true)
    expect(await ask(".GraphDriver.Data.LowerDir", "asked:latest")).toBe("<no value>")
    const begun = new Date().toISOString()
    expect((await ask(".Metadata.LastTagTime")) < begun).toBe(true)
    await succeed(["tag", "asked:2", "asked:3"])
    expect((await ask(".Metadata.LastTagTime")) >= begun).toBe(true)
    expect((await ask(".Metadata.LastTagTime", id)) < begun).toBe(true)
    await succeed(["rm", "of-asked"])
    await succeed(["rmi", "asked", "asked:2", "asked:3"])
  })

  test("that are removed with force leave the image of a container by its id, until that goes", async () => {
    const id = await make("used", "1", "CMD cat /srv/what")
    await succeed(["create", "--name", "user", "used"])
    expect((await toybox(["rmi", "used"])).stderr).toContain("is in use by container")
    await succeed(["rmi", "-f", "used"])
    expect(await listed()).toEqual([id])
    await succeed(["commit", "-q", "user", "kept"])
    expect(JSON.parse(await succeed(["inspect", "kept"]))[0].RootFS.Layers).toHaveLength(2)
    await succeed(["rmi", "kept"])
    expect((await toybox(["rmi", "-f", id])).stderr).toContain("is in use by container")
    expect(await succeed(["prune", "-f"]).then(listed)).toEqual([])
  })

  test("go all with the id, with force", async () => {
    const id = await make("first", "1", "CMD true")
    await succeed(["tag", "first", "second"])
    const { exitCode, stderr } = await toybox(["rmi", id.slice(7, 19)])
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/has several names: (first|second):latest, (first|second):latest/)
    expect(await toybox(["rmi", "-f", "nothere"])).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining("no such image: nothere"),
    })
    await succeed(["rmi", "-f", id])
    expect(await listed()).toEqual([])
    const again = await make("first", "1", "CMD true")
    await succeed(["rmi", again.slice(7, 19)])
    expect(await listed()).toEqual([])
  })
})

describe.skipIf(!isRoot)("toybox images", () => {
  const shown = async (...words: string[]) =>
    (await succeed(["images", "--format", "{{.Repository}}:{{.Tag}}", ...words])).split("\n").filter(Boolean).sort()

  test("shows those that a name or filters mean", async () => {
    await make("one", "1", "LABEL kind=a")
    const two = await make("one:2", "2", "LABEL kind=b more=")
    await make("example.org/team/one", "3", "CMD true")
    const lost = await make("lost", "4", "CMD true")
    await make("lost", "5", "CMD true")
    const [nothing, all] = ["<none>:<none>", ["example.org/team/one:latest", "lost:latest", "one:2", "one:latest"]]
    expect(await shown("-a")).toEqual([nothing, ...all])
    expect(await shown("one")).toEqual(["one:2", "one:latest"])
    expect(await shown("one:2")).toEqual(["one:2"])
    expect(await shown("*/*/one")).toEqual(["example.org/team/one:latest"])
    expect(await shown("docker.io/library/one")).toEqual(["one:2", "one:latest"])
    expect(await shown("-f", "reference=o*:2", "-f", "reference=lost")).toEqual(["lost:latest", "one:2"])
    expect(await shown("-f", "label=kind")).toEqual(["one:2", "one:latest"])
    expect(await shown("--filter", "label=kind=b", "--filter", "label=more")).toEqual(["one:2"])
    expect(await succeed(["images", "-q", "--no-trunc", "-f", "dangling=true"])).toBe(lost)
    expect(await shown("-f", "dangling=false")).toEqual(all)
    expect(await shown("-f", "since=one:2")).toEqual([nothing, "example.org/team/one:latest", "lost:latest"])
    expect(await shown("-f", `before=${two.slice(7, 19)}`)).toEqual(["one:latest"])
    expect(await shown("-f", "until=1h")).toEqual([])
    expect(await succeed(["images", "--digests", "one"])).toMatch(/^IMAGE +DIGEST +ID .*\none:2 +<none> /)
    for (const [words, message] of [
      [["one", "two"], 'but got "two", too'],
      [["-f", "color=red"], "one of the keys reference, label, dangling, before, since, until"],
      [["-f", "dangling=maybe"], "neither true nor false"],
      [["-f", "since=nothere"], "no such image: nothere"],
    ] as const)
      expect((await toybox(["images", ...words])).stderr).toContain(message)
  })
})

describe.skipIf(!isRoot)("prune", () => {
  test("takes what is asked for only", async () => {
    await make("unused", "1", "CMD true")
    const lost = await make("lost", "2", "CMD true")
    await make("lost", "3", "CMD true")
    await succeed(ownRun("--name", "ended", "base", "true"))
    expect(JSON.parse(await succeed(["image", "prune", "-f", "--json"]))).toMatchObject({
      images: [lost],
      containers: [],
    })
    expect(JSON.parse(await succeed(["image", "prune", "-a", "-f", "--json"])).images).toHaveLength(2)
    expect(await succeed(["container", "prune", "-f", "--json"]).then(JSON.parse)).toMatchObject({
      containers: { length: 1 },
    })
    expect((await toybox(["prune", "--only", "files"])).stderr).toContain('"files" is none of containers, networks')
  })
})

describe.skipIf(!isRoot)("run", () => {
  test("tells what an archive of images is for, and keeps nothing of it", async () => {
    await make("saved", "1", "CMD true")
    const dir = temporaryDirectory("archives")
    const archives = ["docker-archive", "oci-archive"] as const
    for (const format of archives)
      await succeed(["save", "-q", "--format", format, "-o", join(dir, `${format}.tar`), "saved"])
    for (const format of archives) {
      const path = join(dir, `${format}.tar`)
      const { exitCode, stderr } = await toybox(ownRun("--rm", path, "true"))
      expect(exitCode).toBe(125)
      expect(stderr).toContain(`${path} is an archive of images, and no root file system`)
      expect(stderr).toContain(`toybox load -i ${path}, or toybox run ${format}:${path}`)
      expect(await succeed(ownRun("--rm", `${format}:${path}`))).toBe("")
    }
    expect(await succeed(["cache", "ls", "-q"])).toBe("")
  })

  test("refuses volumes of an image where there can be none", async () => {
    for (const place of ["/proc", "/proc/sys", "/dev"]) {
      await make("covers", place, "CMD true", `VOLUME ${place}`)
      const { exitCode, stderr } = await toybox(ownRun("covers"))
      expect(exitCode).toBe(125)
      expect(stderr).toContain(`the image has a volume at ${place}: `)
    }
    const words = [
      "--rm",
      "-v",
      "/dev/urandom:/dev/zero",
      "base",
      "sh",
      "-c",
      "head -c 100 /dev/zero | tr -d '\\0' | wc -c",
    ]
    expect(Number(await succeed(ownRun(...words)))).toBeGreaterThan(50)
  })

  test("names the image where its user is not there", async () => {
    await make("strange", "1", "CMD true", "USER nobody-here")
    expect((await toybox(ownRun("strange"))).stderr).toContain(
      'the user of strange:latest: the container has no user "nobody',
    )
    expect((await toybox(ownRun("-u", "other", "strange"))).stderr).toContain(
      '--user: the container has no user "other"',
    )
  })
})

describe.skipIf(!isRoot)("toybox history", () => {
  test("has docker's columns", async () => {
    const id = await make("told", "1", "CMD true", `LABEL long=${"x".repeat(60)}`)
    await succeed(["create", "--name", "next", "told", "sh", "-c", "echo y > /srv/y"])
    await succeed(["start", "-a", "next"])
    const next = await succeed(["commit", "-q", "-m", "a word", "next"])
    const [head, first, second] = (await succeed(["history", next])).split("\n")
    expect(head).toMatch(/^IMAGE +CREATED +CREATED BY +SIZE +COMMENT$/)
    expect(first).toMatch(
      new RegExp(`^${next.slice(7, 19)} +\\d+ seconds? ago +sh -c echo y > /srv/y +[0-9.]+ kB +a word$`),
    )
    expect(second).toMatch(/^<missing> +\d+ seconds? ago +[0-9.]+ MB +imported from/i)
    expect(await succeed(["history", "-q", "--no-trunc", next])).toBe(`${next}\n<missing>`)
    const fields = await succeed(["history", "--human=false", "--format", "{{.ID}} {{.Size}} {{.CreatedAt}}", id])
    expect(fields).toMatch(new RegExp(`^${id.slice(7, 19)} \\d{5,} \\d{4}-\\d\\d-\\d\\dT[\\d:]{8}Z$`))
    expect(JSON.parse(await succeed(["history", "--json", id])).size).toBeGreaterThan(10_000)
  })
})

describe.skipIf(!isRoot)("images of a registry", () => {
  const layout = new TestLayout()
  let registry: TestRegistry

  /** An index of this machine's image and another's. Returns their manifests. */
  function publish(tag: string, what: string) {
    const image = (architecture: string) =>
      layout.image({
        layers: [tarOf(makeRoot({ files: { "srv/what": `${what} ${architecture}` } }))],
        config: { Cmd: ["cat", "/srv/what"] },
        architecture,
      })
    const own = image(OWN)
    const other = image("s390x")
    const index = layout.index([own, other])
    layout.tags({ [tag]: index })
    skopeoCopy(`oci:${layout.dir}:${tag}`, `docker://${registry.host}/app:${tag}`, "--all")
    return { own, other, index }
  }

  beforeAll(async () => {
    registry = await startRegistry()
  })
  afterAll(() => registry.stop())

  test("are pulled for the platform that is asked for, or else for this machine's, whichever is here", async () => {
    publish("1", "one")
    const name = `${registry.host}/app:1`
    const platform = async () => JSON.parse(await succeed(["inspect", name]))[0].Architecture
    expect(await succeed(["pull", "--platform", "linux/s390x", name])).toContain("pulled")
    expect(await platform()).toBe("s390x")
    expect(await succeed(["pull", name])).toContain("pulled")
    expect(await platform()).toBe(OWN)
    expect(await succeed(["pull", name])).toContain("is up to date")
    expect(await succeed(["pull", "--policy", "newer", "--platform", "linux/s390x", name])).toContain("pulled")
    expect(await platform()).toBe("s390x")
    // Where there is no other, it stays.
    const only = layout.image({ layers: [tarOf(makeRoot({}))], architecture: "s390x" })
    layout.tags({ only })
    skopeoCopy(`oci:${layout.dir}:only`, `docker://${registry.host}/app:only`)
    expect(await succeed(["pull", `${registry.host}/app:only`])).toContain("pulled")
    expect(await succeed(["pull", `${registry.host}/app:only`])).toContain("is up to date")
  }, 30_000)

  test("are known by the digests of the registries that have them, under any name", async () => {
    const repository = `${registry.host}/app`
    const { index, own } = publish("2", "two")
    await succeed(["pull", `${repository}:2`])
    const digests = async (name: string) => JSON.parse(await succeed(["inspect", name]))[0].RepoDigests
    const byDigest = `${repository}@${index.digest}`
    expect(await digests(`${repository}:2`)).toEqual([byDigest])
    expect(await digests(byDigest)).toEqual([byDigest])
    expect(await succeed(["images", "--format", "{{.Digest}}"])).toBe(index.digest)
    const before = registry.requests().length
    for (const name of [byDigest, `${repository}:2@${index.digest}`])
      expect(await succeed(ownRun("--rm", name))).toBe(`two ${OWN}`)
    await Bun.sleep(50)
    expect(registry.requests().slice(before)).toEqual([])
    expect((await toybox(ownRun("--pull", "never", `${repository}@${own.digest}`))).stderr).toContain("is not here")
    await succeed(["tag", byDigest, "local"])
    await succeed(["tag", byDigest, `${repository}:mine`])
    // Made here, and unknown to others.
    await make("made", "made", "CMD true")
    expect(await digests("made")).toEqual([])
    const pushed = await succeed(["push", "-q", "made", `${repository}:pushed`])
    expect(await digests("made")).toEqual([`${repository}@${pushed}`])
    await succeed(["push", "-q", "local", `${registry.host}/other:2`])
    expect(await digests("local")).toEqual([byDigest, `${registry.host}/other@${own.digest}`])
    await succeed(["rmi", `${repository}:2`])
    expect(await digests("local")).toContain(byDigest)
    // Its last name there.
    await succeed(["rmi", `${repository}:mine`])
    expect(await digests("local")).toEqual([`${registry.host}/other@${own.digest}`])
    await succeed(["tag", "local", `${registry.host}/all:1`])
    await succeed(["tag", "made", `${registry.host}/all:2`])
    await succeed(["push", "-q", "-a", `${registry.host}/all`])
    const answer = await fetch(`http://${registry.host}/v2/all/tags/list`)
    expect(await answer.json()).toEqual({ name: "all", tags: expect.arrayContaining(["1", "2"]) })
    expect((await toybox(["push", "-a", `${registry.host}/all:1`])).stderr).toContain("has a tag or a digest")
    expect((await toybox(["push", "-a", `${registry.host}/none`])).stderr).toContain("no image is called")
    // What was loaded under the name is known to be the registry's by the next pull.
    await succeed(["pull", `${repository}:2`])
    const archive = await toyboxBytes(["save", "-q", `${repository}:2`])
    await succeed(["rmi", "-f", `${repository}:2`, "local", `${registry.host}/all:1`])
    await succeed(["load", "-q"], { stdin: archive.stdout })
    expect(await digests(`${repository}:2`)).toEqual([])
    await succeed(["pull", `${repository}:2`])
    expect(await digests(`${repository}:2`)).toEqual([byDigest])
  }, 30_000)
})
