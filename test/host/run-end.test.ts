/** Options of `run` that are about a container's end, and who may know of it: --timeout, --pidfile, --rmi. */
import { afterEach, describe, expect, test } from "bun:test"
import { lstatSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

async function succeed(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await toybox(words)
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.trimEnd()
}
const created = (...words: string[]) => ["create", ...ownRun(...words).slice(1)]
const inspect = async (name: string) => JSON.parse(await succeed("inspect", name))[0]
const images = async () => (await succeed("images", "--format", "{{.Repository}}")).split("\n")

async function until(what: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await what()); await Bun.sleep(20))
    if (Date.now() > deadline) throw new Error(`timed out: ${what}`)
}

describe.skipIf(!isRoot)("--timeout", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("kills a container of the foreground, whatever it does about signals", async () => {
    const script = "trap '' TERM; echo begun; sleep 1000; sleep 1000"
    const ended = await toybox(ownRun("--name", "slow", "--timeout", "1", "base", "sh", "-c", script))
    expect(ended).toMatchObject({ exitCode: 255, stdout: "begun\n" })
    expect(ended.stderr).toContain("killed: it had run for all of its --timeout of 1 s")
    expect(await succeed("why", "slow")).toContain("it had run for all of its --timeout of 1 s")
    expect(await inspect("slow")).toMatchObject({ State: { ExitCode: 255 }, Config: { Timeout: 1 } })
    expect(await toybox(ownRun("--rm", "--timeout", "5", "base", "sh", "-c", "exit 3"))).toMatchObject({ exitCode: 3 })
  })

  test("counts anew at each start, be the container made before, paused, or started again by its policy", async () => {
    const policy = ["--restart", "on-failure:1", "--timeout", "1"]
    await succeed(...ownRun("-d", "--name", "again", ...policy, "base", "sleep", "1000"))
    await succeed(...created("--name", "made", "--timeout", "1", "base", "sleep", "1000"))
    for (let start = 0; start < 2; start++) {
      await succeed("start", "made")
      await succeed("pause", "made")
      expect(await succeed("wait", "made")).toBe("255")
    }
    await until(async () => (await inspect("again")).State.Status === "exited")
    expect(await inspect("again")).toMatchObject({ RestartCount: 1, State: { ExitCode: 255 } })
  })

  test.each<[string[], string]>([
    [["--timeout", "soon"], '--timeout: "soon" is no number of seconds'],
    [["--timeout", "1", "--trace"], "--trace does not go with --timeout, which needs a supervisor"],
    [["--pidfile", "/nonexistent/pid"], '--pidfile: "/nonexistent/pid": there is no such directory'],
    [["--rmi"], "--rmi is for images, which base is not"],
  ])("%j is told", async (words, message) => {
    const told = await toybox(ownRun("--rm", ...words, "base", "true"))
    expect(told).toMatchObject({ exitCode: 125, stderr: expect.stringContaining(message) })
  })
})

describe.skipIf(!isRoot)("--pidfile", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("has the number of the container's first process, at each start", async () => {
    const file = join(temporaryDirectory(), "pid")
    const pidOf = async (name: string) => String((await inspect(name)).State.Pid)
    await succeed(...ownRun("-d", "--name", "known", "--pidfile", file, "base", "sleep", "1000"))
    expect(readFileSync(file, "utf8")).toBe(await pidOf("known"))
    await succeed("restart", "-t", "0", "known")
    expect(readFileSync(file, "utf8")).toBe(await pidOf("known"))
    expect((await inspect("known")).PidFile).toBe(file)
    const front = join(temporaryDirectory(), "pid")
    const shared = ["--pid", "container:known", "--pidfile", front]
    await succeed(...ownRun("--rm", ...shared, "base", "true"))
    expect(readFileSync(front, "utf8")).toMatch(/^\d+$/)
  })

  test("and commit's --iidfile are written into what is no regular file, which stays", async () => {
    const directory = temporaryDirectory()
    const [device, target, link, dangling] = ["null", "target", "link", "dangling"].map((name) => join(directory, name))
    if (!device || !target || !link || !dangling) throw new Error("no names")
    Bun.spawnSync(["mknod", device, "c", "1", "3"])
    writeFileSync(target, "longer than any number of a process")
    symlinkSync("target", link)
    symlinkSync("made", dangling)
    for (const file of [device, link, dangling]) await succeed(...ownRun("--rm", "--pidfile", file, "base", "true"))
    expect(readFileSync(target, "utf8")).toMatch(/^\d+$/)
    expect(readFileSync(join(directory, "made"), "utf8")).toMatch(/^\d+$/)
    await succeed(...ownRun("--name", "kept", "base", "true"))
    await succeed("commit", "--iidfile", device, "kept")
    const id = await succeed("commit", "--iidfile", link, "kept")
    expect(readFileSync(target, "utf8")).toBe(id)
    expect(lstatSync(device).isCharacterDevice()).toBe(true)
    expect([link, dangling].map((path) => lstatSync(path).isSymbolicLink())).toEqual([true, true])
    const again = await toybox(ownRun("--cidfile", device, "base", "true"))
    expect(again).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("exists already") })
    expect(lstatSync(device).isCharacterDevice()).toBe(true)
  })
})

describe.skipIf(!isRoot)("--rmi", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("removes the image with the container, unless another is made of it", async () => {
    await succeed(...ownRun("--name", "seed", "base", "true"))
    const make = () => succeed("commit", "--change", 'CMD ["true"]', "seed", "passing")
    await make()
    await succeed(...ownRun("--rmi", "--name", "first", "passing"))
    expect(await images()).not.toContain("passing")
    expect(await toybox(["inspect", "first"])).toMatchObject({ exitCode: 1 })
    await make()
    await succeed(...created("--name", "user", "passing"))
    await succeed(...ownRun("--rmi", "passing"))
    expect(await images()).toContain("passing")
    await succeed("rm", "user")
    await succeed(...ownRun("-d", "--rmi", "passing"))
    await until(async () => !(await images()).includes("passing"))
    await make()
    await succeed(...created("--name", "later", "--rmi", "passing"))
    await succeed("start", "later")
    await until(async () => !(await images()).includes("passing"))
  })

  test("where no container could be made, the image stays; a command that is not there is one's end", async () => {
    await succeed(...ownRun("--name", "busy", "base", "true"))
    await succeed("commit", "--change", 'CMD ["true"]', "busy", "staying")
    for (const mode of [[], ["-d"], ["--sig-proxy=false"]])
      for (const wrong of [
        ["--name", "busy"],
        ["--sysctl", "net.nothing=1"],
      ]) {
        const failed = await toybox(ownRun(...mode, "--rmi", ...wrong, "staying"))
        expect({ mode, wrong, ...failed }).toMatchObject({ exitCode: 125 })
        expect(await images()).toContain("staying")
      }
    expect(await toybox(ownRun("--rmi", "staying", "nothing"))).toMatchObject({ exitCode: 127 })
    expect(await images()).not.toContain("staying")
  })
})
