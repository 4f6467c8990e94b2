/** create, start, state, kill, delete and run of bundles, as engines call them. */
import { afterEach, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { bundleRoot, ociRuntime } from "../helpers/bundle.ts"
import { cgroupParent, ownLeftovers } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

async function until(condition: () => boolean, seconds = 20): Promise<void> {
  for (const end = performance.now() + seconds * 1000; !condition(); await Bun.sleep(10)) {
    if (performance.now() > end) throw new Error("it has not happened in time")
  }
}

describe.skipIf(!isRoot)("an OCI container", () => {
  const oci = ociRuntime()

  afterEach(async () => {
    for (const id of oci.entries()) oci.run("delete", "--force", id)
    expect(oci.entries()).toEqual([])
    expect(await ownLeftovers()).toEqual([])
  })

  test("paused before its start it is resumed, and started then; or ended", async () => {
    for (const id of ["a", "b"]) {
      const created = oci.run("create", "--bundle", oci.bundle(id, { args: ["echo", "started"] }), id)
      expect(created.exitCode).toBe(0)
      expect(oci.run("pause", id)).toMatchObject({ exitCode: 0, stderr: "" })
      expect(oci.state(id).status).toBe("paused")
      expect(oci.run("start", id)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining("cannot start a paused container"),
      })
      if (id === "b") {
        expect(oci.run("kill", id)).toMatchObject({ exitCode: 0, stderr: "" })
        await until(() => oci.state(id).status === "stopped")
        continue
      }
      expect(oci.run("resume", id)).toMatchObject({ exitCode: 0, stderr: "" })
      expect(oci.state(id).status).toBe("created")
      expect(oci.run("start", id)).toMatchObject({ exitCode: 0, stderr: "" })
      await until(() => created.later() === "started\n")
    }
  })

  test("waits for its start, runs, ends, and is deleted", async () => {
    const pidFile = join(temporaryDirectory(), "pid")
    const bundle = oci.bundle("a", {
      args: ["sh", "-c", "echo started; sleep 20"],
      config: { annotations: { k: "v" } },
    })
    const created = oci.run("create", "--bundle", bundle, "--pid-file", pidFile, "a")
    expect(created).toMatchObject({ stderr: "", exitCode: 0, stdout: "" })
    const pid = Number(readFileSync(pidFile, "utf8"))
    expect(oci.state("a")).toMatchObject({
      ociVersion: "1.0.2",
      id: "a",
      pid,
      status: "created",
      bundle,
      rootfs: bundleRoot(),
      annotations: { k: "v" },
    })
    expect(oci.run("delete", "a")).toMatchObject({ exitCode: 1 })
    expect(oci.run("start", "a")).toMatchObject({ stderr: "", exitCode: 0 })
    await until(() => created.later() === "started\n")
    expect(oci.state("a")).toMatchObject({ status: "running", pid })
    expect(oci.run("start", "a")).toMatchObject({ exitCode: 1 })
    expect(oci.run("start", "a").stderr).toContain("cannot start an already running container")
    expect(oci.run("kill", "a", "KILL")).toMatchObject({ exitCode: 0 })
    await until(() => oci.state("a").status === "stopped")
    expect(oci.run("kill", "a").stderr).toContain("container not running")
    expect(oci.run("delete", "a")).toMatchObject({ stderr: "", exitCode: 0 })
    expect(oci.run("state", "a")).toMatchObject({ exitCode: 1 })
    expect(oci.run("delete", "--force", "a")).toMatchObject({ exitCode: 0, stderr: "" })
  })

  test("can be created without a process, and entered, but not started", async () => {
    const bundle = oci.bundle("a", { config: { process: undefined } })
    expect(oci.run("create", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stderr: "" })
    const refused = { exitCode: 1, stderr: expect.stringContaining("config.json: process: is missing") }
    expect(oci.run("start", "a")).toMatchObject(refused)
    expect(oci.state("a").status).toBe("created")
    const process = join(temporaryDirectory(), "process.json")
    writeFileSync(process, JSON.stringify({ cwd: "/", args: ["/bin/echo", "inside"] }))
    expect(oci.run("exec", "--process", process, "a")).toMatchObject({ exitCode: 0, stderr: "", stdout: "inside\n" })
    expect(oci.run("kill", "a")).toMatchObject({ exitCode: 0, stderr: "" })
    await until(() => oci.state("a").status === "stopped")
    expect(oci.run("delete", "a")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(oci.run("run", "-b", bundle, "b")).toMatchObject(refused)
  })

  test("that takes more calls than a list can have is refused, and nothing is left", () => {
    const maskedPaths = Array.from({ length: 20_000 }, (_, number) => `/proc/${number}/mem`)
    expect(oci.run("create", "-b", oci.bundle("a", { linux: { maskedPaths } }), "a")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("too many mounts, devices, paths or variables"),
    })
    expect(oci.entries()).toEqual([])
  })

  test("holds less than 200 KB and none of toybox while it waits", () => {
    expect(oci.run("create", "-b", oci.bundle("a"), "a").exitCode).toBe(0)
    const { pid } = oci.state("a")
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")
    const privately = [...rollup.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB/gm)].map(([, kB]) => Number(kB))
    expect(privately.length).toBe(2)
    expect(privately.reduce((sum, kB) => sum + kB)).toBeLessThan(200)
    expect(readlinkSync(`/proc/${pid}/exe`)).toStartWith("/memfd:toybox")
  })

  test("is refused a cgroup that has processes of others, and harms none of them", async () => {
    const linux = { cgroupsPath: `/${cgroupParent()}/shared` }
    expect(oci.run("run", "-d", "-b", oci.bundle("a", { args: ["sleep", "60"], linux }), "a").exitCode).toBe(0)
    const refused = oci.run("create", "-b", oci.bundle("b", { linux }), "b")
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toContain("exists and has processes in it")
    expect(refused.stderr).not.toContain("cleaning up")
    expect(oci.entries()).toEqual(["a"])
    await Bun.sleep(50)
    expect(oci.state("a").status).toBe("running")
    // As a create leaves it that is killed before it finds out.
    const state = join(oci.root, "a/state.json")
    const record = JSON.parse(readFileSync(state, "utf8"))
    mkdirSync(join(oci.root, "b"))
    writeFileSync(join(oci.root, "b/state.json"), JSON.stringify({ ...record, id: "b", pid: 0, complete: false }))
    writeFileSync(join(oci.root, "b/config.json"), readFileSync(join(oci.root, "a/config.json")))
    expect(oci.run("delete", "--force", "b").exitCode).toBe(0)
    expect(oci.entries()).toEqual(["a"])
    expect(oci.state("a").status).toBe("running")
  })

  test("is killed by a signal while it waits, which its init could not see", async () => {
    expect(oci.run("create", "-b", oci.bundle("a"), "a").exitCode).toBe(0)
    expect(oci.run("kill", "a", "TERM").exitCode).toBe(0)
    await until(() => oci.state("a").status === "stopped")
    expect(oci.run("start", "a").stderr).toContain("cannot start a container that has stopped")
  })

  test("runs in one go, with the command's exit code and its own input", () => {
    const bundle = oci.bundle("a", { args: ["sh", "-c", "cat; exit 7"] })
    expect(oci.runWith({ stdin: "input" }, "run", "-b", bundle, "a")).toMatchObject({
      stdout: "input",
      stderr: "",
      exitCode: 7,
    })
    expect(oci.entries()).toEqual([])
    expect(oci.runWith({ cwd: bundle }, "run", "--keep", "--detach", "a").exitCode).toBe(0)
    expect(oci.entries()).toEqual(["a"])
  })

  test("is refused a second time under one id", () => {
    expect(oci.run("create", "-b", oci.bundle("a"), "a").exitCode).toBe(0)
    const again = oci.run("create", "-b", oci.bundle("a"), "a")
    expect(again.exitCode).toBe(1)
    expect(again.stderr).toContain("container with id exists: a")
    expect(oci.state("a").status).toBe("created")
  })

  test("of a create that was killed gives its place to the next one", async () => {
    const sleeping = { path: "/bin/sleep", args: ["sleep", "30"] }
    const bundle = oci.bundle("a", { config: { hooks: { createRuntime: [sleeping] } } })
    const killed = Bun.spawn([toyboxBinary(), "oci", "--root", oci.root, "create", "-b", bundle, "a"], {
      stdio: ["ignore", "ignore", "ignore"],
    })
    await until(() => existsSync(join(oci.root, "a/report")))
    await Bun.sleep(100)
    expect(oci.state("a").status).toBe("creating")
    killed.kill("SIGKILL")
    await killed.exited
    await until(() => oci.state("a").status === "stopped")
    expect(oci.run("create", "-b", oci.bundle("a"), "a")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(oci.state("a").status).toBe("created")
    Bun.spawnSync([
      "sh",
      "-c",
      `for p in $(pidof sleep); do [ "$(cat /proc/$p/cmdline | tr '\\0' ' ')" = "sleep 30 " ] && kill $p; done`,
    ])
  })

  test.each([
    ["nothere", 'exec: "nothere": executable file not found in $PATH'],
    ["/no/such", 'exec: "/no/such": stat /no/such: no such file or directory'],
    ["/etc/passwd", 'exec: "/etc/passwd": permission denied'],
    ["/etc", 'exec: "/etc": permission denied'],
  ])("with the command %s is refused in the words that engines know", (command, message) => {
    const log = join(temporaryDirectory(), "log")
    const bundle = oci.bundle("a", { args: [command] })
    const { exitCode, stderr } = oci.run("--log", log, "--log-format", "json", "create", "-b", bundle, "a")
    expect(exitCode).toBe(1)
    expect(stderr).toContain(message)
    const lines = readFileSync(log, "utf8").trim().split("\n")
    expect(lines.length).toBe(1)
    expect(JSON.parse(lines[0] ?? "")).toEqual({ level: "error", msg: message, time: expect.any(String) })
    expect(oci.entries()).toEqual([])
  })

  test("whose command is no program is told at start", async () => {
    const root = bundleRoot()
    writeFileSync(join(root, "bin/empty"), "\u0001\u0002", { mode: 0o755 })
    expect(oci.run("create", "-b", oci.bundle("a", { args: ["/bin/empty"] }), "a").exitCode).toBe(0)
    const started = oci.run("start", "a")
    expect(started.exitCode).toBe(1)
    expect(started.stderr).toContain('exec: "/bin/empty": exec format error')
    await until(() => oci.state("a").status === "stopped")
  })

  test("gets the descriptors that are preserved for it, and no others", () => {
    const file = join(temporaryDirectory(), "file")
    writeFileSync(file, "preserved")
    const bundle = oci.bundle("a", {
      args: ["sh", "-c", "[ -e /proc/self/fd/3 ] && cat <&3; ls /proc/self/fd | tr '\\n' ' '; echo $LISTEN_FDS"],
    })
    const words = `exec 3<'${file}' 4<'${file}'; exec '${toyboxBinary()}' oci --root '${oci.root}' run -b '${bundle}' `
    const run = (rest: string, env = {}) =>
      Bun.spawnSync(["sh", "-c", words + rest], { env: { ...process.env, ...env } }).stdout.toString()
    // The last one is that of ls itself.
    expect(run("--preserve-fds 1 a")).toBe("preserved0 1 2 3 4 \n")
    expect(run("--preserve-fds 2 a")).toBe("preserved0 1 2 3 4 5 \n")
    expect(run("a", { LISTEN_FDS: "1" })).toBe("preserved0 1 2 3 4 1\n")
    // Of those that are announced, what is there: 5 and on is what toybox has opened for itself.
    expect(run("a", { LISTEN_FDS: "9" })).toBe("preserved0 1 2 3 4 5 2\n")
    expect(run("a")).toBe("0 1 2 3 \n")
    expect(run("--preserve-fds 3 a 2>&1")).toContain("descriptor 5 is not open")
    expect(oci.run("run", "-b", bundle, "--preserve-fds", "9", "a").stderr).toContain("descriptor 3 is not open")
  })

  test("without pivot_root has its own root all the same", () => {
    const bundle = oci.bundle("a", { args: ["sh", "-c", "ls -d /bin/busybox; ls /proc/1/root/.. | grep -c bin"] })
    expect(oci.run("run", "--no-pivot", "-b", bundle, "a")).toMatchObject({ stdout: "/bin/busybox\n2\n", exitCode: 0 })
  })

  test("can have its root behind a symbolic link", () => {
    const link = join(temporaryDirectory(), "link")
    symlinkSync(bundleRoot(), link)
    const bundle = oci.bundle("a", { args: ["echo", "ok"], config: { root: { path: link, readonly: true } } })
    expect(oci.run("run", "-b", bundle, "a")).toMatchObject({ stdout: "ok\n", stderr: "", exitCode: 0 })
  })

  test("is refused with one clear error where the bundle is none", () => {
    const empty = temporaryDirectory()
    expect(oci.run("create", "-b", empty, "a").stderr).toContain("config.json not found")
    mkdirSync(join(empty, "rootfs"))
    writeFileSync(join(empty, "config.json"), "{")
    expect(oci.run("create", "-b", empty, "a")).toMatchObject({ exitCode: 1, stdout: "" })
    const bad = oci.bundle("a", { config: { root: { path: "/no/root" } } })
    expect(oci.run("create", "-b", bad, "a").stderr).toContain("root.path: /no/root is not a directory")
    for (const id of ["../a", "a/b", "", "."]) expect(oci.run("create", "-b", empty, id).exitCode).toBe(1)
    expect(oci.run("--systemd-cgroup", "create", "-b", empty, "a").stderr).toContain("--systemd-cgroup")
    expect(oci.run("restore", "a").stderr).toContain("restore is not supported")
  })

  test("of many made at once each comes and goes", async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `m${i}`)
    const runs = ids.map((id) => {
      const bundle = oci.bundle(id, { args: ["sh", "-c", `echo ${id}`] })
      const words = ["timeout", "-k", "2", "20", toyboxBinary(), "oci", "--root", oci.root, "run", "-b", bundle, id]
      const child = Bun.spawn(words, { stdout: "pipe", stderr: "pipe", stdin: "ignore" })
      return Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited])
    })
    expect(await Promise.all(runs)).toEqual(ids.map((id) => [`${id}\n`, "", 0]))
  })
})

test("the name of a link makes toybox an OCI runtime", () => {
  for (const name of ["toybox-oci", "runc", "crun", "buildkit-runc"]) {
    const link = join(temporaryDirectory(), name)
    symlinkSync(toyboxBinary(), link)
    const { stdout, exitCode } = Bun.spawnSync([link, "--version"])
    expect(stdout.toString()).toMatch(/^toybox-oci version \d+\.\d+\.\d+\nspec: 1\.2\.0\n$/)
    expect(exitCode).toBe(0)
    const features = JSON.parse(Bun.spawnSync([link, "features"]).stdout.toString())
    expect(features).toMatchObject({
      ociVersionMin: "1.0.0",
      linux: { cgroup: { v1: true, v2: true, systemd: false } },
      potentiallyUnsafeConfigAnnotations: ["run.oci.keep_original_groups"],
    })
  }
})
