/** Capabilities, kernel settings, devices; --entrypoint and --init. */
import { describe, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { inside, sh } from "../helpers/container.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { startToybox, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

// capabilities(7): the numbers are the kernel's.
const NUMBERS = {
  ...{ CHOWN: 0, DAC_OVERRIDE: 1, FOWNER: 3, FSETID: 4, KILL: 5, SETGID: 6, SETUID: 7, SETPCAP: 8 },
  ...{ NET_BIND_SERVICE: 10, NET_ADMIN: 12, NET_RAW: 13, SYS_CHROOT: 18, SYS_RESOURCE: 24, SETFCAP: 31 },
} as const
type Name = keyof typeof NUMBERS

const ELEVEN = (
  ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP"] as Name[]
).concat(["SETUID", "SYS_CHROOT"])
const mask = (names: readonly Name[]) => names.reduce((sum, name) => sum | (1n << BigInt(NUMBERS[name])), 0n)

const SETS = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] as const
function sets(status: string): Record<(typeof SETS)[number], bigint> {
  const value = (name: string) => BigInt(`0x${new RegExp(`^${name}:\\t(\\w+)`, "m").exec(status)?.[1]}`)
  return Object.fromEntries(SETS.map((name) => [name, value(name)])) as Record<(typeof SETS)[number], bigint>
}
const inContainer = async (...run: string[]) => sets(await inside("cat /proc/self/status", { run }))
const own = sets(readFileSync("/proc/self/status", "utf8")).CapPrm

/** What root has: the same three sets, the other two empty. */
const ofRoot = (all: bigint) => ({ CapInh: 0n, CapPrm: all, CapEff: all, CapBnd: all, CapAmb: 0n })
const without = (...names: Name[]) => mask(ELEVEN) & ~mask(names)

describe.skipIf(!isRoot)("capabilities", () => {
  test("of root are eleven; inheritable and ambient ones none: CVE-2022-29162, CVE-2022-27650", async () => {
    expect(await inContainer()).toEqual(ofRoot(mask(ELEVEN)))
    expect(await inContainer("--user", "0:5")).toEqual(ofRoot(mask(ELEVEN)))
  })

  test.each([
    [["--cap-add", "NET_ADMIN"], mask([...ELEVEN, "NET_ADMIN"])],
    [["--cap-add", "cap_net_admin", "--cap-add", "Net_Raw"], mask([...ELEVEN, "NET_ADMIN", "NET_RAW"])],
    [["--cap-drop", "CHOWN", "--cap-drop", "cap_kill"], without("CHOWN", "KILL")],
    [["--cap-drop", "ALL"], 0n],
    [["--cap-drop", "all", "--cap-add", "KILL"], mask(["KILL"])],
    [["--cap-add", "ALL"], own],
    [["--cap-add", "ALL", "--cap-drop", "NET_RAW"], own & ~mask(["NET_RAW"])],
    [["--privileged"], own],
  ])("of root with %p", async (run, expected) => {
    expect(await inContainer(...run)).toEqual(ofRoot(expected))
  })

  test("of another user: none but what is asked for by name", async () => {
    const user = ["--user", "1000:1000"]
    expect(await inContainer(...user)).toEqual({ ...ofRoot(0n), CapBnd: mask(ELEVEN) })
    const raw = mask(["NET_RAW"])
    expect(await inContainer(...user, "--cap-add", "NET_RAW")).toEqual({
      ...{ CapInh: raw, CapPrm: raw, CapEff: raw, CapAmb: raw },
      CapBnd: mask([...ELEVEN, "NET_RAW"]),
    })
    expect(await inContainer(...user, "--privileged")).toEqual({ ...ofRoot(0n), CapBnd: own })
  })

  test("hold: what is not there cannot be done", async () => {
    expect(await inside("touch /x; chown 5:5 /x; chroot / /bin/true; kill -0 1")).toBe("")
    expect((await sh("touch /x; chown 5:5 /x", { run: ["--cap-drop", "CHOWN"] })).stderr).toContain("not permitted")
    for (const command of [
      "mount -t tmpfs x /mnt",
      "ip link set lo down",
      "mknod /x c 1 3",
      "hostname x",
      "unshare -m",
    ]) {
      expect({ command, stderr: (await sh(command)).stderr }).toEqual({
        command,
        stderr: expect.stringMatching(/[Oo]peration not permitted|[Pp]ermission denied|are you root/),
      })
    }
    expect(await inside("ip link set lo down; ip link show lo", { run: ["--cap-add", "NET_ADMIN"] })).not.toContain(
      ",UP",
    )
  })

  test("unknown ones are refused, and those that toybox lacks itself", async () => {
    const typo = await sh("true", { run: ["--cap-add", "NET_ADMN"] })
    expect(typo.stderr).toContain('--cap-add: "NET_ADMN" is not a capability (did you mean NET_ADMIN?)')
    expect(typo.exitCode).toBe(125)
    if (own & mask(["SYS_RESOURCE"])) return
    const lacking = await sh("true", { run: ["--cap-add", "SYS_RESOURCE"] })
    expect(lacking.exitCode).toBe(125)
    expect(lacking.stderr).toBe("toybox: --cap-add: toybox itself does not have CAP_SYS_RESOURCE, and cannot give it\n")
  })
})

describe.skipIf(!isRoot)("--sysctl", () => {
  test("sets what belongs to the container's namespaces, and the host keeps its own", async () => {
    const paths = ["net/core/somaxconn", "kernel/msgmax", "kernel/shmmni", "fs/mqueue/msg_max"]
    const files = paths.map((path) => `/proc/sys/${path}`)
    const before = files.map((file) => readFileSync(file, "utf8"))
    const run = paths.flatMap((path, i) => ["--sysctl", `${i % 2 ? path : path.replaceAll("/", ".")}=${200 + i}`])
    expect(await inside(`cat ${files.join(" ")}`, { run })).toBe("200\n201\n202\n203")
    expect(files.map((file) => readFileSync(file, "utf8"))).toEqual(before)
    const text = "1024 60000"
    const range = await inside("cat /proc/sys/net/ipv4/ip_local_port_range", {
      run: ["--sysctl", `net.ipv4.ip_local_port_range=${text}`],
    })
    expect(range).toBe("1024\t60000")
  })

  test.each([
    ["kernel.hostname=x", "belongs to the whole machine"],
    ["kernel.core_pattern=|/evil", "belongs to the whole machine"],
    ["vm.swappiness=1", "belongs to the whole machine"],
    ["kernel.msg/../core_pattern=x", "is no setting"],
    ["net..core=1", "is no setting"],
    ["net.core.somaxconn", "is no setting"],
    ["net.core.none_such=1", "cannot set net.core.none_such=1"],
    ["net.core.somaxconn=many", "cannot set net.core.somaxconn=many"],
  ])("%s is refused", async (setting, message) => {
    const { exitCode, stderr } = await sh("true", { run: ["--sysctl", setting] })
    expect(exitCode).toBe(125)
    expect(stderr).toContain(message)
  })
})

describe.skipIf(!isRoot)("devices", () => {
  const open = (path: string) => `(: < ${path}) 2>&1 && echo opened; true`

  test.each([
    ["/dev/kmsg", "c 1 11"],
    ["/dev/loop-control", "c 10 237"],
    ["/dev/fuse", "c 10 229"],
    ["/dev/vda", "b 254 0"],
    ["/dev/mem", "c 1 1"],
  ])("%s is denied, by whatever node", async (path, numbers) => {
    expect(existsSync(`${path}`) ? await inside(`ls ${path} 2>&1; true`) : "No such").toContain("No such")
    const output = await inside(`mknod /node ${numbers} && ls /node; ${open("/node")}`, { run: ["--cap-add", "MKNOD"] })
    expect(output).toBe("/node\nsh: can't open /node: Operation not permitted")
  })

  test("those of every container are allowed, by whatever node", async () => {
    const script = `for n in 3 5 7 8 9; do mknod /n$n c 1 $n; (: < /n$n) && echo $n; done`
    expect(await inside(script, { run: ["--cap-add", "MKNOD"] })).toBe("3\n5\n7\n8\n9")
  })

  test("--device gives one, with the host's rights and under any name", async () => {
    const { stdout } = Bun.spawnSync(["stat", "-c", "%a %u:%g %t:%T", "/dev/loop-control"])
    const script = `stat -c '%a %u:%g %t:%T' /dev/loop-control /opt/new/name; ${open("/opt/new/name")}`
    const run = ["--device", "/dev/loop-control", "--device", "/dev/loop-control:/opt/new/name"]
    const stat = stdout.toString().trim()
    expect(await inside(script, { run })).toBe(`${stat}\n${stat}\nopened`)
  })

  test("--device with rights gives these only", async () => {
    const script = `${open("/dev/lc")}; (: > /dev/lc) 2>&1; true`
    expect(await inside(script, { run: ["--device", "/dev/loop-control:/dev/lc:r"] })).toBe(
      "opened\nsh: can't create /dev/lc: Operation not permitted",
    )
    expect(await inside(script, { run: ["--device", "/dev/loop-control:/dev/lc:rw"] })).toBe("opened")
    expect((await sh("true", { run: ["--device", "/dev/loop-control:r"] })).exitCode).toBe(0)
  })

  test("--privileged has them all", async () => {
    expect(await inside(`ls /dev/kmsg; ${open("/dev/loop-control")}`, { run: ["--privileged"] })).toBe(
      "/dev/kmsg\nopened",
    )
    expect(await inside("ls -ld /dev/pts/ptmx /dev/null | cut -c 1", { run: ["--privileged"] })).toBe("c\nc")
  })

  test.each([
    ["/dev/none-such"],
    ["/etc/passwd"],
    ["dev/null"],
    ["/dev/null:x"],
    ["/dev/null:/x:rr"],
    ["/dev/null:/x:rw:m"],
  ])("--device %s is refused", async (device) => {
    const { exitCode, stderr } = await sh("true", { run: ["--device", device] })
    expect({ exitCode, named: stderr.includes(`--device: "${device}"`) }).toEqual({ exitCode: 125, named: true })
  })
})

describe.skipIf(!isRoot)("--entrypoint", () => {
  test("comes before the arguments", async () => {
    const run = (...words: string[]) => toybox(["run", "--rm", "--entrypoint", ...words])
    expect(await run("/bin/echo", "base", "a b", "-n")).toMatchObject({ stdout: "a b -n\n", exitCode: 0 })
    expect(await run("pwd", "base")).toMatchObject({ stdout: "/\n", exitCode: 0 })
    expect(await run("none-such", "base", "ls")).toMatchObject({ exitCode: 127 })
  })
})

describe.skipIf(!isRoot)("--init", () => {
  const root = isRoot ? makeRoot() : ""
  const init = (script: string) => sh(script, { image: root, run: ["--init"] })

  test("is PID 1, and the command its child", async () => {
    const { stdout } = await init("echo $$ $PPID; cat /proc/1/comm; exec ps -o pid,ppid,comm")
    expect(stdout.replace(/ +/g, " ").trim().split("\n")).toEqual([
      ...["2 1", "toybox-init", "PID PPID COMMAND", " 1 0 toybox-init", " 2 1 ps"],
    ])
  })

  test("reaps what others leave behind", async () => {
    const script =
      "for i in 1 2 3; do sh -c 'sleep 0.05 & sleep 0.05 &' ; done; " +
      'for i in $(seq 100); do ps -o pid > /tmp/ps; [ "$(wc -l < /tmp/ps)" = 4 ] && break; sleep 0.1; done; wc -l < /tmp/ps'
    // The heading, the init, the shell and ps itself.
    expect((await init(script)).stdout).toBe("4\n")
    // The same without an init: PID 1 is the shell, which does not wait for strangers while it waits for its own.
    expect(await inside("sh -c 'sleep 0.02 &'; exec sleep 0.2", { image: root })).toBe("")
  })

  test("passes the exit code and the signal on", async () => {
    expect((await init("exit 42")).exitCode).toBe(42)
    expect((await init("kill -TERM $$")).exitCode).toBe(143)
    expect((await init("kill -KILL $$")).exitCode).toBe(137)
    expect((await init("exec /none")).exitCode).toBe(127)
    expect(await toybox(["run", "--rm", "--init", root, "/none"])).toMatchObject({ exitCode: 127 })
    // An orphan's end is not the command's.
    expect((await init("sh -c 'sleep 0.02; exit 9' & sleep 0.1; exit 3")).exitCode).toBe(3)
  })

  test("passes signals on, also those that a PID 1 would not get", async () => {
    const trapping = ["sh", "-c", "trap 'echo got; exit 5' USR1; echo up; while :; do sleep 0.02; done"]
    const first = await startToybox(["run", "--rm", "--init", root, ...trapping])
    await first.waitFor("up")
    first.kill("SIGUSR1")
    expect(await first.wait()).toMatchObject({ stdout: "up\ngot\n", exitCode: 5 })
    const second = await startToybox(["run", "--rm", "--init", root, "sh", "-c", "echo up; exec sleep 10"])
    await second.waitFor("up")
    second.kill("SIGTERM")
    expect(await second.wait()).toMatchObject({ stderr: "", exitCode: 143 })
  })

  test("ends everything with the command", async () => {
    const started = performance.now()
    expect((await init("sleep 30 & sleep 30 & exit 0")).exitCode).toBe(0)
    expect(performance.now() - started).toBeLessThan(15_000)
  })
})
