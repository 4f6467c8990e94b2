/** Listing and removing containers: what is kept of them, under which names, and where. */
import { afterEach, describe, expect, test } from "bun:test"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

const run = (...words: string[]) => toybox(ownRun(...words))
const lines = async (...words: string[]) => (await toybox(words)).stdout.split("\n").filter(Boolean)
const rows = async (...words: string[]) => (await lines("ps", "--json", ...words)).map((line) => JSON.parse(line))

/** A container that runs until its standard input ends. */
async function started(...options: string[]) {
  const running = await startToybox(ownRun(...options, "base", "sh", "-c", "echo ready; read line; exit 3"))
  await running.waitFor("ready")
  return running
}

describe.skipIf(!isRoot)("ps", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("shows those that run, -a also those that have ended, the newest first", async () => {
    await run("--name", "first", "base", "sh", "-c", "exit 7")
    const running = await started("--name", "second")
    expect((await rows()).map(({ name }) => name)).toEqual(["second"])
    expect((await rows("-a")).map(({ name, status }) => [name, status])).toEqual([
      ["second", "running"],
      ["first", "exited"],
    ])
    running.stdin.end()
    expect((await running.wait()).exitCode).toBe(3)
    expect(await rows()).toEqual([])
    expect((await rows("--all")).map(({ name, exitCode }) => [name, exitCode])).toEqual([
      ["second", 3],
      ["first", 7],
    ])
  })

  test("--format shows docker's columns; -n, -l and -s are docker's, too", async () => {
    await run("--name", "older", "-l", "tier=db", "base", "sh", "-c", "head -c 5000 /dev/zero > /five; exit 7")
    const running = await started("--name", "newer")
    const of = async (...words: string[]) => (await toybox(["ps", ...words])).stdout
    expect(await of("--format", "{{.Names}}\\t{{.State}}")).toBe("newer\trunning\n")
    expect(await of("-a", "--format", '{{.Names}}/{{.Label "tier"}}/{{.Image}}')).toBe("newer//base\nolder/db/base\n")
    expect(await of("-a", "--format", "{{.Status}}")).toMatch(/^Up \d+ seconds?\nExited \(7\) \d+ seconds? ago\n$/)
    const [head, first] = (await of("--format", "table {{.ID}}\\t{{.Names}}\\t{{.CreatedAt}}")).split("\n")
    expect(head).toMatch(/^CONTAINER ID {3}NAMES {3}CREATED AT$/)
    expect(first).toMatch(/^[0-9a-f]{12} {3}newer {3}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC$/)
    const [row] = (await of("--format", "json", "--no-trunc")).split("\n").map((line) => line && JSON.parse(line))
    expect(row).toMatchObject({
      Names: "newer",
      Command: '"sh -c echo ready; read line; exit 3"',
      Size: "",
      Labels: "",
    })
    expect(row.ID).toHaveLength(64)
    expect(await of("-a", "--format", 'table {{.Names | upper}}\t{{if eq .State "running"}}up{{end}}')).toBe(
      "NAMES\nNEWER   up\nOLDER\n",
    )
    expect(await of("-l", "-q", "--no-trunc")).toBe(`${row.ID}\n`)
    running.stdin.end()
    await running.wait()
    expect(await of("-n", "1", "--format", "{{.Names}}")).toBe("newer\n")
    expect(await of("-n", "5", "--format", "{{.Names}}")).toBe("newer\nolder\n")
    expect(await of("-a", "--format", "{{.Names}} {{.Size}}")).toBe("newer 0 B\nolder 5.0 kB\n")
    expect(await of("-a", "-s")).toMatch(/ NAMES +SIZE\n.*\n.* older +5\.0 kB\n/)
    expect((await rows("-a", "-s")).map(({ size }) => size)).toEqual([0, 5000])
    expect(await toybox(["ps", "--format", "{{if .ID}}"])).toMatchObject({ exitCode: 125 })
    const health = "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}"
    expect((await toybox(["inspect", "-f", health, "newer"])).stdout).toBe("none\n")
    expect(JSON.parse((await toybox(["inspect", "newer"])).stdout)[0].State).not.toHaveProperty("Health")
    expect(await of("-a", "--format", "{{.Networks}}/{{.Ports}}/{{.Mounts}}")).toMatch(/^(\w+\/\/\n){2}$/)
    const inspected = await toybox(["inspect", "-f", "{{.Name}} {{.State.ExitCode}} {{json .Config.Labels}}", "older"])
    expect(inspected.stdout).toBe('/older 7 {"tier":"db"}\n')
  })

  test("--filter: by name, id, label, status, exit code and what they were made from; a paused one is told", async () => {
    await run("--name", "over", "-l", "tier=db", "base", "sh", "-c", "exit 7")
    const running = await started("--name", "on", "-l", "tier=web", "-l", "blue")
    expect((await toybox(["pause", "on"])).exitCode).toBe(0)
    const [paused] = await rows()
    expect(paused.status).toBe("paused")
    const named = async (...filters: string[]) =>
      (await rows("-a", ...filters.flatMap((filter) => ["--filter", filter]))).map(({ name }) => name)
    expect(await named("name=o")).toEqual(["on", "over"])
    expect(await named("name=on", "name=over")).toEqual(["on", "over"])
    expect(await named(`id=${paused.id.slice(0, 20)}`)).toEqual(["on"])
    expect(await named("label=tier")).toEqual(["on", "over"])
    expect(await named("label=tier=db")).toEqual(["over"])
    expect(await named("label=tier", "label=blue")).toEqual(["on"])
    expect(await named("status=paused")).toEqual(["on"])
    expect(await named("status=exited", "exited=7", "ancestor=base")).toEqual(["over"])
    expect(await named("exited=0")).toEqual([])
    expect((await rows("--filter", "status=exited")).map(({ name }) => name)).toEqual(["over"])
    expect(await named("name=^/on$")).toEqual(["on"])
    expect(await named("name=^o[vn]er$")).toEqual(["over"])
    expect(await named("status=dead")).toEqual([])
    expect(await named("before=on")).toEqual(["over"])
    expect(await named("since=over")).toEqual(["on"])
    const { exitCode: made } = await toybox([
      "create",
      ...ownRun("--name", "served", "--net=bridge", "-p", "8080-8081:80-81", "--expose", "53/udp").slice(1),
      "base",
    ])
    expect(made).toBe(0)
    expect(await named("publish=8081")).toEqual(["served"])
    expect(await named("publish=81")).toEqual([])
    expect(await named("expose=81")).toEqual(["served"])
    expect(await named("publish=53/udp")).toEqual([])
    expect(await named("expose=50-60/udp")).toEqual(["served"])
    expect(await named("network=bridge")).toEqual(["served"])
    expect(await named("network=none")).toEqual(["on", "over"])
    const networks = await toybox(["ps", "-a", "--format", "{{.Names}}:{{.Networks}}"])
    expect(networks.stdout).toBe("served:bridge\non:none\nover:none\n")
    for (const wrong of [
      "name",
      "=x",
      "status=over",
      "exited=x",
      "colour=x",
      "name=(",
      "publish=x",
      "publish=80/icmp",
    ]) {
      const { exitCode, stderr } = await toybox(["ps", "--filter", wrong])
      expect({ wrong, exitCode, named: stderr.includes("--filter") }).toEqual({ wrong, exitCode: 125, named: true })
    }
    // As of one that is removed just then.
    const [{ id = "" } = {}] = await rows("-a", "--filter", "name=over")
    writeFileSync(join(stateRoot(), "containers", id, "config.json"), "")
    expect(await named("publish=8081")).toEqual(["served"])
    expect(await named("network=none")).toEqual(["on"])
    expect((await toybox(["unpause", "on"])).exitCode).toBe(0)
    running.stdin.end()
    expect((await running.wait()).exitCode).toBe(3)
  })

  test("rm --if-exists takes what is not there for removed", async () => {
    await run("--name", "there", "base", "true")
    expect(await toybox(["rm", "--if-exists", "nowhere", "there"])).toMatchObject({ exitCode: 0, stderr: "" })
    expect(await rows("-a")).toEqual([])
    expect((await toybox(["rm", "nowhere"])).exitCode).toBe(1)
    expect(await toybox(["rm", "-f", "nowhere"])).toMatchObject({
      exitCode: 0,
      stdout: "",
      stderr: expect.stringContaining("no such container: nowhere"),
    })
  })

  test("--json has stable fields", async () => {
    const before = Date.now()
    const labels = ["-l", "tier=web", "--label", "empty", "-l", "a=b=c"]
    const running = await started("--name", "fields", ...labels)
    const [row] = await rows()
    expect(row).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{64}$/),
      name: "fields",
      image: "base",
      command: ["sh", "-c", "echo ready; read line; exit 3"],
      created: expect.any(String),
      labels: { tier: "web", empty: "", a: "b=c" },
      status: "running",
      pid: expect.any(Number),
      started: expect.any(String),
    })
    expect(Date.parse(row.created)).toBeGreaterThanOrEqual(before)
    expect(readFileSync(`/proc/${row.pid}/cgroup`, "utf8")).toContain(row.id)
    running.stdin.end()
    await running.wait()
    const { pid: _, ...kept } = row
    expect(await rows("-a")).toEqual([
      { ...kept, status: "exited", exitCode: 3, oomKilled: false, finished: expect.any(String) },
    ])
  })

  test("the table has a line for each, cut to what fits, in full with --no-trunc, safe for terminals", async () => {
    const long = "a long command with many words in it"
    await run("--name", "table", "base", "echo", long, "\x1b[31m\n")
    const [id = ""] = await lines("ps", "-aq", "--no-trunc")
    const [head, row, ...more] = await lines("ps", "-a")
    expect(more).toEqual([])
    expect(head).toMatch(/^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$/)
    expect(row).toStartWith(`${id.slice(0, 12)}   base    "echo a long command…"   `)
    expect(row).toMatch(/ seconds? ago +Exited \(0\) \d+ seconds? ago +table$/)
    const [, whole] = await lines("ps", "-a", "--no-trunc")
    expect(whole).toStartWith(`${id}   base    "echo ${long} ?[31m?"   `)
    expect(await lines("ps", "-aq")).toEqual([id.slice(0, 12)])
    expect(await lines("ps", "-q")).toEqual([])
    expect(await lines("ps")).toHaveLength(1)
  })

  test("a command that could not be run is kept with its reason; a container that could not be made is not", async () => {
    await run("--name", "kept", "base", "nothere")
    await run("--name", "gone", "--sysctl", "net.no.such=1", "base", "true")
    expect(await rows("-a")).toMatchObject([{ name: "kept", exitCode: 127, error: "nothere: command not found" }])
  })

  test("names are proposed where none is given, and are their holder's alone", async () => {
    await run("base", "true")
    await run("base", "true")
    const names = (await rows("-a")).map(({ name }) => name)
    for (const name of names) expect(name).toMatch(/^[a-z]+_[a-z]+(_[0-9a-f]+)?$/)
    expect(new Set(names).size).toBe(2)
    await run("--name", "mine", "base", "true")
    const { stderr, exitCode } = await run("--name", "mine", "base", "true")
    expect(exitCode).toBe(125)
    expect(stderr).toMatch(/^toybox: the name "mine" is in use by container [0-9a-f]{12}\ntoybox: hint: .*rm mine\n$/)
    await toybox(["rm", "mine"])
    expect((await run("--name", "mine", "--rm", "base", "true")).exitCode).toBe(0)
    expect((await run("--name", "mine", "--rm", "base", "true")).exitCode).toBe(0)
  })

  test("--cidfile holds the id; one that exists is not written over", async () => {
    const path = join(temporaryDirectory("cid"), "id")
    await run("--cidfile", path, "base", "true")
    expect(await lines("ps", "-aq", "--no-trunc")).toEqual([readFileSync(path, "utf8")])
    const { stderr, exitCode } = await run("--cidfile", path, "base", "true")
    expect(exitCode).toBe(125)
    expect(stderr).toContain(`--cidfile: ${path} exists already`)
    expect(await rows("-a")).toHaveLength(1)
  })
})

describe.skipIf(!isRoot)("rm", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("takes names, ids, and beginnings of ids; what fails does not keep the others", async () => {
    for (const name of ["one", "two", "three"]) await run("--name", name, "base", "true")
    const { id } = (await rows("-a")).find(({ name }) => name === "two")
    const { stdout, stderr, exitCode } = await toybox(["rm", "one", "nope", id.slice(0, 10)])
    expect({ stdout, exitCode }).toEqual({ stdout: `one\n${id.slice(0, 10)}\n`, exitCode: 1 })
    expect(stderr).toBe("toybox: no such container: nope\ntoybox: hint: toybox ps -a lists them\n")
    expect((await rows("-a")).map(({ name }) => name)).toEqual(["three"])
    expect((await toybox(["rm", "three"])).exitCode).toBe(0)
    expect((await toybox(["rm", "three"])).exitCode).toBe(1)
    expect((await toybox(["rm"])).exitCode).toBe(125)
  })

  test("goes on where one that was killed has given the name back already", async () => {
    await run("--name", "half", "base", "true")
    unlinkSync(join(stateRoot(), "names", "half"))
    expect(await toybox(["rm", "half"])).toMatchObject({ stdout: "half\n", stderr: "", exitCode: 0 })
    expect(await rows("-a")).toEqual([])
  })

  test("of one that runs needs -f, which ends it", async () => {
    const running = await started("--name", "busy")
    const refused = await toybox(["rm", "busy"])
    expect(refused).toMatchObject({ stdout: "", exitCode: 1 })
    expect(refused.stderr).toMatch(/^toybox: container busy is running\ntoybox: hint: .*--force\n$/)
    expect(await rows()).toHaveLength(1)
    expect(await toybox(["rm", "-f", "busy"])).toMatchObject({ stdout: "busy\n", stderr: "", exitCode: 0 })
    expect(await running.wait()).toMatchObject({ exitCode: 137 })
    expect(await ownLeftovers()).toEqual([])
  })

  test("at once by several: none fails for the sake of another", async () => {
    await run("--name", "shared", "base", "sh", "-c", "for i in $(seq 200); do mkdir -p /srv/$i/a/b; done")
    const all = await Promise.all(Array.from({ length: 5 }, () => toybox(["rm", "shared"])))
    expect(all.some(({ exitCode }) => exitCode === 0)).toBe(true)
    for (const { stderr } of all) expect(stderr).toMatch(/^(toybox: no such container: shared\n.*\n)?$/)
  })

  test("an ambiguous or too short reference is refused", async () => {
    for (let i = 0; i < 17; i++) await run("base", "true")
    const ids = await lines("ps", "-aq")
    const first = ids.map((id) => id[0] ?? "").find((digit, i, all) => all.indexOf(digit) !== i) ?? ""
    const { stderr, exitCode } = await toybox(["rm", first])
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/is the beginning of \d+ containers' ids: give more of it/)
    expect(await lines("ps", "-aq")).toHaveLength(17)
  })
})

describe.skipIf(!isRoot)("the state directory", () => {
  test("is where --root or TOYBOX_ROOT says, also beside the working directory", async () => {
    const cwd = temporaryDirectory("root")
    await toybox(ownRun("--root", "own/state", "--name", "near", "base", "true"), { cwd })
    expect(await lines("ps", "-aq", "--root", join(cwd, "own/state"))).toHaveLength(1)
    expect(await lines("ps", "-aq")).toEqual([])
    const { stdout } = await toybox(["ps", "-aq"], { cwd, env: { TOYBOX_ROOT: "own/state" } })
    expect(stdout).toMatch(/^[0-9a-f]{12}\n$/)
    expect(statSync(join(cwd, "own/state")).mode & 0o777).toBe(0o700)
    await toybox(["rm", "--root", join(cwd, "own/state"), "near"])
    expect(await ownLeftovers({ root: join(cwd, "own/state") })).toEqual([])
  })

  test("is refused, and nothing put there, when others can enter it or own it", async () => {
    const outcome = async (root: string) => {
      const results = [await run("--root", root, "base", "true"), await toybox(["ps", "--root", root])]
      for (const { exitCode, stderr } of results) {
        expect(exitCode).toBe(125)
        expect(stderr).toContain(`toybox: the state directory ${root}`)
      }
      return results[0]?.stderr
    }
    const open = temporaryDirectory("open")
    chmodSync(open, 0o755)
    expect(await outcome(open)).toMatch(/mode 0700.*\ntoybox: hint: chown root \S+ && chmod 700/)
    expect(readdirSync(open)).toEqual([])
    const foreign = temporaryDirectory("foreign")
    chownSync(foreign, 1000, 1000)
    await outcome(foreign)
    expect(readdirSync(foreign)).toEqual([])
    const file = join(temporaryDirectory("file"), "state")
    writeFileSync(file, "")
    await outcome(file)
    const later = join(temporaryDirectory("later"), "state")
    await run("--root", later, "--rm", "base", "true")
    chmodSync(later, 0o711)
    await outcome(later)
    chmodSync(later, 0o700)
    chmodSync(join(later, "run"), 0o755)
    expect((await toybox(["ps", "--root", later])).stderr).toContain(`${later}/run must belong`)
  })

  test("keeps a container's files, and --rm keeps none", async () => {
    const script = "echo kept > /srv/file; exit 0"
    await run("--name", "files", "base", "sh", "-c", script)
    const [id = ""] = await lines("ps", "-aq", "--no-trunc")
    const directory = join(stateRoot(), "containers", id)
    expect(readFileSync(join(directory, "upper/srv/file"), "utf8")).toBe("kept\n")
    expect(existsSync(join(directory, "work"))).toBe(false)
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    await toybox(["rm", "files"])
    await run("--rm", "base", "sh", "-c", script)
    expect(readdirSync(join(stateRoot(), "containers"))).toEqual([])
    mkdirSync(join(stateRoot(), "containers", "not-an-id"))
    expect(await lines("ps", "-aq")).toEqual([])
    expect(await ownLeftovers({ ignore: /not-an-id/ })).toEqual([])
  })
})
