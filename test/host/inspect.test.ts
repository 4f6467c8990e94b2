/** toybox inspect of containers, in docker's shape; of images: pull.test.ts. */
import { afterEach, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)("inspect", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("a container that runs, paused or not, and one that has ended", async () => {
    const source = temporaryDirectory()
    const options = [
      "--mem",
      "64M",
      "--pids",
      "50",
      "--cpu",
      "50%",
      "-l",
      "tier=web",
      "-e",
      "A=b",
      "-w",
      "/tmp",
      "-u",
      "3:4",
    ]
    const more = ["--stop-signal", "INT", "-v", `${source}:/data:ro`, "-h", "box", "--read-only"]
    await toybox(ownRun("-d", "--name", "looked-at", ...options, ...more, "base", "sleep", "1000"))
    const look = async () => JSON.parse((await toybox(["inspect", "looked-at"])).stdout)
    const [found, ...others] = await look()
    expect(others).toEqual([])
    expect(found).toMatchObject({
      Path: "sleep",
      Args: ["1000"],
      Name: "/looked-at",
      Image: "base",
      State: { Status: "running", Running: true, Paused: false, OOMKilled: false, ExitCode: 0, Error: "" },
      HostConfig: { Memory: 64 << 20, PidsLimit: 50, ReadonlyRootfs: true, AutoRemove: false },
      Mounts: [{ Type: "bind", Source: source, Destination: "/data", RW: false }],
      Config: { Hostname: "box", User: "3:4", WorkingDir: "/tmp", Labels: { tier: "web" }, StopSignal: "SIGINT" },
    })
    expect(found.HostConfig.CpuQuota / found.HostConfig.CpuPeriod).toBe(0.5)
    expect(found.HostConfig).toMatchObject({
      NanoCpus: 500_000_000,
      MemorySwap: 64 << 20,
      Binds: [`${source}:/data:ro`],
      NetworkMode: "none",
      Privileged: false,
      CapAdd: [],
      PortBindings: {},
    })
    expect(found.SizeRw).toBeUndefined()
    const [sized] = JSON.parse((await toybox(["inspect", "looked-at", "--size"])).stdout)
    expect(sized.SizeRw).toBe(0)
    expect(sized.SizeRootFs).toBeGreaterThan(1e6)
    expect(found.Config.Env).toContain("A=b")
    expect(await Bun.file(`/proc/${found.State.Pid}/cmdline`).text()).toBe("sleep\u00001000\u0000")
    await toybox(["pause", "looked-at"])
    expect((await look())[0].State).toMatchObject({ Status: "paused", Running: true, Paused: true })
    await toybox(["unpause", "looked-at"])
    await toybox(["kill", "-s", "KILL", "looked-at"])
    await toybox(["wait", "looked-at"])
    const [{ State }] = await look()
    expect(State).toMatchObject({ Status: "exited", Running: false, Pid: 0, ExitCode: 137 })
    expect(Date.parse(State.FinishedAt)).toBeGreaterThanOrEqual(Date.parse(State.StartedAt))
  })

  test("what was asked for, in docker's fields, and what was not", async () => {
    const source = temporaryDirectory()
    const id = join(temporaryDirectory(), "id")
    await toybox(ownRun("--name", "other", "-v", "/of-other", "base", "true"))
    const options = [
      ...[
        "--tmpfs",
        "/t:size=1m",
        "--mount",
        `type=bind,src=${source},dst=/mb,readonly`,
        "--mount",
        "type=tmpfs,dst=/m",
      ],
      ...["--security-opt", "seccomp=unconfined", "--device", "/dev/null:/dev/xx:r", "--ulimit", "nofile=100:200"],
      ...["-v", "/vol", "--volumes-from", "other", "--cgroupns", "host", "--domainname", "dom", "--cidfile", id],
      ...["--health-cmd", "true", "--health-interval", "5s", "--stop-timeout", "3", "--expose", "80"],
    ]
    await toybox(ownRun("-d", "-i", "--name", "asked", ...options, "base", "sleep", "1000"))
    await toybox(ownRun("--name", "plain", "base", "true"))
    const look = async (name: string) => JSON.parse((await toybox(["inspect", name])).stdout)[0]
    const asked = await look("asked")
    expect(asked.HostConfig).toMatchObject({
      ContainerIDFile: id,
      SecurityOpt: ["seccomp=unconfined"],
      Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/xx", CgroupPermissions: "r" }],
      Ulimits: [{ Name: "nofile", Soft: 100, Hard: 200 }],
      Tmpfs: { "/t": "size=1m" },
      Mounts: [
        { Type: "bind", Source: source, Target: "/mb", ReadOnly: true },
        { Type: "tmpfs", Target: "/m" },
      ],
      VolumesFrom: ["other"],
      CgroupnsMode: "host",
      Runtime: "toybox",
    })
    expect(asked.Config).toMatchObject({
      ...{ Domainname: "dom", User: "", Volumes: { "/vol": {} }, StopTimeout: 3, ExposedPorts: { "80/tcp": {} } },
      ...{ AttachStdin: false, AttachStdout: false, OpenStdin: true, StdinOnce: false },
      Healthcheck: { Test: ["CMD-SHELL", "true"], Interval: 5e9 },
    })
    const mounts = Object.fromEntries(
      asked.Mounts.map(({ Destination, Type, Mode, RW, Propagation }: Record<string, unknown>) => [
        Destination,
        [Type, Mode, RW, Propagation],
      ]),
    )
    expect(mounts).toEqual({
      "/m": ["tmpfs", "", true, ""],
      "/mb": ["bind", "ro", false, "rprivate"],
      "/vol": ["volume", "", true, ""],
      "/of-other": ["volume", "", true, ""],
    })
    expect(readFileSync(asked.HostnamePath, "utf8")).toContain(asked.Id.slice(0, 12))
    const plain = await look("plain")
    expect(plain.HostConfig).toMatchObject({ SecurityOpt: null, VolumesFrom: null, Devices: [], Ulimits: [] })
    expect(plain.Config).toMatchObject({ User: "", Volumes: null, AttachStdout: true })
    for (const [where, names] of [
      [plain.State, ["Health"]],
      [plain.HostConfig, ["Tmpfs", "Mounts"]],
      [plain.Config, ["StopTimeout", "Healthcheck", "ExposedPorts"]],
    ] as const)
      for (const name of names) expect(where).not.toHaveProperty(name)
    const ask = async (...fields: string[]) =>
      (await toybox(["inspect", "-f", fields.map((field) => `{{${field}}}`).join(" "), "plain"])).stdout.trim()
    expect(await ask(".State.Health", ".Config.StopTimeout", ".Config.Healthcheck")).toBe("<nil> <nil> <nil>")
    expect(await ask(".HostConfig.SecurityOpt", ".HostConfig.Mounts")).toBe("[] []")
    expect(await ask(".HostConfig.Tmpfs", ".Config.Volumes", ".Config.ExposedPorts")).toBe("map[] map[] map[]")
    expect(await ask("json .State.Health", "json .Config.Volumes")).toBe("null null")
  })

  test("what is not there is an error, and hides nothing of the rest", async () => {
    await toybox(ownRun("--name", "there", "base", "true"))
    const { stdout, stderr, exitCode } = await toybox(["inspect", "nowhere", "there"])
    expect(exitCode).toBe(1)
    expect(stderr).toContain("no such container, image, network or volume: nowhere")
    expect(JSON.parse(stdout).map(({ Name }: { Name: string }) => Name)).toEqual(["/there"])
    expect((await toybox(["inspect", "--type", "image", "there"])).stderr).toContain("no such image: there")
    expect((await toybox(["inspect", "--type", "secret", "there"])).exitCode).toBe(125)
    expect((await toybox(["history", "nowhere"])).stderr).toContain("no such image: nowhere")
  })
})
