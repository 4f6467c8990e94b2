/** podman with toybox as its OCI runtime. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
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

const reason = unavailable("/usr/bin/podman", "/usr/bin/conmon")
if (reason !== undefined) console.warn(`podman is not tested: ${reason}`)

// The machine may lack CAP_SYS_RESOURCE, and podman raises limits unless they are named.
const OWN = ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]

describe.skipIf(reason !== undefined)("podman", () => {
  let base: string[] = []
  const words = (...rest: string[]) => [...base, ...rest]
  const podman = (...rest: string[]) => command(words(...rest))
  const run = (...rest: string[]) => podman("run", "--rm", ...OWN, ...rest)

  beforeAll(() => {
    const directory = engineDirectory("root", "run", "tmp")
    base = [
      ...["podman", "--root", join(directory, "root"), "--runroot", join(directory, "run")],
      ...["--tmpdir", join(directory, "tmp"), "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"],
      ...["--events-backend", "file", "--runtime", runtimeLink()],
    ]
    succeed(words("import", rootArchive(), "image"))
  })

  afterAll(() => {
    succeed(words("rm", "--all", "--force", "--time", "0"))
    expect(podman("ps", "--all", "--quiet").stdout).toBe("")
    succeed(words("rmi", "--all", "--force"))
  })

  test("runs a command, and has its exit code", () => {
    expect(run("image", "echo", "hello")).toEqual({ stdout: "hello\n", stderr: "", exitCode: 0 })
    expect(run("image", "sh", "-c", "exit 7").exitCode).toBe(7)
    expect(run("image", "nothere").exitCode).toBe(127)
    expect(run("image", "/etc").exitCode).toBe(126)
    expect(command(words("run", "--rm", "-i", ...OWN, "image", "cat"), { stdin: "in" }).stdout).toBe("in")
  })

  test("gives a terminal, a user, an init, a read-only root", () => {
    // What ends at once may end before what it wrote has been looked at.
    const terminal = withTerminal(words("run", "--rm", "-it", ...OWN, "image", "sh", "-c", "tty; sleep 1"))
    expect(terminal).toMatchObject({ stdout: expect.stringContaining("/dev/pts/0"), exitCode: 0 })
    expect(run("--user", "1000:50", "image", "id").stdout).toStartWith("uid=1000(alice) gid=50(staff)")
    expect(run("--init", "image", "cat", "/proc/1/comm").stdout).not.toBe("cat\n")
    expect(run("--read-only", "image", "touch", "/x").stderr).toContain("Read-only file system")
    expect(run("--tmpfs", "/t:size=1m", "image", "sh", "-c", "touch /t/x && df /t").stdout).toContain("1024")
    expect(run("--cap-drop", "all", "image", "grep", "CapEff", "/proc/self/status").stdout).toMatch(/0{16}$/m)
    expect(run("--sysctl", "net.ipv4.ip_forward=1", "image", "cat", "/proc/sys/net/ipv4/ip_forward").stdout).toBe("1\n")
  })

  test("mounts volumes", () => {
    const volume = temporaryDirectory()
    writeFileSync(join(volume, "file"), "data")
    mkdirSync(join(volume, "directory"))
    const script = "cat /v/file; touch /v/x; ls /v"
    const { stdout, stderr } = run("-v", `${volume}:/v:ro`, "image", "sh", "-c", script)
    expect(stdout).toBe("datadirectory\nfile\n")
    expect(stderr).toContain("Read-only file system")
    expect(run("-v", `${volume}:/v`, "image", "sh", "-c", "touch /v/x; ls /v").stdout).toBe("directory\nfile\nx\n")
  })

  test("maps users", () => {
    // What ends at once may end before what it wrote has been looked at.
    const script = "stat -c %u /etc; cat /proc/self/uid_map; sleep 1"
    const { stdout, ...rest } = run("--uidmap", "0:100000:5000", "--read-only", "image", "sh", "-c", script)
    expect(rest).toEqual({ stderr: "", exitCode: 0 })
    expect(stdout.split(/\s+/).filter(Boolean)).toEqual(["0", "0", "100000", "5000"])
  })

  const TRAP = 'trap "echo term; exit 0" TERM; echo start; while :; do sleep 0.05; done'

  test("goes through the life of a detached container", async () => {
    succeed(words("run", "-d", "--name", "life", ...OWN, "image", "sh", "-c", TRAP))
    await until(() => podman("logs", "life").stdout === "start\n")
    expect(podman("exec", "life", "sh", "-c", "echo in; exit 5")).toMatchObject({ stdout: "in\n", exitCode: 5 })
    expect(
      podman("exec", "-u", "1000", "-w", "/tmp", "-e", "A=b", "life", "sh", "-c", "id -u; pwd; echo $A").stdout,
    ).toBe("1000\n/tmp\nb\n")
    expect(podman("exec", "life", "nothere").exitCode).toBe(127)
    expect(withTerminal(words("exec", "-it", "life", "tty")).stdout).toContain("/dev/pts/0")
    succeed(words("pause", "life"))
    expect(podman("inspect", "-f", "{{.State.Status}}", "life").stdout).toBe("paused\n")
    succeed(words("unpause", "life"))
    expect(podman("top", "life", "pid", "args").stdout).toMatch(/^1 +sh -c/m)
    expect(podman("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "life").stdout).toMatch(/^life [12]\n$/)
    succeed(words("stop", "life"))
    expect(podman("logs", "life").stdout).toBe("start\nterm\n")
    expect(podman("inspect", "-f", "{{.State.ExitCode}}", "life").stdout).toBe("0\n")
    succeed(words("start", "life"))
    succeed(words("restart", "life"))
    succeed(words("kill", "life"))
    await until(() => podman("inspect", "-f", "{{.State.ExitCode}}", "life").stdout === "137\n")
    succeed(words("rm", "life"))
  })

  test("sets and updates limits", () => {
    const limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
    succeed(words("run", "-d", "--name", "limits", "--memory", "64m", ...OWN, "image", "sleep", "60"))
    expect(podman("exec", "limits", "sh", "-c", limit).stdout).toBe(`${64 << 20}\n`)
    succeed(words("update", "--memory", "48m", "limits"))
    expect(podman("exec", "limits", "sh", "-c", limit).stdout).toBe(`${48 << 20}\n`)
    succeed(words("rm", "--force", "--time", "0", "limits"))
  })

  test("checks health", () => {
    const health = ["--health-cmd", "test -e /tmp/healthy", "--health-interval", "disable"]
    succeed(words("run", "-d", "--name", "health", ...health, ...OWN, "image", "sleep", "60"))
    expect(podman("healthcheck", "run", "health").exitCode).toBe(1)
    succeed(words("exec", "health", "touch", "/tmp/healthy"))
    expect(podman("healthcheck", "run", "health").exitCode).toBe(0)
    succeed(words("rm", "--force", "--time", "0", "health"))
  })

  test("starts again what fails, as often as it is told to", async () => {
    succeed(
      words("run", "-d", "--name", "again", "--restart", "on-failure:2", ...OWN, "image", "sh", "-c", "echo x; exit 3"),
    )
    const state = () =>
      podman("inspect", "-f", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}", "again").stdout
    await until(() => state() === "2 exited 3\n", 30)
    expect(podman("logs", "again").stdout).toBe("x\nx\nx\n")
    succeed(words("rm", "again"))
  }, 60_000)

  test("runs a hundred at once", async () => {
    const numbers = Array.from({ length: 100 }, (_, i) => String(i))
    const runs = numbers.map(async (n) => {
      // What ends at once may end before what it wrote has been looked at.
      const script = `echo ${n}; sleep 1`
      const all = ["timeout", "-k", "2", "170", ...words("run", "--rm", ...OWN, "image", "sh", "-c", script)]
      const child = Bun.spawn(all, { stdout: "pipe", stderr: "pipe", stdin: "ignore" })
      const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
      return { stdout, stderr, exitCode: await child.exited }
    })
    expect(await Promise.all(runs)).toEqual(numbers.map((n) => ({ stdout: `${n}\n`, stderr: "", exitCode: 0 })))
  }, 180_000)
})
