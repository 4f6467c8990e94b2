/** exec, and what is told and changed of a running OCI container. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { bundleRoot, ociRuntime } from "../helpers/bundle.ts"
import { cgroupParent, ownLeftovers } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)("in a running OCI container", () => {
  const oci = ociRuntime()

  beforeAll(() => {
    const bundle = oci.bundle("a", {
      args: ["sleep", "100"],
      process: { noNewPrivileges: true, rlimits: [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }] },
      linux: {
        seccomp: {
          defaultAction: "SCMP_ACT_ALLOW",
          syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 95 }],
        },
      },
    })
    expect(oci.run("run", "--detach", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stderr: "" })
  })

  afterAll(async () => {
    expect(oci.run("delete", "--force", "a").exitCode).toBe(0)
    expect(await ownLeftovers()).toEqual([])
  })

  const exec = (...words: string[]) => oci.run("exec", ...words)

  test("a process joins all its namespaces and its cgroup", () => {
    const look = "for f in /proc/self/ns/* /proc/1/ns/*; do readlink $f; done"
    const own = Bun.spawnSync(["sh", "-c", look]).stdout.toString().trim().split("\n")
    const { stdout, exitCode } = exec("a", "sh", "-c", look)
    const lines = stdout.trim().split("\n")
    expect(exitCode).toBe(0)
    expect(lines.slice(0, lines.length / 2)).toEqual(lines.slice(lines.length / 2))
    for (const type of ["cgroup", "ipc", "mnt", "net", "pid", "uts"]) {
      const line = lines.find((text) => text.startsWith(`${type}:`))
      expect(own.includes(line ?? "")).toBe(false)
    }
    expect(exec("a", "grep", ":pids:", "/proc/self/cgroup").stdout).toMatch(/:pids:\/\n$/)
    expect(exec("a", "pwd").stdout).toBe("/\n")
    // A hierarchy of a name alone, where the machine has one.
    const named = existsSync("/sys/fs/cgroup/systemd")
    expect(exec("a", "grep", "-c", ":name=systemd:/$", "/proc/self/cgroup").stdout).toBe(named ? "1\n" : "0\n")
  })

  test("a process has the container's limits, capabilities, filter and no_new_privs", () => {
    const status = exec("a", "cat", "/proc/self/status").stdout
    expect(status).toMatch(/^NoNewPrivs:\s1$/m)
    expect(status).toMatch(/^Seccomp:\s2$/m)
    expect(status).toMatch(/^CapBnd:\s00000000000004e1$/m)
    expect(status).toMatch(/^CapInh:\s0000000000000000$/m)
    expect(exec("a", "sh", "-c", "ulimit -n; ulimit -Hn").stdout).toBe("100\n200\n")
    expect(exec("a", "mkdir", "/tmp/x").stderr).toContain("Operation not supported")
    expect(exec("a", "sh", "-c", "ls /proc/self/fd | wc -l").stdout).toBe("4\n")
  })

  test("options say who, where and with what", () => {
    const told = exec("-u", "1000:50", "-g", "29", "--cwd", "/tmp", "-e", "A=b c", "a", "sh", "-c", "id; pwd; echo $A")
    expect(told.stdout).toBe("uid=1000(alice) gid=50(staff) groups=29(audio)\n/tmp\nb c\n")
    expect(exec("--cap", "SYS_CHROOT", "a", "grep", "CapEff", "/proc/self/status").stdout).toMatch(/00000000000404e1$/m)
    expect(exec("-u", "99999999999", "a", "id").stderr).toContain("--user")
    expect(exec("--cap", "NOTHING", "a", "id").exitCode).toBe(255)
  })

  test("a file describes the process", () => {
    const file = join(temporaryDirectory(), "process.json")
    const process = {
      args: ["sh", "-c", "echo $X; id -u; grep CapEff /proc/self/status"],
      cwd: "/",
      env: ["X=y", "PATH=/bin"],
    }
    writeFileSync(file, JSON.stringify({ ...process, user: { uid: 1001, gid: 1001 } }))
    const { stdout, exitCode } = exec("--process", file, "a")
    expect(stdout).toStartWith("y\n1001\n")
    expect(exitCode).toBe(0)
    writeFileSync(file, JSON.stringify({ ...process, args: "echo" }))
    expect(exec("--process", file, "a")).toMatchObject({ exitCode: 255, stderr: expect.stringContaining("args") })
  })

  test("exit codes are the command's, or 255 for a command that cannot be run", () => {
    expect(exec("a", "sh", "-c", "exit 9").exitCode).toBe(9)
    expect(exec("a", "sh", "-c", "kill -9 $$").exitCode).toBe(137)
    expect(exec("a", "nothere")).toMatchObject({ exitCode: 255 })
    expect(exec("a", "nothere").stderr).toContain('exec: "nothere": executable file not found in $PATH')
    expect(exec("--cwd", "/no/such", "a", "true").stderr).toContain('chdir to cwd ("/no/such")')
    expect(exec("b", "true").stderr).toContain("container does not exist: b")
  })

  test("a detached process goes on by itself", async () => {
    const file = join(temporaryDirectory(), "pid")
    expect(exec("--detach", "--pid-file", file, "a", "sleep", "50").exitCode).toBe(0)
    const pid = Number(readFileSync(file, "utf8"))
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toBe("sleep\0" + "50\0")
    expect(JSON.parse(oci.run("ps", "--format", "json", "a").stdout)).toContain(pid)
    expect(oci.run("ps", "a").stdout).toMatch(new RegExp(`^0 +${pid} +\\d+ +sleep 50$`, "m"))
    process.kill(pid, "SIGKILL")
  })

  test("a terminal is one of the container's own", () => {
    const words = `'${toyboxBinary()}' oci --root '${oci.root}' exec -t a sh -c 'tty; test -t 0 && test -t 2 && echo terminal'`
    const { stdout } = Bun.spawnSync(["timeout", "-k", "2", "20", "script", "-qec", words, "/dev/null"], {
      stdin: "ignore",
    })
    expect(stdout.toString()).toContain("/dev/pts/0\r\nterminal\r\n")
    expect(exec("-t", "-d", "a", "tty").stderr).toContain("--console-socket")
  })

  test("nothing of toybox is to be seen before the command: CVE-2019-5736, CVE-2016-9962", () => {
    // In a loop, a process of the container looks at whatever appears.
    const look =
      "n=0; while [ $n -lt 3000 ]; do n=$((n+1)); for e in /proc/[0-9]*/exe; do readlink $e; done; done 2>/dev/null | sort -u"
    const watcher = Bun.spawn([toyboxBinary(), "oci", "--root", oci.root, "exec", "a", "sh", "-c", look], {
      stdout: "pipe",
      stdin: "ignore",
    })
    for (let i = 0; i < 20; i++) expect(exec("a", "true").exitCode).toBe(0)
    watcher.kill("SIGKILL")
    return new Response(watcher.stdout).text().then((seen) => {
      expect(seen.split("\n").filter((path) => path.includes(toyboxBinary()))).toEqual([])
    })
  })

  test.each([
    ["in the foreground", []],
    ["detached", ["--detach"]],
  ])("nothing runs whose number cannot be written down: %s", (_, options) => {
    const before = oci.run("ps", "a").stdout
    const { exitCode, stderr } = oci.run("exec", ...options, "--pid-file", "/no-such/file", "a", "sleep", "60")
    expect(exitCode).toBe(255)
    expect(stderr).toContain("--pid-file: cannot write /no-such/file")
    for (const end = Date.now() + 2000; oci.run("ps", "a").stdout !== before && Date.now() < end; );
    expect(oci.run("ps", "a").stdout).toBe(before)
  })

  test("files without an end are not read to it", () => {
    for (const words of [
      ["exec", "--process", "/dev/zero", "a"],
      ["update", "--resources", "/dev/zero", "a"],
    ]) {
      expect(oci.run(...words).stderr).toContain("cannot read /dev/zero: it is larger than 1048576 bytes")
    }
  })

  test("is paused and resumed", () => {
    expect(oci.run("pause", "a").exitCode).toBe(0)
    expect(oci.state("a").status).toBe("paused")
    expect(exec("a", "true").stderr).toMatch(/cannot exec in a paused container\n.*hint: resume it first/)
    expect(oci.run("pause", "a").exitCode).toBe(1)
    expect(oci.run("resume", "a").exitCode).toBe(0)
    expect(oci.state("a").status).toBe("running")
    expect(oci.run("resume", "a").exitCode).toBe(1)
  })

  const limit = (controller: string, file: string) =>
    readFileSync(`/sys/fs/cgroup/${controller}/${cgroupParent()}/a/${file}`, "utf8").trim()

  test.skipIf(!existsSync("/sys/fs/cgroup/memory"))("limits are changed by options and by a file, on cgroup v1", () => {
    expect(oci.run("update", "--memory", "64m", "--pids-limit", "50", "--cpu-share", "512", "a")).toMatchObject({
      exitCode: 0,
      stderr: "",
    })
    expect(limit("memory", "memory.limit_in_bytes")).toBe(String(64 << 20))
    expect(limit("pids", "pids.max")).toBe("50")
    expect(limit("cpu", "cpu.shares")).toBe("512")
    const resources = JSON.stringify({ memory: { limit: 32 << 20 }, devices: [{ allow: false, access: "rwm" }] })
    expect(oci.runWith({ stdin: resources }, "update", "-r", "-", "a")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(limit("memory", "memory.limit_in_bytes")).toBe(String(32 << 20))
    expect(exec("a", "sh", "-c", ": >/dev/null")).toMatchObject({ exitCode: 0 })
    expect(oci.run("update", "--memory", "much", "a").exitCode).toBe(1)
    const { stdout } = oci.run("events", "--stats", "a")
    // Not as JavaScript rounds it.
    expect(stdout).toMatch(/"limit":(9223372036854771712|[0-9]{1,12})\b/)
    const { data, type, id } = JSON.parse(stdout)
    expect(data.memory.raw).toHaveProperty("pgfault")
    expect(data.memory.cache).toBeGreaterThanOrEqual(0)
    expect({ type, id, limit: data.memory.usage.limit }).toEqual({ type: "stats", id: "a", limit: 32 << 20 })
    expect(data.cpu.usage.total).toBeGreaterThan(0)
    expect(data.pids.current).toBeGreaterThanOrEqual(1)
    expect(data).toMatchObject({ blkio: {}, hugetlb: {} })
  })

  test("is listed", () => {
    expect(oci.run("list", "-q").stdout).toBe("a\n")
    expect(JSON.parse(oci.run("list", "--format", "json").stdout)).toMatchObject([{ id: "a", status: "running" }])
    expect(oci.run("list").stdout).toMatch(/^a +\d+ +running +\//m)
  })

  test("the bundle that spec writes runs", () => {
    const bundle = temporaryDirectory()
    expect(oci.run("spec", "--bundle", bundle).exitCode).toBe(0)
    expect(oci.run("spec", "--bundle", bundle).stderr).toContain("config.json exists")
    const path = join(bundle, "config.json")
    const config = JSON.parse(readFileSync(path, "utf8"))
    const args = ["sh", "-c", "hostname; touch /x || echo read-only"]
    const own = {
      ...config,
      root: { ...config.root, path: bundleRoot() },
      process: { ...config.process, terminal: false, args },
    }
    writeFileSync(path, JSON.stringify({ ...own, linux: { ...own.linux, cgroupsPath: `/${cgroupParent()}/b` } }))
    expect(oci.run("run", "-b", bundle, "b")).toMatchObject({ stdout: "toybox\nread-only\n", exitCode: 0 })
  })
})
