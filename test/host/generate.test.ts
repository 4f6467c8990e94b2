/** toybox generate: what it prints is what systemd and OpenRC run, and it runs the container. */
import { afterEach, describe, expect, test } from "bun:test"
import { chmodSync, chownSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** As systemd prints a command line: words, some of them in double quotes with escapes. */
function wordsOf(line: string): string[] {
  const words = line.match(/(?:"(?:\\.|[^"\\])*"|[^\s"])+/g) ?? []
  const escapes: Record<string, string> = { n: "\n", t: "\t" }
  const plain = (word: string) =>
    word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, (_, letter: string) => escapes[letter] ?? letter) : word
  // What is left to be done at the start.
  return words.map((word) => plain(word).replaceAll("$$", "$"))
}

/** A directory below which a user without rights may read. */
function openDirectory(): string {
  const dir = mkdtempSync("/tmp/toybox-units-")
  chmodSync(dir, 0o755)
  return dir
}

/** systemd has nothing to say of the unit in a file. */
function expectFaultless(path: string): void {
  const verify = Bun.spawnSync(["systemd-analyze", "verify", "--man=no", path], { timeout: 60_000 })
  // What it says of the machine's own units is not ours.
  const said = verify.stderr.toString().split("\n")
  expect(verify.exitCode).toBe(0)
  expect(said.filter((line) => line.includes(basename(path)))).toEqual([])
}

/** The command lines that systemd itself reads in a unit. */
function asSystemdReads(unit: string): Record<string, string[]> {
  const dir = openDirectory()
  try {
    mkdirSync(join(dir, "units"), { mode: 0o755 })
    mkdirSync(join(dir, "home"))
    chownSync(join(dir, "home"), 65534, 65534)
    writeFileSync(join(dir, "units/web.service"), unit, { mode: 0o644 })
    expectFaultless(join(dir, "units/web.service"))
    const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    const { stdout } = Bun.spawnSync([...asNobody, "/lib/systemd/systemd", "--test", "--user", "--unit=web.service"], {
      env: { HOME: join(dir, "home"), XDG_RUNTIME_DIR: join(dir, "home"), SYSTEMD_UNIT_PATH: `${join(dir, "units")}:` },
      timeout: 60_000,
    })
    const own =
      stdout
        .toString()
        .split(/^\t-> Unit /m)
        .find((part) => part.startsWith("web.service:")) ?? ""
    const found = [...own.matchAll(/-> (Exec\w+):\n\s+Command Line: (.*)\n/g)]
    return Object.fromEntries(found.map(([, key, line]) => [key, wordsOf(line ?? "")]))
  } finally {
    Bun.spawnSync(["rm", "-rf", "--one-file-system", dir])
  }
}

const run = (words: readonly string[]) => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...words], { timeout: 60_000 })
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() }
}

describe.skipIf(!isRoot)("a service", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  const odd = `a "b" 'c' $HOME \${X} 100% %n \\n ; é`

  test("of systemd: of the unit for all that have a restart policy it has nothing to say", async () => {
    const path = join(temporaryDirectory("units"), "toybox-boot.service")
    writeFileSync(path, (await toybox(["generate", "systemd"])).stdout)
    expectFaultless(path)
  })

  test("of systemd: the unit's command lines make the container, stop it, and make it again", async () => {
    const script = 'trap "exit 143" TERM; echo "$ODD"; echo up > /out/up; while :; do sleep 0.1; done'
    const out = temporaryDirectory("out")
    const words = [
      "-d",
      "--name",
      "service-1",
      "-e",
      `ODD=${odd}`,
      "-v",
      `${out}:/out`,
      "base",
      "sh",
      "-c",
      script,
      ";",
    ]
    expect(await toybox(ownRun(...words))).toMatchObject({ exitCode: 0 })
    const { stdout, exitCode } = await toybox(["generate", "systemd", "service-1"])
    expect(exitCode).toBe(0)
    const { ExecStartPre, ExecStart, ExecStop } = asSystemdReads(stdout)
    if (!ExecStartPre || !ExecStart || !ExecStop) throw new Error(stdout)
    expect(ExecStart.at(-1)).toBe(";")
    expect(ExecStart).toContain(`--env=ODD=${odd}`)
    for (let i = 0; i < 2; i++) {
      // What was there, running or left by a killed toybox, goes.
      expect(run(ExecStartPre)).toMatchObject({ exitCode: 0 })
      Bun.spawnSync(["rm", "-f", join(out, "up")])
      const main = Bun.spawn(ExecStart, { stdin: "ignore", stdout: "pipe", stderr: "ignore" })
      for (const end = Date.now() + 20_000; Date.now() < end && !(await Bun.file(join(out, "up")).exists()); )
        await Bun.sleep(20)
      expect(run(ExecStop)).toMatchObject({ exitCode: 0 })
      expect(await main.exited).toBe(143)
      expect(await new Response(main.stdout).text()).toBe(`${odd}\n`)
    }
    expect((await toybox(["ps", "-aq"])).stdout).toBe("")
  })

  test("of OpenRC: start, status and stop", async () => {
    expect(
      await toybox(ownRun("-d", "--name", "service-2", "-e", `ODD=${odd}`, "base", "sleep", "1000")),
    ).toMatchObject({
      exitCode: 0,
    })
    const script = (await toybox(["generate", "openrc", "--time", "0", "service-2"])).stdout
    // What openrc-run gives.
    const library = 'ebegin() { :; }; eend() { return "$1"; }; einfo() { echo "$1"; };'
    const does = (action: string) => run(["sh", "-c", `${library}\n${script}\n${action}`])
    expect(does("stop")).toMatchObject({ exitCode: 0 })
    expect(does("status")).toMatchObject({ exitCode: 3, stdout: "status: stopped\n" })
    expect(does("start")).toMatchObject({ exitCode: 0, stdout: "" })
    expect(does("status")).toMatchObject({ exitCode: 0, stdout: "status: started\n" })
    expect((await toybox(["exec", "service-2", "sh", "-c", 'echo "$ODD"'])).stdout).toBe(`${odd}\n`)
    expect(does("stop")).toMatchObject({ exitCode: 0 })
    expect((await toybox(["ps", "-aq"])).stdout).toBe("")
  })

  test("of one with a terminal: it has one again, to attach to, and the limits and the network of now", async () => {
    const made = await toybox(ownRun("-dit", "--name", "service-3", "-e", "NAMED", "base"), {
      env: { TOYBOX_NETWORK: "none", NAMED: "value" },
    })
    expect(made).toMatchObject({ exitCode: 0 })
    await toybox(["update", "--mem", "48M", "service-3"])
    const unit = (await toybox(["generate", "systemd", "service-3"])).stdout
    expect(unit).toContain("\nSuccessExitStatus=143\n")
    const lines = [...unit.matchAll(/^Exec(?:StartPre|Start)=(.*)$/gm)].map(([, line]) => wordsOf(line ?? ""))
    const [remove, create, start] = lines
    if (!remove || !create || !start) throw new Error(unit)
    expect(run(remove)).toMatchObject({ exitCode: 0 })
    expect(run(create)).toMatchObject({ exitCode: 0 })
    const main = Bun.spawn(start, { stdin: "ignore", stdout: "ignore", stderr: "ignore" })
    expect((await toybox(["wait", "--condition", "running", "service-3"])).exitCode).toBe(0)
    const show = ["inspect", "--format", "{{.Config.Tty}} {{.HostConfig.Memory}}", "service-3"]
    expect((await toybox(show)).stdout).toBe(`true ${48 << 20}\n`)
    expect((await toybox(["exec", "service-3", "sh", "-c", "echo $NAMED; ip -o link | wc -l"])).stdout).toBe(
      "value\n1\n",
    )
    await toybox(["stop", "-t", "0", "service-3"])
    expect(await main.exited).toBe(137)
    expect((await toybox(["ps", "-aq"])).stdout).toBe("")
  })

  test("a service starts again as its container does, unless it is told otherwise", async () => {
    expect((await toybox(["create", "--name", "again", "--restart", "always", "base", "true"])).exitCode).toBe(0)
    const unit = async (...words: string[]) => (await toybox(["generate", "systemd", ...words, "again"])).stdout
    expect(await unit()).toContain("Restart=always\n")
    expect(await unit("--restart-policy", "no")).toContain("Restart=no\n")
    expect((await toybox(["update", "--restart", "on-failure:2", "again"])).exitCode).toBe(0)
    expect(await unit()).toMatch(/StartLimitBurst=3\n[\s\S]*Restart=on-failure\n/)
    expect((await toybox(["update", "--restart", "no", "again"])).exitCode).toBe(0)
    expect(await unit()).toContain("Restart=on-failure\n")
    await toybox(["rm", "again"])
  })

  test("what cannot be made is told", async () => {
    for (const words of [
      [],
      ["systemd", "--time", "3"],
      ["upstart", "x"],
      ["systemd", "a", "b"],
      ["--", "systemd", "a"],
    ])
      expect(await toybox(["generate", ...words])).toMatchObject({ exitCode: 125 })
    expect((await toybox(["generate", "systemd", "nobody"])).stderr).toContain("no such container: nobody")
    expect((await toybox(["generate", "systemd", "--restart-policy", "x", "y"])).exitCode).toBe(125)
  })
})
