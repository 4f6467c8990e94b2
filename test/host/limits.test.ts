/** Limits: in the kernel's files as asked, seen from inside, and held. */
import { afterEach, describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs"
import { availableParallelism } from "node:os"
import { basename, join } from "node:path"
import { detectCgroups } from "../../src/cgroup/detect.ts"
import { cgroupParent, hierarchies, ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { startToybox, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const { mode } = detectCgroups()
const isV1 = isRoot && (mode === "legacy" || mode === "hybrid")
const MIB = 1 << 20
const CPUS = availableParallelism()

const run = (...words: string[]) => toybox(ownRun("--rm", ...words))

/** The directory of the one container that runs, in the hierarchy of a controller. */
function directory(controller: string): string {
  const mount = hierarchies().find((path) => basename(path).split(",").includes(controller)) ?? ""
  const [id, ...more] = readdirSync(join(mount, cgroupParent())).filter((name) => /^[0-9a-f]{64}$/.test(name))
  if (id === undefined || more.length > 0) throw new Error(`not one container in ${mount}`)
  return join(mount, cgroupParent(), id)
}

/** Values by file: `cpu.shares` is of the controller cpu. */
const hostValues = (files: readonly string[]) =>
  files.map((file) => readFileSync(join(directory(file.split(".")[0] ?? ""), file), "utf8").trim())

/** What files hold while a container runs with some options, on the host and from inside. */
async function values(options: readonly string[], files: readonly string[]) {
  const cat = files.map((file) => `cat /sys/fs/cgroup/${file.split(".")[0]}/${file}`).join("; ")
  const running = await startToybox(ownRun("--rm", ...options, "base", "sh", "-c", `${cat}; echo ready; read line`))
  await running.waitFor("ready")
  const host = hostValues(files)
  running.stdin.end()
  const { stdout, stderr } = await running.wait()
  expect(stderr).toBe("")
  expect(
    stdout
      .replace(/ready\n$/, "")
      .trim()
      .split("\n"),
  ).toEqual(host.flatMap((value) => value.split("\n")))
  return host
}

describe.skipIf(!isV1)("limits on cgroup v1", () => {
  afterEach(async () => {
    expect(await ownLeftovers()).toEqual([])
  })

  test("of CPU time are in the kernel's files, however they are written", async () => {
    const files = ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
    for (const [option, text, share] of [
      ["--cpu", "10%", 0.1],
      ["--cpu", "100m", 0.1],
      ["--cpu", "0.1", 0.1],
      ["--cpu", "2", 2],
      ["--cpus", "1.5", 1.5],
    ] as const) {
      const [quota, period] = (await values([option, text], files)).map(Number)
      expect({ text, share: (quota ?? 0) / (period ?? 0) }).toEqual({ text, share })
    }
    expect(await values([], ["cpu.cfs_quota_us", "cpu.shares"])).toEqual(["-1", "1024"])
    expect(await values(["--cpu-shares", "512"], ["cpu.shares"])).toEqual(["512"])
    // 1 to 10000 around 100 on v2, 2 to 262144 around 1024 on v1.
    const [weight] = (await values(["--cpu-weight", "200"], ["cpu.shares"])).map(Number)
    expect(weight).toBeGreaterThan(1024)
  })

  test("by docker's microseconds, and what only cgroup v1 has", async () => {
    const cfs = ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
    expect(await values(["--cpu-quota", "20000"], cfs)).toEqual(["20000", "100000"])
    expect(await values(["--cpu-quota", "20000", "--cpu-period", "50000"], cfs)).toEqual(["20000", "50000"])
    expect(await values(["--cpu-period", "50000"], cfs)).toEqual(["-1", "50000"])
    expect(await values(["--memory-swappiness", "7"], ["memory.swappiness"])).toEqual(["7"])
    const usual = await values([], ["memory.swappiness"])
    expect(await values(["--memory-swappiness", "-1"], ["memory.swappiness"])).toEqual(usual)
    const [oom] = await values(["--oom-kill-disable", "-m", "64M"], ["memory.oom_control"])
    expect(oom).toContain("oom_kill_disable 1")
    const warned = await run("--oom-kill-disable", "base", "true")
    expect(warned).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("--oom-kill-disable without --mem") })
    const both = await run("--cpus", "1", "--cpu-quota", "20000", "base", "true")
    expect(both).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("exclude each other") })
  })

  // Of a kernel with CONFIG_RT_GROUP_SCHED; a parent of its own would have no such time to give.
  const hasRealtime = isV1 && hierarchies().some((path) => existsSync(join(path, "cpu.rt_runtime_us")))
  test.skipIf(!hasRealtime)("of realtime", async () => {
    const files = ["period", "runtime"].map((name) => `/sys/fs/cgroup/cpu/cpu.rt_${name}_us`)
    const options = ["--cpu-rt-period", "500000", "--cpu-rt-runtime", "1000"]
    expect((await toybox(["run", "--rm", ...options, "base", "cat", ...files])).stdout).toBe("500000\n1000\n")
  })

  test("of devices by their numbers", async () => {
    const rules = ["--device-cgroup-rule", "c 42:* rmw", "--device-cgroup-rule", "b 7:3 r"]
    const [list] = await values(rules, ["devices.list"])
    expect(list?.split("\n")).toEqual(expect.arrayContaining(["c 42:* rwm", "b 7:3 r"]))
  })

  test("of memory: no swap unless asked for, and how much is counted on top or in all", async () => {
    const files = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
    const limits = async (...options: string[]) => (await values(options, files)).map((text) => Number(text) / MIB)
    expect(await limits("--mem", "500M")).toEqual([500, 500])
    expect(await limits("-m", "64m")).toEqual([64, 64])
    expect(await limits("--memory", "1g", "--swap", "256M")).toEqual([1024, 1280])
    expect(await limits("--mem", "512MiB", "--memory-swap", "768M")).toEqual([512, 768])
    const soft = await values(["--mem", "64M", "--memory-reservation", "32M"], ["memory.soft_limit_in_bytes"])
    expect(soft).toEqual([`${32 * MIB}`])
    const unlimited = await run(
      "-m",
      "64M",
      "--memory-swap",
      "-1",
      "base",
      "cat",
      "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes",
    )
    expect(Number(unlimited.stdout)).toBeGreaterThan(2 ** 50)
  })

  test("of processes, processors and I/O", async () => {
    expect(await values(["--pids", "77"], ["pids.max"])).toEqual(["77"])
    expect(await values([], ["pids.max"])).toEqual(["4096"])
    expect(await values(["--pids", "-1"], ["pids.max"])).toEqual(["max"])
    expect(await values(["--cpuset", "0", "--cpuset-mems", "0"], ["cpuset.cpus", "cpuset.mems"])).toEqual(["0", "0"])
    const last = CPUS - 1
    const { stdout } = await run(
      "--cpuset",
      `${last}`,
      "base",
      "sh",
      "-c",
      "nproc; grep Cpus_allowed_list /proc/self/status",
    )
    expect(stdout).toBe(`1\nCpus_allowed_list:\t${last}\n`)
  })

  const disk = existsSync("/sys/block")
    ? readdirSync("/sys/block").find((name) => !/^(loop|zram|ram)/.test(name) && existsSync(`/dev/${name}`))
    : undefined
  test.skipIf(disk === undefined)("of a disk's rates are in the kernel's files", async () => {
    const number = readFileSync(`/sys/block/${disk}/dev`, "utf8").trim()
    const options = ["--device-read-bps", `/dev/${disk}:1mb`, "--device-write-bps", `/dev/${disk}:2M`]
    const rates = ["--device-read-iops", `/dev/${disk}:100`, "--device-write-iops", `/dev/${disk}:200`]
    const files = ["read_bps", "write_bps", "read_iops", "write_iops"].map((name) => `blkio.throttle.${name}_device`)
    const expected = [MIB, 2 * MIB, 100, 200].map((rate) => `${number} ${rate}`)
    expect(await values([...options, ...rates], files)).toEqual(expected)
  })

  test("of I/O weight: in a file of the kernel's, or an error that names the option", async () => {
    // 100 is what has none, in either.
    for (const [option, text, weight] of [
      ["--io-weight", "200", "109"],
      ["--blkio-weight", "300", "300"],
    ] as const) {
      const script = "cat /sys/fs/cgroup/blkio/blkio.*weight"
      const { exitCode, stderr, stdout } = await run(option, text, "base", "sh", "-c", script)
      if (exitCode === 125) expect(stderr).toMatch(new RegExp(`^toybox: ${option}: .*\n(toybox: hint: .*\n)?$`))
      else expect(stdout.split("\n")).toContain(weight)
    }
  })

  test("of devices: only those of every container, and what is given", async () => {
    const [list] = await values([], ["devices.list"])
    expect(list?.split("\n")).toContain("c 1:3 rwm")
    expect(list).not.toMatch(/^a /m)
    expect(await values(["--privileged"], ["devices.list"])).toEqual(["a *:* rwm"])
  })

  test("--cpu 10% holds a busy loop to 10 % ± 2 of one processor over 5 s", async () => {
    const busy = ownRun("--rm", "--cpu", "10%", "base", "sh", "-c", "echo ready; while :; do :; done")
    const running = await startToybox(busy)
    await running.waitFor("ready")
    const file = join(directory("cpuacct"), "cpuacct.usage")
    const used = () => Number(readFileSync(file, "utf8")) / 1e9
    await Bun.sleep(500)
    const [start, before] = [performance.now(), used()]
    await Bun.sleep(5000)
    const share = (used() - before) / ((performance.now() - start) / 1000)
    expect(share).toBeGreaterThan(0.08)
    expect(share).toBeLessThan(0.12)
    running.kill("SIGTERM")
    expect((await running.wait()).exitCode).toBe(143)
  }, 20_000)

  test("a memory limit kills what goes over it, and nothing else", async () => {
    // Of the whole machine: proc_vmstat, oom_kill.
    const kills = () => Number(/^oom_kill (\d+)$/m.exec(readFileSync("/proc/vmstat", "utf8"))?.[1])
    for (const size of [64, 500]) {
      const bystander = await startToybox(ownRun("--rm", "base", "sh", "-c", "echo ready; read line; echo alive"))
      await bystander.waitFor("ready")
      const before = kills()
      expect(await run("--mem", `${size}M`, "base", "tail", "/dev/zero")).toEqual({
        stdout: "",
        stderr: `toybox: killed: out of memory (limit ${size} MiB)\n`,
        exitCode: 137,
        signal: undefined,
      })
      expect(kills() - before).toBe(1)
      bystander.stdin.end()
      expect(await bystander.wait()).toMatchObject({ stdout: "ready\nalive\n", exitCode: 0 })
    }
    // Up to the limit there is memory.
    const { stdout } = await run(
      "--mem",
      "64M",
      "base",
      "sh",
      "-c",
      "head -c 40000000 /dev/zero | tail -c 40000000 | wc -c",
    )
    expect(stdout).toBe("40000000\n")
  }, 30_000)

  test("a process that runs out of memory inside a container that goes on is told too, and ps knows", async () => {
    const script = "tail /dev/zero; echo $?; exit 5"
    const { stdout, stderr, exitCode } = await toybox(ownRun("--name", "oom", "-m", "32M", "base", "sh", "-c", script))
    expect({ stdout, exitCode }).toEqual({ stdout: "137\n", exitCode: 5 })
    expect(stderr).toBe("Killed\ntoybox: a process of the container was killed: out of memory (limit 32 MiB)\n")
    expect(JSON.parse((await toybox(["ps", "-a", "--json"])).stdout)).toMatchObject({ name: "oom", oomKilled: true })
    await toybox(["rm", "oom"])
  })

  test("--pids stops a fork bomb, and the machine does not notice", async () => {
    const running = await startToybox(
      ownRun("--rm", "--pids", "30", "base", "sh", "-c", "f() { f | f & }; f; echo ready; sleep 60"),
    )
    await running.waitFor("ready")
    const read = (file: string) => readFileSync(join(directory("pids"), file), "utf8").trim()
    for (let waited = 0; waited < 15_000 && !/max [1-9]/.test(read("pids.events")); waited += 10) await Bun.sleep(10)
    expect(read("pids.events")).toMatch(/max [1-9]/)
    expect(Number(read("pids.current"))).toBeLessThanOrEqual(30)
    running.kill("SIGTERM")
    expect((await running.wait()).exitCode).toBe(143)
  })
})

describe.skipIf(!isRoot)("a limit that cannot be", () => {
  /** One line, and perhaps a hint; the option and the text are in it, and nothing is started. */
  const refused = async (options: readonly string[], message: RegExp) => {
    const { stdout, stderr, exitCode } = await run(...options, "base", "echo", "started")
    expect({ options, stdout, exitCode }).toEqual({ options, stdout: "", exitCode: 125 })
    expect(stderr).toMatch(/^toybox: .*\n(toybox: hint: .*\n)?$/)
    expect(stderr).toMatch(message)
    expect(await ownLeftovers()).toEqual([])
  }

  test("written is refused with the option, the text and the accepted forms", async () => {
    await refused(["--cpu", "abc"], /--cpu: "abc" .*10%, 100m, 0\.1 or 2/)
    await refused(["--cpu", "0"], /--cpu: "0"/)
    await refused(["--cpu", "-1"], /--cpu: "-1" .*10%/)
    await refused(["--cpu", "1e3"], /--cpu: "1e3" .*10%/)
    await refused(["--cpus", "10%"], /--cpus: "10%" .*0\.5, 1 or 2\.5/)
    await refused(["--mem", "500X"], /--mem: "500X" .*500M, 1g, 512MiB/)
    await refused(["-m", "1k"], /-m: "1k" .*at least 6M/)
    await refused(["--memory", "-5"], /--memory: "-5" .*500M/)
    await refused(["--pids", "many"], /--pids: "many" .*1 to 4194304, or -1/)
    await refused(["--pids-limit", "0.5"], /--pids-limit: "0\.5"/)
    await refused(["--cpuset", "0-"], /--cpuset: "0-" .*0, 0-3 or 0-3,5/)
    await refused(["--cpu-shares", "1"], /--cpu-shares: "1" .*2 to 262144/)
    await refused(["--cpu-weight", "10001"], /--cpu-weight: "10001" .*1 to 10000/)
    await refused(["--io-weight", "0"], /--io-weight: "0" .*1 to 10000/)
    await refused(["--blkio-weight", "5"], /--blkio-weight: "5" .*10 to 1000/)
    await refused(["--device-read-bps", "/dev/sda"], /--device-read-bps: "\/dev\/sda" .*\/dev\/sda:1mb/)
    await refused(
      ["--device-write-iops", "/dev/null:1"],
      /--device-write-iops: "\/dev\/null:1": \/dev\/null is not a block device/,
    )
    await refused(["--shm-size", "-1"], /--shm-size: "-1" .*64M or 1g/)
    await refused(["--oom-score-adj", "1001"], /--oom-score-adj: "1001" .*-1000 to 1000/)
  })

  test("on this machine is refused with what the machine has", async () => {
    await refused(["--cpuset", "4000"], /--cpuset: "4000" .*CPU 4000 is not online \(this machine has 0/)
    await refused(["--cpuset-mems", "99"], /--cpuset-mems: "99" .*memory node 99/)
    await refused(["--cpu", "100000"], /--cpu: "100000"/)
  })

  test("beside another is refused", async () => {
    await refused(["--cpu", "1", "--cpus", "1"], /--cpu and --cpus exclude each other/)
    await refused(["--cpu-shares", "5", "--cpu-weight", "5"], /--cpu-shares and --cpu-weight exclude each other/)
    await refused(["--swap", "1M"], /--swap needs a memory limit/)
    await refused(["--memory-swap", "1G"], /--memory-swap needs a memory limit/)
    await refused(["-m", "64M", "--memory-swap", "32M"], /--memory-swap: "32M" .*at least the memory limit/)
    await refused(
      ["-m", "64M", "--memory-reservation", "65M"],
      /--memory-reservation: "65M" .*at most the memory limit/,
    )
  })

  test.skipIf(!isV1)("held, for want of its controller, is an error and not dropped", async () => {
    const binary = realpathSync(process.env.TOYBOX_BINARY ?? join(import.meta.dir, "../../dist/toybox"))
    const hide = (controller: string) => `umount /sys/fs/cgroup/${controller}`
    const without = (controllers: readonly string[], ...options: string[]) => {
      const words = ownRun("--rm", ...options, "base", "echo", "started").map((word) => `'${word}'`)
      const script = `${controllers.map(hide).join(" && ")} && exec timeout -k 2 10 '${binary}' ${words.join(" ")}`
      return toybox(["-m", "--propagation", "private", "sh", "-c", script], { binary: "/usr/bin/unshare" })
    }
    const refusal = async (controller: string, ...options: string[]) => {
      const { stdout, stderr, exitCode } = await without([controller], ...options)
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 })
      expect(stderr).toMatch(new RegExp(`^toybox: ${options[0]}: .*${controller}`))
    }
    await refusal("memory", "--mem", "64M")
    await refusal("cpuset", "--cpuset", "0")
    await refusal("cpu", "--cpu", "10%")
    await refusal("pids", "--pids", "10")
    await refusal("blkio", "--io-weight", "100")
    // What nobody asked for is left out, and said.
    const { stdout, exitCode } = await without(["pids"])
    expect({ stdout, exitCode }).toEqual({ stdout: "started\n", exitCode: 0 })
    expect(await ownLeftovers()).toEqual([])
  })
})
