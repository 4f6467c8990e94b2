/** Options of `run` and `create` that docker's and podman's users have in their command lines: the process and its notes. */
import { afterEach, describe, expect, test } from "bun:test"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { type ToyboxOptions, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

async function succeed(words: readonly string[], options: ToyboxOptions = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await toybox(words, options)
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.trimEnd()
}
const run = (...words: string[]) => succeed(ownRun("--rm", ...words))
const created = (...words: string[]) => ["create", ...ownRun(...words).slice(1)]
const inspect = async (name: string) => JSON.parse(await succeed(["inspect", name]))[0]
const variables = (text: string) => text.split("\n").filter((line) => !/^(PWD|SHLVL|_)=/.test(line))

describe.skipIf(!isRoot)("options of run", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("--umask is that of the command, and of those that join it", async () => {
    expect(await run("--umask", "0077", "base", "sh", "-c", "umask; touch /tmp/x; stat -c %a /tmp/x")).toBe("0077\n600")
    await succeed(ownRun("-d", "--name", "masked", "--umask", "27", "base", "sleep", "1000"))
    expect(await succeed(["exec", "masked", "sh", "-c", "umask"])).toBe("0027")
    expect(await succeed(["exec", "-u", "1", "masked", "sh", "-c", "umask"])).toBe("0027")
    expect((await inspect("masked")).Config.Umask).toBe("0027")
  })

  test("notes and labels, of files too, are kept", async () => {
    const file = join(temporaryDirectory(), "labels")
    writeFileSync(file, "# from a file\ntier=web\nalone\n  last=one\r\n")
    await succeed(
      created("--name", "noted", "--label-file", file, "-l", "last=two", "--annotation", "run.x/y=z=1", "base"),
    )
    const { Config, HostConfig } = await inspect("noted")
    expect(Config.Labels).toEqual({ tier: "web", alone: "", last: "two" })
    expect(HostConfig.Annotations).toEqual({ "run.x/y": "z=1" })
  })

  test("variables: the image's over the caller's, and those that are given over both; or left out", async () => {
    const env = { GREETING: "caller", ONLY_HERE: "caller", HTTP_PROXY: "http://p", PATH: process.env.PATH }
    const names = "echo $GREETING $ONLY_HERE $HTTP_PROXY $MORE"
    await succeed(ownRun("--name", "seed", "base", "true"))
    await succeed(["commit", "--change", "ENV GREETING=image MORE=image", "--change", 'CMD ["sh"]', "seed", "greeter"])
    const image = async (...words: string[]) => succeed(ownRun("--rm", ...words, "greeter", "sh", "-c", names), { env })
    expect(await image()).toBe("image image")
    expect(await image("--http-proxy")).toBe("image http://p image")
    expect(await image("--env-host")).toBe("image caller http://p image")
    expect(await image("--env-host", "-e", "GREETING=given", "--unsetenv", "MORE")).toBe("given caller http://p")
    expect(await image("--env-host", "--unsetenv", "ONLY_HERE")).toBe("image http://p image")
    expect(await image("--env-host", "--unsetenv-all", "-e", "MORE=given")).toBe("given")
    expect(
      variables(await run("--unsetenv-all", "-e", "A=1", "-h", "box", "-u", "1234", "base", "env")).sort(),
    ).toEqual(["A=1", "HOME=/", "HOSTNAME=box"])
    expect(variables(await run("--unsetenv", "HOME", "--unsetenv=HOSTNAME", "base", "env"))).toEqual([
      expect.stringMatching(/^PATH=/),
    ])
  })

  test.skipIf(!existsSync("/usr/share/zoneinfo/Asia/Tokyo"))("--tz is a zone of this machine", async () => {
    const read = () => readFileSync("/usr/share/zoneinfo/Asia/Tokyo")
    const clock = "date +%z; cat /etc/localtime"
    const words = ownRun("--rm", "--tz", "Asia/Tokyo", "base", "sh", "-c", clock)
    expect(await succeed(words)).toBe(`+0900\n${read().toString().trimEnd()}`)
    expect(await run("--tz", "local", "base", "readlink", "/etc/localtime").catch(() => "no link")).toBe("no link")
    // A link of the image's is covered, and what it leads to stays.
    const root = makeRoot({ files: { "/etc/localtime": { symlink: "../srv/zone" }, "/srv/zone": "mine" } })
    expect(await run("--tz", "Asia/Tokyo", root, "sh", "-c", "date +%z; cat /srv/zone")).toBe("+0900\nmine")
    await succeed(created("--name", "zoned", "--tz", "Asia/Tokyo", "base", "date", "+%z"))
    expect(await succeed(["start", "-a", "zoned"])).toBe("+0900")
    expect((await inspect("zoned")).Config.Timezone).toBe("Asia/Tokyo")
    const { stdout } = await toybox(["run", "--explain", "--tz", "Asia/Tokyo", "base", "true"])
    expect(stdout).toContain("cp -L /usr/share/zoneinfo/Asia/Tokyo")
  })

  test("--no-hosts leaves the image's, for one that shares its network, too", async () => {
    const root = makeRoot({ files: { "/etc/hosts": "192.0.2.1 mine\n" } })
    expect(await run("--no-hosts", "-h", "box", root, "cat", "/etc/hosts", "/etc/hostname")).toBe("192.0.2.1 mine\nbox")
    await succeed(ownRun("-d", "--name", "plain", "--no-hosts", "-h", "box", root, "sleep", "1000"))
    expect(await run("--net", "container:plain", "base", "cat", "/etc/hosts")).toContain("\tbox")
    expect(await run("--net", "container:plain", "--no-hosts", root, "cat", "/etc/hosts")).toBe("192.0.2.1 mine")
  })

  test("--userns host is what there is", async () => {
    expect(await run("--userns", "host", "base", "cat", "/proc/self/uid_map")).toMatch(/^ *0 +0 +4294967295$/)
  })

  test.each<[string[], string]>([
    [["--userns", "keep-id"], '--userns: "keep-id" is not possible'],
    [["--tz", "Nowhere/City"], '--tz: this machine has no time zone "Nowhere/City"'],
    [["--tz", "../../etc/passwd"], "--tz: this machine has no time zone"],
    [["--tz", "Europe"], "--tz: this machine has no time zone"],
    [["--no-hosts", "--add-host", "a:1.2.3.4"], "--no-hosts and --add-host exclude each other"],
    [["--umask", "999"], '--umask: "999" is no umask'],
    [["--unsetenv", "A=1"], '--unsetenv: "A=1" is no name of a variable'],
    [["--annotation", "=1"], '--annotation: "=1" is no annotation'],
    [["--label-file", "/nonexistent"], "--label-file: cannot read /nonexistent: there is no such file"],
    [["--gpus", "all"], "toybox has no option --gpus"],
  ])("%j is told, with exit code 125", async (words, message) => {
    const told = await toybox(ownRun("--rm", ...words, "base", "true"))
    expect(told).toMatchObject({ exitCode: 125, stdout: "", stderr: expect.stringContaining(message) })
  })
})
