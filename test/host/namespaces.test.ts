/** What a container has of its own, what it shares when asked to, and what of it the host never sees. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { inside, sh } from "../helpers/container.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { type RunningToybox, startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const KINDS = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"] as const
type Kind = (typeof KINDS)[number]

const LIST = `cd /proc/self/ns; for n in ${KINDS.join(" ")}; do echo $n $(readlink $n); done`
const parse = (text: string) =>
  Object.fromEntries(text.split("\n").map((line) => line.split(" "))) as Record<Kind, string>

/** The namespaces of a container's command, by kind. */
const namespaces = async (...run: string[]) => parse(await inside(LIST, { run }))
const host = Object.fromEntries(KINDS.map((kind) => [kind, readlinkSync(`/proc/self/ns/${kind}`)])) as Record<
  Kind,
  string
>
/** The kinds in which two sets of namespaces are the same. */
const shared = (a: Record<Kind, string>, b: Record<Kind, string>) => KINDS.filter((kind) => a[kind] === b[kind])

describe.skipIf(!isRoot)("a container's own", () => {
  test("namespaces are all but user and time; time when asked", async () => {
    expect(shared(await namespaces(), host)).toEqual(["time", "user"])
    expect(shared(await namespaces("--time", "private"), host)).toEqual(["user"])
    expect(shared(await namespaces("--time", "host"), host)).toEqual(["time", "user"])
    const words = ["--pid", "--ipc", "--uts", "--net", "--cgroupns"].flatMap((option) => [option, "private"])
    expect(shared(await namespaces(...words), host)).toEqual(["time", "user"])
  })

  test("host name can be given and changed, and the host keeps its own", async () => {
    const before = hostname()
    const script = "hostname; cat /etc/hostname; echo $HOSTNAME; grep -w web.example /etc/hosts"
    const named = await inside(script, { run: ["--hostname", "web.example"] })
    expect(named).toBe("web.example\nweb.example\nweb.example\n127.0.0.1\tweb.example web")
    const changed = await inside("hostname changed; hostname", { run: ["--cap-add", "SYS_ADMIN"] })
    expect(changed).toBe("changed")
    expect(hostname()).toBe(before)
    const [unnamed, variable] = (await inside("hostname; echo $HOSTNAME")).split("\n")
    expect(unnamed).toMatch(/^[0-9a-f]{12}$/)
    expect(variable).toBe(unnamed ?? "")
    expect((await sh("hostname x")).stderr).toContain("Operation not permitted")
    expect(await inside("cat /proc/sys/kernel/domainname", { run: ["--domainname", "nis.example"] })).toBe(
      "nis.example",
    )
  })

  test("processes: the command is PID 1 and sees nobody else", async () => {
    const output = await inside("echo $$; exec ps -o pid,ppid,comm")
    const lines = output.split("\n").map((line) => line.trim().replace(/ +/g, " "))
    expect(lines).toEqual(["1", "PID PPID COMMAND", "1 0 ps"])
    expect(await inside("ls -d /proc/[0-9]*; kill -0 9 2>/dev/null || echo none")).toBe("/proc/1\nnone")
  })

  test("mounts: what it mounts is not the host's", async () => {
    const script =
      "mkdir /x && mount -t tmpfs mine-alone /x && touch /x/y && grep -c mine-alone /proc/mounts && echo up; read x"
    const running = await startToybox(["run", "--rm", "-i", "--cap-add", "SYS_ADMIN", "base", "sh", "-c", script])
    await running.waitFor("up")
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain("mine-alone")
    running.stdin.end()
    expect((await running.wait()).stdout).toBe("1\nup\n")
  })

  test("IPC: System V objects of the host are not there, nor the other way round", async () => {
    const made = Bun.spawnSync(["ipcmk", "-Q"]).stdout.toString()
    const id = /: (\d+)/.exec(made)?.[1] ?? ""
    try {
      expect(id).not.toBe("")
      const count = "tail -n +2 /proc/sysvipc/msg | wc -l"
      expect(await inside(count)).toBe("0")
      expect(Number(await inside(count, { run: ["--ipc", "host"] }))).toBeGreaterThan(0)
    } finally {
      Bun.spawnSync(["ipcrm", "-q", id])
    }
  })

  test("network: a loopback that is up, and nothing else", async () => {
    expect(await inside("ls /sys/class/net; tail -n +3 /proc/net/dev | wc -l")).toBe("lo\n1")
    const address = await inside("ip addr show lo")
    expect(address).toContain("<LOOPBACK,UP,LOWER_UP>")
    expect(address).toContain("inet 127.0.0.1/8 scope host lo")
    // With its input open: a server that hears of its end first would end, too.
    const script = "(echo across | nc -l -p 80 &) ; until sleep 1 | nc 127.0.0.1 80 2>/dev/null; do :; done"
    expect(await inside(script)).toBe("across")
    expect((await sh("ip link add dummy0 type dummy")).stderr).toContain("Operation not permitted")
  })

  test("network: any port for everybody, and ping without a capability", async () => {
    expect(await inside("cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start ping_group_range")).toBe(
      "0\n0\t2147483647",
    )
    const listen = `perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(80, INADDR_ANY)) or die; socket(P, AF_INET, SOCK_DGRAM, 1) or die; print "both"'`
    expect(await inside(listen, { image: "/", run: ["--user", "65534:65534"] })).toBe("both")
  })

  test("cgroups: its own group is the root of what it sees: CVE-2023-25809", async () => {
    const lines = (await inside("cat /proc/self/cgroup")).split("\n")
    expect(lines.length).toBe(readFileSync("/proc/self/cgroup", "utf8").trim().split("\n").length)
    expect(lines.filter((line) => !line.endsWith(":/"))).toEqual([])
    const files = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    expect(await inside(files, { run: ["--pids", "77", "--mem", "64M"] })).toBe(`77\n${64 << 20}`)
    expect(await inside("cat /proc/self/cgroup", { run: ["--cgroupns", "host"] })).toMatch(
      /:pids:\/toybox[-\w./]*[0-9a-f]{64}\n/,
    )
    const roots = (text: string) =>
      text
        .split("\n")
        .filter((line) => line.includes(" cgroup "))
        .map((line) => line.split(" ")[3])
    expect(new Set(roots(await inside("cat /proc/self/mountinfo")))).toEqual(new Set(["/"]))
  })
})

describe.skipIf(!isRoot)("the host's, when asked for", () => {
  test.each([
    ["--pid", "pid"],
    ["--ipc", "ipc"],
    ["--uts", "uts"],
    ["--net", "net"],
    ["--cgroupns", "cgroup"],
  ] as const)("%s host", async (option, kind) => {
    expect(shared(await namespaces(option, "host"), host)).toEqual(
      [...KINDS].filter((k) => ["time", "user", kind].includes(k)),
    )
  })

  test("the processes, the name, the links and the shared memory are the host's", async () => {
    const run = ["--pid", "host", "--uts", "host", "--net", "host", "--ipc", "host"]
    const script = `cat /proc/${process.pid}/comm; hostname; cat /etc/hostname; ls /sys/class/net; echo shm > /dev/shm/toybox-${process.pid}`
    const output = await inside(script, { run })
    const links = Bun.spawnSync(["ls", "/sys/class/net"]).stdout.toString().trimEnd()
    expect(output).toBe(`${readFileSync("/proc/self/comm", "utf8")}${hostname()}\n${hostname()}\n${links}`)
    expect(readFileSync(`/dev/shm/toybox-${process.pid}`, "utf8")).toBe("shm\n")
    Bun.spawnSync(["rm", `/dev/shm/toybox-${process.pid}`])
    expect(await inside("cat /etc/resolv.conf", { run })).toBe(readFileSync("/etc/resolv.conf", "utf8").trimEnd())
  })

  test.each([
    [["--pid", "bogus"], '--pid: "bogus" is not known (use private, host or container:ID)'],
    [["--net", "container:"], "no such container"],
    [["--ipc", "container:nobody-here"], "no such container: nobody-here"],
    [["--uts", "host", "--hostname", "x"], "--hostname would change the UTS namespace"],
    [["--net", "host", "--sysctl", "net.core.somaxconn=9"], "would change the network namespace"],
    [["--hostname", "-bad-"], '--hostname: "-bad-" is not a host name'],
    [["--hostname", "a".repeat(65)], "is not a host name"],
  ])("refused: %p", async (run, message) => {
    const { stderr, exitCode } = await sh("true", { run })
    expect(stderr).toContain(message)
    expect(exitCode).toBe(125)
  })
})

describe.skipIf(!isRoot)("another container's", () => {
  let first: RunningToybox
  let its: Record<Kind, string>

  beforeAll(async () => {
    const script = `${LIST}; : > /tmp/up; exec sleep 15`
    const run = ["--name", "first", "--hostname", "first-host", "--time", "private"]
    first = await startToybox(["run", "--rm", ...run, "base", "sh", "-c", `${script}`])
    await first.waitFor("uts uts:")
  })

  afterAll(async () => {
    first.kill("SIGTERM")
    its = parse((await first.wait()).stdout.trim())
    expect(Object.keys(its)).toEqual([...KINDS])
  })

  /** The command of the first container: the one child of its toybox. */
  const firstNamespaces = () => {
    const pid = readFileSync(`/proc/${first.pid}/task/${first.pid}/children`, "utf8").trim()
    return Object.fromEntries(KINDS.map((kind) => [kind, readlinkSync(`/proc/${pid}/ns/${kind}`)])) as Record<
      Kind,
      string
    >
  }

  test.each([
    ["--pid", "pid"],
    ["--ipc", "ipc"],
    ["--uts", "uts"],
    ["--net", "net"],
    ["--cgroupns", "cgroup"],
    ["--time", "time"],
  ] as const)("%s container:first", async (option, kind) => {
    const found = shared(await namespaces(option, "container:first"), firstNamespaces())
    expect(found).toEqual(KINDS.filter((each) => each === kind || each === "user"))
  })

  test("the network of one without any leaves nothing when that ends", async () => {
    const alone = await startToybox([
      "run",
      "--rm",
      "--name",
      "alone",
      "--net",
      "none",
      "base",
      "sh",
      "-c",
      "echo up; cat",
    ])
    await alone.waitFor("up")
    expect(await toybox(["run", "--rm", "--net", "container:alone", "base", "true"])).toMatchObject({ exitCode: 0 })
    const marks = () => readdirSync(join(stateRoot(), "run/networks")).filter((name) => name.endsWith(".shared"))
    const before = marks().length
    alone.stdin.end()
    expect((await alone.wait()).exitCode).toBe(0)
    expect(marks()).toHaveLength(before - 1)
  })

  test("POSIX shared memory goes with --ipc, and with nothing else", async () => {
    expect(await inside("pwd; echo told > /dev/shm/from-second", { run: ["--ipc", "container:first"] })).toBe("/")
    const look = "cat /dev/shm/from-second 2>/dev/null || echo none"
    expect(await inside(look, { run: ["--ipc", "container:first"] })).toBe("told")
    expect(await inside(look, { run: ["--pid", "container:first"] })).toBe("none")
    // A mount of the user's there is the user's.
    expect(await inside(look, { run: ["--ipc", "container:first", "--tmpfs", "/dev/shm"] })).toBe("none")
  })

  test("all at once, also by the beginning of the id", async () => {
    const id = (await inside("hostname", { run: ["--uts", "container:first"] })) && stateIds()[0]
    const run = ["--pid", "--ipc", "--uts", "--net", "--cgroupns", "--time"].flatMap((o) => [
      o,
      `container:${id?.slice(0, 8)}`,
    ])
    const found = await namespaces(...run)
    expect(shared(found, firstNamespaces())).toEqual(["cgroup", "ipc", "net", "pid", "time", "user", "uts"])
    expect(shared(found, host)).toEqual(["user"])
  })

  test("its processes are seen, the exit code and a signal come through", async () => {
    const run = ["--pid", "container:first"]
    const joined = await sh("cat /proc/1/cmdline | tr '\\0' ' '; test $$ != 1 && exit 7", { run })
    expect(joined).toMatchObject({ stdout: "sleep 15 ", stderr: "", exitCode: 7 })
    expect((await sh("kill -KILL $$", { run })).exitCode).toBe(137)
    expect(await sh("exec /none", { run })).toMatchObject({ exitCode: 127 })
  })

  test("its name is taken on, and its network", async () => {
    const names = await inside("hostname; echo $HOSTNAME; cat /etc/hostname", { run: ["--uts", "container:first"] })
    expect(names).toBe("first-host\nfirst-host\nfirst-host")
    const server = await startToybox(["run", "--rm", "--net", "container:first", "base", "nc", "-l", "-p", "99"])
    for (let i = 0; i < 50; i++) {
      const { exitCode } = await sh("echo over | nc 127.0.0.1 99", { run: ["--net", "container:first"] })
      if (exitCode === 0) break
    }
    expect((await server.wait()).stdout).toBe("over\n")
  })

  test("that of a container that has ended is refused", async () => {
    await startToybox(["run", "--name", "ended", "base", "true"]).then((ended) => ended.wait())
    const { stderr, exitCode } = await sh("true", { run: ["--net", "container:ended"] })
    expect(exitCode).toBe(125)
    expect(stderr).toStartWith("toybox: container ended is not running\n")
  })
})

/** The ids of the containers that the state directory knows. */
function stateIds(): string[] {
  const { stdout } = Bun.spawnSync(["ls", `${stateRoot()}/run/running`])
  return stdout.toString().trim().split("\n")
}
