/** What toybox itself mounts in a container: the whole table, and what can be done with each of it. */
import { describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { hostMounts, inside, type MountLine, parseMounts, sh } from "../helpers/container.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, scratch, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

const mounts = async (...run: string[]) => parseMounts(await inside("cat /proc/self/mountinfo", { run }))
const row = ({ path, type, source, options, data }: MountLine) => `${path} ${type} ${source} ${options} ${data}`
const at = (table: readonly MountLine[], path: string) => table.filter((mount) => mount.path === path).map(row)

const MASKED_IN_PROC = "acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats".split(
  " ",
)
const MASKED = [...MASKED_IN_PROC.map((name) => `/proc/${name}`), "/sys/devices/virtual/powercap", "/sys/firmware"]
const READONLY = ["bus", "fs", "irq", "sys", "sysrq-trigger"].map((name) => `/proc/${name}`)

const isDirectory = (path: string) => statSync(path).isDirectory()
const thermal = () =>
  readdirSync("/sys/devices/system/cpu")
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => `/sys/devices/system/cpu/${name}/thermal_throttle`)
const masked = isRoot ? [...MASKED, ...thermal()].filter(existsSync) : []
const readonly = READONLY.filter(existsSync)
const KERNEL = "nodev,noexec,nosuid,relatime"
const READONLY_KERNEL = "nodev,noexec,nosuid,relatime,ro"

describe.skipIf(!isRoot)("the table", () => {
  test("is this and nothing else", async () => {
    const table = await mounts()
    const hierarchies = table.filter(({ type }) => type === "cgroup")
    const [first] = table
    expect(first).toMatchObject({ path: "/", type: "overlay", source: "overlay", options: "relatime", root: "/" })
    const expected = [
      `/proc proc proc ${KERNEL} rw`,
      "/dev tmpfs tmpfs nosuid rw,size=65536k,mode=755",
      "/dev/pts devpts devpts noexec,nosuid,relatime rw,gid=5,mode=620,ptmxmode=666",
      `/dev/shm tmpfs shm ${KERNEL} rw,size=65536k`,
      `/dev/mqueue mqueue mqueue ${KERNEL} rw`,
      `/sys sysfs sysfs ${READONLY_KERNEL} rw`,
      `/sys/fs/cgroup tmpfs cgroup ${READONLY_KERNEL} rw,size=64k,mode=755`,
      ...hierarchies.map(row),
      "/run tmpfs tmpfs nodev,nosuid,relatime rw,mode=755",
      ...readonly.map((path) => `${path} proc proc ${READONLY_KERNEL} rw`),
      ...masked.map((path) => `${path} tmpfs mask ${READONLY_KERNEL} rw,size=4k,mode=755`),
    ]
    const files = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]
    const others = table.filter(({ path }) => path !== "/" && !files.includes(path))
    expect(others.map(row).sort()).toEqual(expected.sort())
    // Of the host's file system, three files and no more.
    const bound = table.filter(({ path }) => files.includes(path))
    expect(bound.map(({ path, options }) => `${path} ${options}`)).toEqual(files.map((path) => `${path} ${KERNEL}`))
    expect(bound.every(({ path, root }) => root.endsWith(path.slice(4)))).toBe(true)
    expect(table.map(({ propagation }) => propagation).filter((word) => word !== "")).toEqual([])
  })

  test("has the hierarchies in which the container has a cgroup, from that cgroup down", async () => {
    const hierarchies = (await mounts()).filter(({ type }) => type === "cgroup" || type === "cgroup2")
    expect(hierarchies.every(({ root, options }) => root === "/" && options === READONLY_KERNEL)).toBe(true)
    const names = hierarchies.map(({ path }) => path.replace("/sys/fs/cgroup/", ""))
    expect(names).toContain("memory")
    expect(names).toContain("pids")
    expect((await inside("ls /sys/fs/cgroup")).split("\n")).toEqual(names.sort())
    expect((await sh("mkdir /sys/fs/cgroup/pids/x; echo 9 > /sys/fs/cgroup/pids/pids.max")).stderr).toMatch(
      /(Read-only file system[\s\S]*){2}/,
    )
  })

  test("--privileged: nothing is hidden, the kernel's settings can be written", async () => {
    const table = await mounts("--privileged")
    expect(table.filter(({ source }) => source === "mask")).toEqual([])
    expect(at(table, "/sys")).toEqual([`/sys sysfs sysfs ${KERNEL} rw`])
    expect(table.filter(({ options }) => /\bro\b/.test(options)).map(({ path }) => path)).toEqual([])
    const script = "echo 77 > /proc/sys/net/core/somaxconn && cat /proc/sys/net/core/somaxconn"
    expect(await inside(script, { run: ["--privileged"] })).toBe("77")
  })

  test("--read-only: the root is, the container's own tmpfs are not", async () => {
    const run = ["--read-only"]
    expect(at(await mounts(...run), "/")[0]).toMatch(/^\/ overlay overlay relatime,ro /)
    const { stdout, stderr } = await sh("touch /x /tmp/x; touch /run/x /dev/shm/x /dev/x && echo fine", { run })
    expect(stdout).toBe("fine\n")
    expect(stderr.match(/Read-only file system/g)).toHaveLength(2)
  })
})

describe.skipIf(!isRoot)("the host", () => {
  test("has no mount of a container's, not while it runs and not after, even below a shared mount", async () => {
    const shared = temporaryDirectory("shared")
    Bun.spawnSync(["mount", "-t", "tmpfs", "shared-state", shared])
    Bun.spawnSync(["mount", "--make-shared", shared])
    const state = join(shared, "state")
    mkdirSync(state, { mode: 0o700 })
    const ours = () => hostMounts().filter(({ path, root, data }) => `${path} ${root} ${data}`.includes(scratch()))
    const before = ours()
    expect(before.map(({ propagation }) => propagation.slice(0, 7))).toEqual(["shared:"])
    const script = "mount -t tmpfs inner /mnt && echo up; read x"
    const args = ["run", "--rm", "-i", "--cap-add", "SYS_ADMIN", "base", "sh", "-c", script]
    const running = await startToybox(["run", "--root", state, ...args.slice(1)])
    await running.waitFor("up")
    expect(ours()).toEqual(before)
    running.stdin.end()
    expect((await running.wait()).exitCode).toBe(1)
    expect(ours()).toEqual(before)
  })

  test("is not to be found from inside: the old root is gone", async () => {
    const marker = temporaryDirectory("marker")
    writeFileSync(join(marker, "secret"), "secret")
    const script = `umount -l / ; umount -l / ; cd / ; cd ../../.. ; ls -d ${scratch()} ${stateRoot()} /proc/1/root${marker} 2>/dev/null; pwd`
    expect((await sh(script, { run: ["--cap-add", "SYS_ADMIN"] })).stdout).toBe("/\n")
    const [root, ...others] = (await inside("cat /proc/self/mountinfo")).split("\n").map((line) => line.split(" "))
    // The mount that the root hangs on is the namespace's first, which nothing leads to.
    expect(others.filter(([id]) => id === root?.[1])).toEqual([])
    expect(others.filter(([, , , , path]) => path === "/")).toEqual([])
  })
})

describe.skipIf(!isRoot)("/dev", () => {
  test("has these nodes, links and directories, and no more", async () => {
    const list = (await inside("cd /dev; stat -c '%N %F %t:%T %a %u:%g' *")).replaceAll("'", "")
    expect(list.split("\n")).toEqual([
      "fd -> /proc/self/fd symbolic link 0:0 777 0:0",
      "full character special file 1:7 666 0:0",
      "mqueue directory 0:0 1777 0:0",
      "null character special file 1:3 666 0:0",
      "ptmx -> pts/ptmx symbolic link 0:0 777 0:0",
      "pts directory 0:0 755 0:0",
      "random character special file 1:8 666 0:0",
      "shm directory 0:0 1777 0:0",
      "stderr -> /proc/self/fd/2 symbolic link 0:0 777 0:0",
      "stdin -> /proc/self/fd/0 symbolic link 0:0 777 0:0",
      "stdout -> /proc/self/fd/1 symbolic link 0:0 777 0:0",
      "tty character special file 5:0 666 0:0",
      "urandom character special file 1:9 666 0:0",
      "zero character special file 1:5 666 0:0",
    ])
    expect(await inside("stat -c '%a %F' /dev /dev/pts/ptmx; ls /dev/pts")).toBe(
      "755 directory\n666 character special file\nptmx",
    )
  })

  test("works, for an ordinary user too", async () => {
    const script = `
      echo gone > /dev/null; head -c 3 /dev/zero | od -An -tx1; head -c 9 /dev/urandom | wc -c
      head -c 9 /dev/random | wc -c; (echo x > /dev/full) 2>&1; (echo out > /dev/stdout) | cat; echo in | cat /dev/stdin
      (echo fd > /dev/fd/1) | cat; : > /dev/shm/mine && echo shm; (: < /dev/tty) 2>&1; true`
    const output = await inside(script, { run: ["--user", "1234:1234"] })
    expect(output.split("\n")).toEqual([
      " 00 00 00",
      "9",
      "9",
      "sh: write error: No space left on device",
      "out",
      "in",
      "fd",
      "shm",
      "sh: can't open /dev/tty: No such device or address",
    ])
  })

  test("a pseudo-terminal can be opened, in its own devpts", async () => {
    const script = "script -qc 'tty; ls -m /dev/pts' /dev/null </dev/null | tr -d '\\r'"
    expect(await inside(script, { image: "/" })).toBe("/dev/pts/0\n0, ptmx")
  })

  test("/dev/shm has 64 MiB, or what --shm-size says", async () => {
    const fill = "dd if=/dev/zero of=/dev/shm/x bs=64k count=17 2>&1 | tail -1; stat -c %s /dev/shm/x"
    expect(await inside(fill, { run: ["--shm-size", "1m"] })).toContain("\n1048576")
    expect(await inside(fill)).toContain("\n1114112")
    expect(at(await mounts("--shm-size", "2g"), "/dev/shm")).toEqual([`/dev/shm tmpfs shm ${KERNEL} rw,size=2097152k`])
    expect(await sh("true", { run: ["--shm-size", "big"] })).toMatchObject({ exitCode: 125 })
  })
})

describe.skipIf(!isRoot)("hidden and read-only", () => {
  test("masked paths are empty, and stay so for root: GHSA-6fw5-f8r9-fgfm, GHSA-jq35-85cj-fj4p", async () => {
    expect(masked.length).toBeGreaterThan(2)
    for (const path of masked) {
      const script = isDirectory(path)
        ? `ls -A ${path}; mkdir ${path}/x`
        : `cat ${path}; stat -c %s ${path}; echo 1 > ${path}`
      const { stdout, stderr } = await sh(script)
      expect({ path, stdout }).toEqual({ path, stdout: isDirectory(path) ? "" : "0\n" })
      expect(stderr).toContain("Read-only file system")
    }
    expect((await sh(`umount ${masked[0]}`)).stderr).toMatch(/Operation not permitted|Permission denied/)
  })

  test("what is masked has a content otherwise", async () => {
    const script = "cat /proc/interrupts | wc -l; ls /sys/firmware | wc -l"
    const [interrupts, firmware] = (await inside(script, { run: ["--privileged"] })).split("\n").map(Number)
    expect(interrupts).toBeGreaterThan(1)
    expect(firmware).toBe(readdirSync("/sys/firmware").length)
  })

  test("/proc/sys, /proc/sysrq-trigger, /proc/irq and /sys cannot be written, by root either", async () => {
    const files = ["/proc/sys/kernel/domainname", "/proc/sys/vm/drop_caches", "/proc/sys/net/core/somaxconn"]
    const triggers = ["/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/sys/kernel/profiling"].filter(
      existsSync,
    )
    for (const path of [...files, ...triggers]) {
      const { stderr, exitCode } = await sh(`echo 1 > ${path}`)
      expect({ path, exitCode }).toEqual({ path, exitCode: 1 })
      expect(stderr).toContain("Read-only file system")
    }
    const directories = ["/sys", "/sys/kernel"].filter(existsSync)
    for (const path of directories) expect((await sh(`mkdir ${path}/x`)).stderr).toMatch(/Read-only file system/)
  })

  test("/run is an empty tmpfs that says what it is in; /tmp is the image's", async () => {
    const root = makeRoot({ files: { "/run/old": "", "/tmp/kept": "kept" } })
    const output = await inside("ls -A /run; cat /tmp/kept; stat -c %a /tmp", { image: root })
    expect(output).toBe(".containerenv\nkept1777")
  })
})
