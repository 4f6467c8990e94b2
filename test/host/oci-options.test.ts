/** Options of runc and crun that engines and people use. */
import { afterEach, describe, expect, test } from "bun:test"
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ociRuntime } from "../helpers/bundle.ts"
import { cgroupParent, ownLeftovers } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)("options", () => {
  const oci = ociRuntime()
  afterEach(async () => {
    for (const id of oci.entries()) oci.run("delete", "--force", id)
    expect(oci.entries()).toEqual([])
    expect(await ownLeftovers()).toEqual([])
  })
  const sleeping = (id: string, config = {}) => oci.bundle(id, { args: ["sleep", "60"], config })
  const running = (id: string) => expect(oci.run("run", "-d", "-b", sleeping(id), id).exitCode).toBe(0)

  test("may stand behind the container's name", () => {
    running("a")
    expect(oci.run("update", "a", "--pids-limit", "50")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(oci.run("delete", "a", "--force")).toMatchObject({ exitCode: 0, stderr: "" })
  })

  test("with --log, notices are in it alone: standard error is the container's", () => {
    const log = join(temporaryDirectory("log"), "log")
    const capabilities = { bounding: ["CAP_OF_TOMORROW"] }
    const bundle = oci.bundle("a", { args: ["sh", "-c", "echo own >&2"], process: { capabilities } })
    const ran = oci.run("--log", log, "--log-format", "json", "run", "-b", bundle, "a")
    expect(ran).toMatchObject({ exitCode: 0, stderr: "own\n" })
    const told = { level: "warning", msg: expect.stringContaining("does not know CAP_OF_TOMORROW") }
    expect(JSON.parse(readFileSync(log, "utf8"))).toMatchObject(told)
  })

  test("a log named by --log=FILE is in the format that is asked for, also where an option is unknown", () => {
    const log = join(temporaryDirectory("log"), "log")
    const refused = oci.run(`--log=${log}`, "--log-format=json", "--no-such-option", "state", "a")
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("unknown option --no-such-option") })
    expect(JSON.parse(readFileSync(log, "utf8"))).toMatchObject({ level: "error" })
  })

  test("a hint is in the log with its error: engines show the last message alone", () => {
    const log = join(temporaryDirectory("log"), "log")
    const mounts = [{ destination: "/etc", type: "bind", source: "/etc/passwd", options: ["bind"] }]
    const refused = oci.run("--log", log, "--log-format", "json", "run", "-b", oci.bundle("a", { mounts }), "a")
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("\ntoybox: hint: a file can be") })
    const [line, ...more] = readFileSync(log, "utf8").trim().split("\n")
    expect(more).toEqual([])
    const { msg } = JSON.parse(line ?? "")
    expect(msg).toMatch(/^cannot mount \/etc\/passwd on \/etc: .*EINVAL \(a file can be mounted on a file only\)$/)
    // What docker's command line has as a command that cannot be executed.
    expect(msg).not.toMatch(/is a directory|permission denied/)
  })

  test("--config names another file than config.json", () => {
    const bundle = oci.bundle("a", { args: ["echo", "ran"] })
    const file = join(temporaryDirectory(), "other.json")
    renameSync(join(bundle, "config.json"), file)
    expect(oci.run("run", "-b", bundle, "-f", file, "a")).toMatchObject({ stdout: "ran\n", stderr: "", exitCode: 0 })
    expect(oci.run("run", "-b", bundle, "a").stderr).toContain("config.json not found")
  })

  test("--regex is for all that match", () => {
    for (const id of ["web-1", "web-2", "db"]) running(id)
    expect(oci.run("kill", "--regex", "^web-", "KILL")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(oci.run("delete", "--regex", "--force", "^web-")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(oci.entries()).toEqual(["db"])
    expect(oci.run("delete", "--regex", "(").stderr).toContain('--regex: "(" is no regular expression')
  })

  test("--regex: one that fails is told, and the others have their turn; kill passes over those that have ended", async () => {
    for (const id of ["web-1", "web-2", "web-3"]) running(id)
    expect(oci.run("kill", "web-2", "KILL").exitCode).toBe(0)
    for (let i = 0; i < 500 && oci.state("web-2").status !== "stopped"; i++) await Bun.sleep(10)
    const refused = oci.run("delete", "--regex", "^web-")
    expect(refused.exitCode).toBe(1)
    for (const id of ["web-1", "web-3"]) expect(refused.stderr).toContain(`cannot delete container ${id} that is not`)
    expect(oci.entries().sort()).toEqual(["web-1", "web-3"])
    running("web-2")
    expect(oci.run("kill", "web-2", "KILL").exitCode).toBe(0)
    for (let i = 0; i < 500 && oci.state("web-2").status !== "stopped"; i++) await Bun.sleep(10)
    expect(oci.run("kill", "--regex", "^web-", "KILL")).toMatchObject({ exitCode: 0, stderr: "" })
    for (let i = 0; i < 500 && oci.state("web-3").status !== "stopped"; i++) await Bun.sleep(10)
    expect(oci.state("web-3").status).toBe("stopped")
  })

  test("--cgroup puts a process below the container's cgroup, --ignore-paused into one that is paused", async () => {
    running("a")
    const controllers = readFileSync("/proc/self/cgroup", "utf8").includes(":pids:") ? ["pids"] : []
    expect(oci.run("exec", "--cgroup", "/sub", "a", "true")).toMatchObject({ exitCode: 255 })
    expect(oci.run("exec", "--cgroup", "/sub", "a", "true").stderr).toContain("has no cgroup /sub")
    expect(oci.run("exec", "--cgroup", "../x", "a", "true").stderr).toContain("--cgroup")
    const state = JSON.parse(readFileSync(join(oci.root, "a/state.json"), "utf8"))
    for (const dir of new Set(Object.values<string>(state.cgroup.dirs))) {
      mkdirSync(`${dir}/sub`)
      // A new cpuset has no processors.
      if (dir.includes("cpuset")) {
        for (const file of ["cpuset.cpus", "cpuset.mems"]) {
          Bun.spawnSync(["sh", "-c", `cat ${dir}/${file} > ${dir}/sub/${file}`])
        }
      }
    }
    const { stdout } = oci.run("exec", "--cgroup", "sub", "a", "cat", "/proc/self/cgroup")
    for (const controller of controllers) expect(stdout).toContain(`:${controller}:/sub\n`)
    expect(oci.run("pause", "a").exitCode).toBe(0)
    expect(oci.run("exec", "a", "true").stderr).toContain("paused")
    const words = ["oci", "--root", oci.root, "exec", "--ignore-paused", "a", "echo", "done"]
    const waiting = Bun.spawn([toyboxBinary(), ...words], { stdout: "pipe" })
    await Bun.sleep(200)
    expect(waiting.exitCode).toBeNull()
    expect(oci.run("resume", "a").exitCode).toBe(0)
    expect(await new Response(waiting.stdout).text()).toBe("done\n")
  })

  test("--cgroup-manager disabled leaves it in the caller's cgroup; others are refused by name", () => {
    const bundle = oci.bundle("a", { args: ["cat", "/proc/self/cgroup"] })
    const run = (manager: string) => oci.runWith({}, "--cgroup-manager", manager, "run", "-b", bundle, "a")
    expect(run("disabled")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(run("disabled").stdout).not.toContain(cgroupParent())
    expect(run("bogus")).toMatchObject({ exitCode: 1, stdout: "" })
    expect(run("bogus").stderr).toContain('--cgroup-manager: "bogus" is not known')
  })

  test("a bad one is told to the log, too", () => {
    const log = join(temporaryDirectory(), "log")
    expect(oci.run("--log", log, "--no-such-option", "state", "a")).toMatchObject({ exitCode: 1 })
    expect(readFileSync(log, "utf8")).toContain("no-such-option")
  })

  test("a root directory that others can write is refused, also by what only looks into it: hooks are kept there", () => {
    const root = join(temporaryDirectory(), "root")
    mkdirSync(root)
    const hooks = { poststop: [{ path: "/bin/touch", args: ["touch", `${root}-hook`] }] }
    const bundle = sleeping("a", { hooks })
    const run = (...args: string[]) => oci.run("--root", root, ...args)
    expect(run("run", "-d", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stderr: "" })
    const commands = [["create", "-b", bundle, "b"], ["state", "a"], ["list"], ["kill", "a"], ["exec", "a", "true"]]
    const refuses = () => {
      for (const command of [...commands, ["start", "a"], ["ps", "a"], ["pause", "a"], ["delete", "--force", "a"]]) {
        const { exitCode, stderr } = run(...command)
        const told = { exitCode: command[0] === "exec" ? 255 : 1, stderr: expect.stringContaining("others") }
        expect({ command, exitCode, stderr }).toMatchObject(told)
      }
    }
    chmodSync(root, 0o777)
    refuses()
    chmodSync(root, 0o755)
    chownSync(root, 65534, 0)
    refuses()
    expect(existsSync(`${root}-hook`)).toBe(false)
    chownSync(root, 0, 0)
    expect(run("delete", "--force", "a")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(existsSync(`${root}-hook`)).toBe(true)
    expect(run("state", "a").stderr).toContain("container does not exist: a")
  })

  test("a cgroupsPath, or a clock, that cannot be is named", () => {
    const long = oci.bundle("a", { linux: { cgroupsPath: `/${"x".repeat(200)}`.repeat(30) } })
    expect(oci.run("create", "-b", long, "a").stderr).toContain("linux.cgroupsPath: 6030 characters are too long")
    const namespaces = ["pid", "mount", "uts", "network", "ipc", "time"].map((type) => ({ type }))
    const past = oci.bundle("a", { linux: { namespaces, timeOffsets: { monotonic: { secs: -4_000_000_000 } } } })
    expect(oci.run("create", "-b", past, "a").stderr).toContain("linux.timeOffsets")
  })
})
