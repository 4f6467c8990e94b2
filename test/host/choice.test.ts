/** Podman's ways to say which containers are meant: --all, --latest, --cidfile, --filter, --ignore; and its forms of other commands. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()
// Many a toybox has to start, on a machine that has other things to do.
setDefaultTimeout(60_000)

const isRoot = process.getuid?.() === 0

async function succeed(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await toybox(words)
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.trimEnd()
}
const sleeper = (name: string, ...options: string[]) =>
  succeed(...ownRun("-d", "--name", name, ...options, "base", "sleep", "1000"))
const states = async () =>
  (await succeed("ps", "-a", "--sort", "names", "--format", "{{.Names}} {{.State}}")).split("\n").join(", ")

describe.skipIf(!isRoot)("which containers are meant", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("--all: those for which it makes sense, none of which is no error", async () => {
    const ids = [await sleeper("one"), await sleeper("two")]
    await succeed("create", ...ownRun("--name", "new", "base", "sleep", "1000").slice(1))
    expect((await succeed("pause", "-a")).split("\n").sort()).toEqual(ids.toSorted())
    expect(await states()).toBe("new created, one paused, two paused")
    await succeed("unpause", "--all")
    expect(await states()).toBe("new created, one running, two running")
    await succeed("stop", "-a", "-t", "0")
    expect(await states()).toBe("new created, one exited, two exited")
    for (const command of ["stop", "pause", "unpause", "kill"])
      expect(await toybox([command, "--all"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" })
    await succeed("start", "--all")
    expect(await states()).toBe("new running, one running, two running")
    await succeed("kill", "-a")
    await succeed("wait", "new", "one", "two")
    await succeed("restart", "-a", "-t", "0")
    expect(await states()).toBe("new running, one running, two running")
    await succeed("rm", "-a", "-f")
    expect(await succeed("ps", "-aq")).toBe("")
  })

  test("--latest: the one made last", async () => {
    await sleeper("old")
    const id = await sleeper("young", "-i", "-e", "WHO=young")
    expect(await succeed("inspect", "-l", "--format", "{{.Name}}")).toBe("/young")
    expect(await succeed("exec", "-l", "sh", "-c", "echo $WHO")).toBe("young")
    expect(await succeed("top", "-l", "--", "-o", "args")).toContain("sleep 1000")
    expect(await succeed("port", "-l")).toBe("")
    expect(await succeed("logs", "-l")).toBe("")
    expect(await succeed("stats", "-l", "--no-stream", "--format", "{{.Name}}")).toBe("young")
    expect(await succeed("pause", "-l")).toBe(id)
    await succeed("unpause", "-l")
    expect(await succeed("restart", "-l", "-t", "0")).toBe(id)
    await succeed("kill", "-l")
    expect(await succeed("wait", "-l", "-i", "250ms")).toBe("137")
    expect(await succeed("start", "-l")).toBe(id)
    await succeed("stop", "-l", "-t", "0")
    expect(await states()).toBe("old running, young exited")
    expect(await succeed("rm", "--latest")).toBe(id)
    await succeed("rm", "-lf")
    const none = await toybox(["start", "-l"])
    expect(none).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("--latest: there is no container") })
  })

  test("--cidfile: as run has written it, also in several files", async () => {
    const files = [join(temporaryDirectory(), "a"), join(temporaryDirectory(), "b")]
    const ids = [
      await sleeper("first", "--cidfile", files[0] ?? ""),
      await sleeper("second", "--cidfile", files[1] ?? ""),
    ]
    const both = files.flatMap((file) => ["--cidfile", file])
    expect(await succeed("pause", ...both)).toBe(ids.join("\n"))
    expect(await succeed("unpause", ...both)).toBe(ids.join("\n"))
    expect(await succeed("restart", "-t", "0", ...both)).toBe(ids.join("\n"))
    expect(await succeed("kill", "--cidfile", files[0] ?? "")).toBe(ids[0] ?? "")
    expect(await succeed("stop", "-t", "0", "second", ...both)).toBe(["second", ...ids].join("\n"))
    const missing = join(temporaryDirectory(), "missing")
    const told = await toybox(["stop", "--cidfile", missing])
    expect(told).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining(`--cidfile: cannot read ${missing}: there is no`),
    })
    expect(await succeed("stop", "-i", "--cidfile", missing)).toBe("")
    expect(await succeed("rm", ...both)).toBe(ids.join("\n"))
  })

  test("--filter: as ps has it", async () => {
    await sleeper("web", "-l", "tier=web")
    await sleeper("db", "-l", "tier=db")
    const tier = ["--filter", "label=tier=web"]
    await succeed("pause", ...tier)
    expect(await states()).toBe("db running, web paused")
    await succeed("unpause", ...tier)
    await succeed("stop", "-t", "0", "-f", "label=tier=web")
    expect(await states()).toBe("db running, web exited")
    await succeed("start", ...tier)
    await succeed("restart", "-t", "0", ...tier)
    expect(await states()).toBe("db running, web running")
    expect(await toybox(["rm", ...tier])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("is running") })
    await succeed("rm", "-f", ...tier)
    expect(await states()).toBe("db running")
    expect(await toybox(["stop", "--filter", "label=none"])).toMatchObject({ exitCode: 0, stdout: "" })
    expect(await toybox(["stop", "--filter", "x=y"])).toMatchObject({ exitCode: 125 })
  })

  test("--ignore: what is not there is no error", async () => {
    expect(await toybox(["stop", "nobody"])).toMatchObject({ exitCode: 1 })
    for (const words of [
      ["stop", "-i", "nobody"],
      ["rm", "--ignore", "nobody"],
      ["rmi", "-i", "nobody"],
    ])
      expect(await toybox(words)).toMatchObject({ exitCode: 0, stderr: "" })
    expect(await toybox(["rmi", "nobody"])).toMatchObject({ exitCode: 1 })
  })

  test("rm --time lets one end by itself", async () => {
    const out = temporaryDirectory()
    const script = "trap 'touch /out/ended; exit 0' TERM; touch /out/begun; while :; do sleep 0.1; done"
    await succeed(...ownRun("-d", "--name", "gentle", "-v", `${out}:/out`, "base", "sh", "-c", script))
    for (const end = Date.now() + 10_000; !existsSync(join(out, "begun")) && Date.now() < end; ) await Bun.sleep(20)
    expect(await toybox(["rm", "-t", "5", "gentle"])).toMatchObject({ exitCode: 125 })
    await succeed("rm", "-f", "-t", "20", "gentle")
    expect(existsSync(join(out, "ended"))).toBe(true)
    await sleeper("own", "--rm")
    expect(await succeed("rm", "--force", "--time=0", "own")).toBe("own")
  })

  test.each<[string[], string]>([
    [["stop", "-a", "name"], "stop --all takes no names"],
    [["kill", "-l", "name"], "kill --latest takes no names"],
    [["pause", "-a", "-l"], "pause: --all and --latest exclude each other"],
    [["restart", "-l", "--filter", "name=x"], "restart: --latest and --filter exclude each other"],
    [["stop", "--boot", "--all"], "stop --boot takes no containers and no other options"],
    [["wait", "-i", "soon", "name"], '--interval: "soon" is no time'],
  ])("%j is told", async (words, message) => {
    expect(await toybox(words)).toMatchObject({ exitCode: 125, stderr: expect.stringContaining(message) })
  })
})

describe.skipIf(!isRoot)("podman's forms", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("diff --format json; commit --iidfile, and no --squash", async () => {
    await succeed(...ownRun("--name", "changed", "base", "sh", "-c", "echo x > /etc/passwd; touch /new; rm /etc/group"))
    const found = JSON.parse(await succeed("diff", "--format", "json", "changed"))
    expect(found).toMatchObject({
      added: expect.arrayContaining(["/new"]),
      changed: expect.arrayContaining(["/etc/passwd"]),
      deleted: ["/etc/group"],
    })
    expect(await toybox(["diff", "--format", "xml", "changed"])).toMatchObject({ exitCode: 125 })
    const file = join(temporaryDirectory(), "id")
    const id = await succeed("commit", "--iidfile", file, "changed", "result")
    expect(readFileSync(file, "utf8")).toBe(id)
    const told = await toybox(["commit", "--squash", "changed", "result"])
    expect(told).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("toybox export changed") })
    const nowhere = await toybox(["commit", "--iidfile", "/nonexistent/id", "changed"])
    expect(nowhere).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("--iidfile") })
  })
})
