/** docker, with a daemon of its own, and toybox as its OCI runtime. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, existsSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import {
  command,
  engineDirectory,
  rootArchive,
  runtimeLink,
  succeed,
  unavailable,
  until,
  withTerminal,
} from "./engine.ts"

cleanUpAfterAll()

const reason = unavailable("/usr/sbin/dockerd", "/usr/bin/containerd")
if (reason !== undefined) console.warn(`docker is not tested: ${reason}`)

// What is of cgroup v1 alone and no longer in docker's interface, and what is of a daemon, a swarm and helper programs.
const GONE = new Set([
  ...["KernelMemory", "KernelMemoryTCP", "OomKillDisable", "DriverStatus", "NFd", "NGoroutines", "NEventsListener"],
  ...[
    "RegistryConfig",
    "GenericResources",
    "ContainerdCommit",
    "RuncCommit",
    "InitCommit",
    "CDISpecDirs",
    "ClientInfo",
  ],
  ...["RemoteManagers", "NodeAddr", "Error", "Authorization", "Log"],
])
// Their names are anybody's.
const MAPS = new Set(["Runtimes", "Labels"])

/** What `theirs` has, at whatever depth, that `ours` lacks, or has as something else. */
function missing(theirs: unknown, ours: unknown, path = ""): string[] {
  if (theirs === null || ours === null || MAPS.has(path.replace(/^.*\./, ""))) return []
  if (Array.isArray(theirs) && Array.isArray(ours))
    return theirs.length * ours.length ? missing(theirs[0], ours[0], path) : []
  if (typeof theirs !== typeof ours || Array.isArray(theirs) !== Array.isArray(ours)) return [path]
  if (typeof theirs !== "object") return []
  const own = ours as Record<string, unknown>
  return Object.entries(theirs)
    .filter(([name]) => !GONE.has(name))
    .flatMap(([name, one]) =>
      Object.hasOwn(own, name) ? missing(one, own[name], `${path}.${name}`) : [`${path}.${name}`],
    )
}

describe.skipIf(reason !== undefined)("docker", () => {
  let daemon: Bun.Subprocess | undefined
  let socket = ""
  const words = (...rest: string[]) => ["docker", "--host", `unix://${socket}`, ...rest]
  const docker = (...rest: string[]) => command(words(...rest))
  const run = (...rest: string[]) => docker("run", "--rm", "--network", "none", ...rest)

  beforeAll(async () => {
    const directory = engineDirectory()
    socket = join(directory, "socket")
    // BuildKit has no other runtime than the runc that it finds.
    const found = temporaryDirectory("path")
    symlinkSync(toyboxBinary(), join(found, "runc"))
    daemon = Bun.spawn(
      [
        ...["timeout", "-k", "10", "170", "dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none"],
        ...[
          "--data-root",
          join(directory, "root"),
          "--exec-root",
          join(directory, "exec"),
          "--host",
          `unix://${socket}`,
        ],
        ...["--pidfile", join(directory, "pid"), "--storage-driver", "vfs"],
        ...["--add-runtime", `toybox=${runtimeLink()}`, "--default-runtime", "toybox"],
      ],
      { stdio: ["ignore", "ignore", "ignore"], env: { ...process.env, PATH: `${found}:${process.env.PATH}` } },
    )
    await until(() => docker("info").exitCode === 0, 30)
    succeed(words("import", rootArchive(), "image"))
  }, 45_000)

  afterAll(async () => {
    const left = docker("ps", "--all", "--quiet").stdout.split("\n").filter(Boolean)
    if (left.length > 0) docker("rm", "--force", ...left)
    daemon?.kill("SIGTERM")
    await daemon?.exited
    expect(left).toEqual([])
  }, 30_000)

  test("runs a command, and has its exit code", () => {
    expect(run("image", "echo", "hello")).toEqual({ stdout: "hello\n", stderr: "", exitCode: 0 })
    expect(run("image", "sh", "-c", "exit 7").exitCode).toBe(7)
    expect(run("image", "nothere").exitCode).toBe(127)
    expect(run("image", "/etc").exitCode).toBe(126)
    expect(command(words("run", "--rm", "-i", "--network", "none", "image", "cat"), { stdin: "in" }).stdout).toBe("in")
  })

  // Debian's client has BuildKit's in it; others need a program beside them.
  test.skipIf(!existsSync("/usr/bin/docker"))(
    "builds, also with BuildKit",
    () => {
      const context = temporaryDirectory("context")
      const steps = [
        "FROM image",
        "ARG FAIL=0",
        "RUN id -u > /who",
        "USER alice",
        "RUN id -u | cat /who - && exit $FAIL",
      ]
      writeFileSync(join(context, "Dockerfile"), steps.join("\n"))
      const build = (buildkit: number, ...rest: string[]) => {
        const words = ["/usr/bin/docker", "--host", `unix://${socket}`, "build", "--network", "none", ...rest, context]
        return command(["env", `DOCKER_BUILDKIT=${buildkit}`, ...words])
      }
      const classic = build(0, "--build-arg", "FAIL=7", "--force-rm")
      expect(classic.exitCode).toBe(7)
      expect(classic.stdout).toContain("\n0\n1000\n")
      const failed = build(1, "--build-arg", "FAIL=7")
      expect(failed.exitCode).toBe(1)
      expect(failed.stderr).toMatch(/ 0\n(.*\n)*?.* 1000\n(.*\n)*.*exit code: 7/)
      expect(build(1, "-t", "built")).toMatchObject({ exitCode: 0 })
      expect(run("built", "cat", "/who").stdout).toBe("0\n")
      docker("rmi", "built")
    },
    60_000,
  )

  test("saves what toybox loads, loads what it saves, and it is the same image", async () => {
    const [theirs, ours] = ["theirs.tar", "ours.tar"].map((name) => join(temporaryDirectory("archive"), name))
    const root = temporaryDirectory("state")
    chmodSync(root, 0o700)
    succeed(words("tag", "image", "example.org/saved:1"))
    const id = succeed(words("image", "inspect", "--format", "{{.Id}}", "image"))
    succeed(words("save", "-o", theirs as string, "image", "example.org/saved:1"))
    const toybox = (...rest: string[]) => succeed([toyboxBinary(), rest[0] ?? "", "--root", root, ...rest.slice(1)])
    expect(
      toybox("load", "-i", theirs as string)
        .split("\n")
        .sort(),
    ).toEqual(["Loaded image: example.org/saved:1", "Loaded image: image:latest"])
    expect(toybox("images", "-q", "--no-trunc")).toBe(id)
    toybox("tag", "image", "example.org/again:1")
    toybox("save", "-o", ours as string, "example.org/again:1", "image")
    succeed(words("rmi", "--force", "image", "example.org/saved:1"))
    expect(
      succeed(words("load", "-i", ours as string))
        .split("\n")
        .sort(),
    ).toEqual(["Loaded image: example.org/again:1", "Loaded image: image:latest"])
    expect(succeed(words("image", "inspect", "--format", "{{.Id}}", "image"))).toBe(id)
    expect(run("example.org/again:1", "echo", "ran")).toMatchObject({ stdout: "ran\n", exitCode: 0 })
  })

  test("gives a terminal, a user, an init, a read-only root, its filter", () => {
    expect(withTerminal(words("run", "--rm", "-it", "--network", "none", "image", "tty")).stdout).toContain(
      "/dev/pts/0",
    )
    expect(run("--user", "1000:50", "image", "id").stdout).toStartWith("uid=1000(alice) gid=50(staff)")
    expect(run("--init", "image", "cat", "/proc/1/comm").stdout).not.toBe("cat\n")
    const { stdout, stderr } = run("--read-only", "--tmpfs", "/t", "image", "sh", "-c", "touch /x; touch /t/y; ls /t")
    expect(stdout).toBe("y\n")
    expect(stderr).toContain("Read-only file system")
    expect(run("--tmpfs", "/etc", "image", "stat", "-c", "%a", "/etc").stdout).toBe("755\n")
    const onFile = run("-v", `${temporaryDirectory()}:/etc/passwd`, "image", "true")
    expect(onFile).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("cannot be mounted on a file") })
    expect(run("image", "grep", "Seccomp:", "/proc/self/status").stdout).toBe("Seccomp:\t2\n")
  })

  test("mounts volumes", () => {
    const volume = temporaryDirectory()
    writeFileSync(join(volume, "file"), "data")
    expect(run("-v", `${volume}:/v:ro`, "image", "sh", "-c", "cat /v/file; touch /v/x")).toMatchObject({
      stdout: "data",
      exitCode: 1,
    })
    expect(run("-v", `${volume}:/v`, "image", "sh", "-c", "touch /v/x; ls /v").stdout).toBe("file\nx\n")
  })

  const TRAP = 'trap "echo term; exit 0" TERM; echo start; while :; do sleep 0.05; done'

  test("goes through the life of a detached container", async () => {
    succeed(words("run", "-d", "--name", "life", "--memory", "64m", "--network", "none", "image", "sh", "-c", TRAP))
    await until(() => docker("logs", "life").stdout === "start\n")
    const limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
    expect(docker("exec", "life", "sh", "-c", limit).stdout).toBe(`${64 << 20}\n`)
    expect(docker("exec", "life", "sh", "-c", "exit 5").exitCode).toBe(5)
    expect(
      docker("exec", "-u", "1000", "-w", "/tmp", "-e", "A=b", "life", "sh", "-c", "id -u; pwd; echo $A").stdout,
    ).toBe("1000\n/tmp\nb\n")
    expect(docker("exec", "life", "nothere")).toMatchObject({ stderr: "" })
    expect(withTerminal(words("exec", "-it", "life", "tty")).stdout).toContain("/dev/pts/0")
    succeed(words("pause", "life"))
    expect(docker("inspect", "-f", "{{.State.Status}}", "life").stdout).toBe("paused\n")
    succeed(words("unpause", "life"))
    succeed(words("update", "--memory", "48m", "--memory-swap", "96m", "life"))
    expect(docker("exec", "life", "sh", "-c", limit).stdout).toBe(`${48 << 20}\n`)
    expect(docker("top", "life").stdout).toContain("sh -c trap")
    expect(docker("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "life").stdout).toMatch(/^life [12]\n$/)
    succeed(words("stop", "life"))
    expect(docker("logs", "life").stdout).toBe("start\nterm\n")
    succeed(words("start", "life"))
    succeed(words("restart", "life"))
    succeed(words("kill", "life"))
    await until(() => docker("inspect", "-f", "{{.State.ExitCode}}", "life").stdout === "137\n")
    succeed(words("rm", "life"))
  }, 60_000)

  test("shows nothing that toybox does not", async () => {
    const ours = ["--root", temporaryDirectory()]
    const toybox = (command: string, ...rest: string[]) => succeed([toyboxBinary(), command, ...ours, ...rest])
    toybox("import", "-q", rootArchive(), "image")
    const options = [
      "--tmpfs",
      "/t",
      "--device",
      "/dev/null",
      "--ulimit",
      "nofile=9",
      "-v",
      "/v",
      "--health-cmd",
      "true",
    ]
    const made = ["--name", "shown", "--network", "none", ...options]
    succeed(words("run", "-d", ...made, "image", "sleep", "100"))
    toybox("run", "-d", ...made, "image", "sleep", "100")
    try {
      const theirs = JSON.parse(succeed(words("inspect", "shown")))
      expect(missing(theirs, JSON.parse(toybox("inspect", "shown")))).toEqual([])
      const json = ["--format", "json"]
      for (const asked of [["ps", "-a"], ["images"], ["volume", "ls"], ["network", "ls"], ["system", "df"], ["info"]]) {
        const [one, other] = [words(...asked, ...json), [toyboxBinary(), ...asked, ...ours, ...json]].map((each) =>
          JSON.parse(succeed(each).split("\n", 1)[0] ?? ""),
        )
        expect([asked, missing(one, other)]).toEqual([asked, []])
      }
    } finally {
      docker("rm", "--force", "shown")
      toybox("rm", "--force", "--volumes", "shown")
    }
  })

  test("checks health, and restarts what fails", async () => {
    const health = ["--health-cmd", "test -e /tmp/healthy", "--health-interval", "300ms"]
    succeed(
      words(
        "run",
        "-d",
        "--name",
        "health",
        ...health,
        "--network",
        "none",
        "image",
        "sh",
        "-c",
        "touch /tmp/healthy; sleep 60",
      ),
    )
    await until(() => docker("inspect", "-f", "{{.State.Health.Status}}", "health").stdout === "healthy\n", 15)
    succeed(words("rm", "--force", "health"))
    succeed(words("run", "-d", "--name", "again", "--restart", "on-failure:2", "--network", "none", "image", "false"))
    await until(
      () => docker("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "again").stdout === "2 exited\n",
      15,
    )
    succeed(words("rm", "again"))
  }, 45_000)

  test("runs twenty at once", async () => {
    const numbers = Array.from({ length: 20 }, (_, i) => String(i))
    const outputs = numbers.map((n) => {
      const all = ["timeout", "-k", "2", "60", ...words("run", "--rm", "--network", "none", "image", "echo", n)]
      return new Response(Bun.spawn(all, { stdout: "pipe", stderr: "ignore", stdin: "ignore" }).stdout).text()
    })
    expect(await Promise.all(outputs)).toEqual(numbers.map((n) => `${n}\n`))
  }, 90_000)
})
