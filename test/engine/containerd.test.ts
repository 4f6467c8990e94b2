/** containerd, through its own shim, with toybox as its OCI runtime. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { bundleConfig } from "../helpers/bundle.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { command, engineDirectory, runtimeLink, succeed, unavailable, until } from "./engine.ts"

cleanUpAfterAll()

const reason = unavailable("/usr/bin/containerd", "/usr/bin/ctr", "/usr/bin/containerd-shim-runc-v2")
if (reason !== undefined) console.warn(`containerd is not tested: ${reason}`)

describe.skipIf(reason !== undefined)("containerd", () => {
  let daemon: Bun.Subprocess | undefined
  let socket = ""
  let runtime = ""
  let root = ""
  const words = (...rest: string[]) => ["ctr", "--address", socket, ...rest]
  const ctr = (...rest: string[]) => command(words(...rest))
  const own = () => ["--runc-binary", runtime, "--rootfs", root]
  const run = (id: string, ...rest: string[]) => ctr("run", "--rm", ...own(), id, ...rest)

  beforeAll(async () => {
    const directory = engineDirectory()
    socket = join(directory, "socket")
    const config = join(directory, "config.toml")
    runtime = runtimeLink()
    root = makeRoot()
    writeFileSync(
      config,
      [
        "version = 2",
        `root = "${directory}/root"`,
        `state = "${directory}/state"`,
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
        "[grpc]",
        `address = "${socket}"`,
      ].join("\n"),
    )
    daemon = Bun.spawn(["timeout", "-k", "5", "120", "containerd", "--config", config], {
      stdio: ["ignore", "ignore", "ignore"],
    })
    await until(() => existsSync(socket) && ctr("version").exitCode === 0, 20)
  }, 30_000)

  afterAll(async () => {
    daemon?.kill("SIGTERM")
    await daemon?.exited
  })

  test("runs a command, and has its exit code", () => {
    expect(run("a", "echo", "hello")).toEqual({ stdout: "hello\n", stderr: "", exitCode: 0 })
    expect(run("a", "sh", "-c", "exit 4").exitCode).toBe(4)
    const { stderr, exitCode } = run("a", "nothere")
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain('OCI runtime create failed: exec: "nothere": executable file not found in $PATH')
    expect(ctr("container", "ls", "--quiet").stdout).toBe("")
  })

  test("goes through the life of a task", async () => {
    succeed(words("run", "--detach", ...own(), "life", "sleep", "60"))
    const exec = (...rest: string[]) => ctr("task", "exec", "--exec-id", `e${Math.random()}`, "life", ...rest)
    expect(exec("sh", "-c", "echo in; exit 3")).toMatchObject({ stdout: "in\n", exitCode: 3 })
    expect(exec("nothere").stderr).toContain("executable file not found in $PATH")
    expect(ctr("task", "ps", "life").stdout).toMatch(/^PID +INFO\n\d+/)
    succeed(words("task", "pause", "life"))
    expect(ctr("task", "ls").stdout).toMatch(/life +\d+ +PAUSED/)
    succeed(words("task", "resume", "life"))
    expect(ctr("task", "metrics", "life").stdout).toContain("METRIC")
    succeed(words("task", "kill", "--signal", "SIGKILL", "life"))
    await until(() => /life +\d+ +STOPPED/.test(ctr("task", "ls").stdout))
    ctr("task", "rm", "life")
    expect(ctr("task", "ls").stdout).not.toContain("life")
    succeed(words("container", "rm", "life"))
  })

  test("runs what a config.json of its own says", () => {
    const config = join(engineDirectory(), "config.json")
    const linux = { cgroupsPath: "/toybox-containerd/own" }
    const root_ = { root: { path: root } }
    writeFileSync(config, JSON.stringify(bundleConfig("own", { args: ["sh", "-c", "hostname"], linux, config: root_ })))
    expect(ctr("run", "--rm", "--runc-binary", runtime, "--config", config, "own")).toMatchObject({
      stdout: "bundle\n",
      exitCode: 0,
    })
  })
})
