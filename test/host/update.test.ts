/** toybox update: limits of containers that run and that do not, and restart policies. */
import { afterEach, describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const isV1 = existsSync("/sys/fs/cgroup/memory/memory.limit_in_bytes")

async function succeed(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await toybox(words)
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.trimEnd()
}

/** The value of a file of the container's own cgroup. */
async function limit(name: string, v1: string, v2: string): Promise<string> {
  const id = JSON.parse(await succeed("inspect", name))[0].Id
  const { cgroup } = JSON.parse(readFileSync(join(stateRoot(), "run/running", id), "utf8"))
  const controller = v1.split(".")[0] ?? ""
  const dir = isV1 ? cgroup.dirs[controller] : Object.values(cgroup.dirs)[0]
  return readFileSync(join(dir, isV1 ? v1 : v2), "utf8").trim()
}

const memory = (name: string) => limit(name, "memory.limit_in_bytes", "memory.max")
const pids = (name: string) => limit(name, "pids.max", "pids.max")
const hostConfig = async (name: string) => JSON.parse(await succeed("inspect", name))[0].HostConfig
const sleeper = (name: string, ...options: string[]) =>
  succeed(...ownRun("-d", "--name", name, ...options, "base", "sleep", "1000"))

describe.skipIf(!isRoot)("toybox update", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("sets the limits of a running container, and keeps them for its next start", async () => {
    await sleeper("box", "--mem", "64M", "--cpu", "50%")
    expect(await succeed("update", "--mem", "96M", "--cpu", "20%", "--pids", "77", "box")).toBe("box")
    const now = async () => [await memory("box"), await pids("box")]
    expect(await now()).toEqual([String(96 << 20), "77"])
    expect(await limit("box", "cpu.cfs_quota_us", "cpu.max")).toStartWith("20000")
    expect(await hostConfig("box")).toMatchObject({ Memory: 96 << 20, CpuQuota: 20000, PidsLimit: 77 })
    // Lower, too; and one limit leaves the others.
    await succeed("update", "--memory", "32m", "box")
    expect(await now()).toEqual([String(32 << 20), "77"])
    await succeed("stop", "--time", "0", "box")
    await succeed("start", "box")
    expect(await now()).toEqual([String(32 << 20), "77"])
    expect(await limit("box", "cpu.cfs_quota_us", "cpu.max")).toStartWith("20000")
  })

  test("has docker's microseconds, of which one leaves the other", async () => {
    await sleeper("micro", "--cpu-quota", "20000", "--cpu-period", "50000")
    const now = async () => {
      if (!isV1) return (await limit("micro", "", "cpu.max")).split(" ")
      return [await limit("micro", "cpu.cfs_quota_us", ""), await limit("micro", "cpu.cfs_period_us", "")]
    }
    await succeed("update", "--cpu-quota", "30000", "micro")
    expect(await now()).toEqual(["30000", "50000"])
    await succeed("update", "--cpu-period", "60000", "micro")
    expect(await now()).toEqual(["30000", "60000"])
    expect(await hostConfig("micro")).toMatchObject({ CpuQuota: 30000, CpuPeriod: 60000 })
    await succeed("restart", "-t", "0", "micro")
    expect(await now()).toEqual(["30000", "60000"])
    const swappiness = () => limit("micro", "memory.swappiness", "")
    if (isV1) {
      await succeed("update", "--memory-swappiness", "9", "micro")
      expect(await swappiness()).toBe("9")
      await succeed("restart", "-t", "0", "micro")
      expect(await swappiness()).toBe("9")
    } else
      expect(await toybox(["update", "--memory-swappiness", "9", "micro"])).toMatchObject({
        exitCode: 125,
        stderr: expect.stringContaining("--memory-swappiness: cgroup v2, which this machine has"),
      })
    await succeed("update", "--cpus", "1.5", "micro")
    expect(await now()).toEqual(["150000", "100000"])
  })

  test("lifts limits, now and for its next start", async () => {
    await sleeper("free", "--mem", "64M", "--swap", "8M", "--cpu", "50%", "--cpuset", "0", "--pids", "50")
    await succeed("update", "free", "--cpu", "0", "--memory", "0", "--cpuset", "", "--pids", "-1")
    const now = async () => [
      await limit("free", "cpu.cfs_quota_us", "cpu.max"),
      await memory("free"),
      await limit("free", "memory.memsw.limit_in_bytes", "memory.swap.max"),
      await limit("free", "cpuset.cpus", "cpuset.cpus"),
      await pids("free"),
    ]
    const lifted = await now()
    const unlimited = isV1 ? "9223372036854771712" : "max"
    expect(lifted).toEqual([expect.stringMatching(/^(-1|max)/), unlimited, unlimited, expect.any(String), "max"])
    expect(lifted[3]).toBe(readFileSync("/sys/devices/system/cpu/online", "utf8").trim())
    expect(await hostConfig("free")).toMatchObject({ Memory: 0, CpuQuota: 0 })
    await succeed("restart", "-t", "0", "free")
    expect(await now()).toEqual(lifted)
    // Without a limit beside it there is none of swap.
    const swap = await toybox(["update", "--mem", "-1", "--swap", "1G", "free"])
    expect(swap).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("needs a memory limit") })
    await succeed("update", "--mem", "64M", "--cpus", "1.5", "free")
    expect(await memory("free")).toBe(String(64 << 20))
  })

  test("of a device leaves those of others, and lifts its own, now and for its next start", async () => {
    const disks = readdirSync("/sys/block").flatMap((name) => {
      const device = readFileSync(`/sys/block/${name}/dev`, "utf8").trim()
      return existsSync(`/dev/${name}`) ? [{ path: `/dev/${name}`, device }] : []
    })
    const [one, other] = disks
    // Not every machine has two.
    if (one === undefined || other === undefined) return
    await sleeper("disks", "--device-read-bps", `${one.path}:1mb`)
    await succeed("update", "--device-read-bps", `${other.path}:2mb`, "disks")
    const now = async () =>
      (await limit("disks", "blkio.throttle.read_bps_device", "io.max"))
        .split("\n")
        .map((line) => line.split(" ").slice(0, 2).join(" ").replace("rbps=", ""))
        .sort()
    const both = [`${one.device} ${1 << 20}`, `${other.device} ${2 << 20}`].sort()
    expect(await now()).toEqual(both)
    await succeed("restart", "-t", "0", "disks")
    expect(await now()).toEqual(both)
    await succeed("update", "--device-read-bps", `${other.path}:0`, "disks")
    expect(await now()).toEqual([`${one.device} ${1 << 20}`])
    await succeed("restart", "-t", "0", "disks")
    expect(await now()).toEqual([`${one.device} ${1 << 20}`])
  })

  test("of one that does not run, and of several", async () => {
    await succeed("create", ...ownRun("--name", "later", "base", "sleep", "1000").slice(1))
    await sleeper("other")
    expect(await succeed("update", "--mem", "48M", "later", "other")).toBe("later\nother")
    await succeed("start", "later")
    expect([await memory("later"), await memory("other")]).toEqual([String(48 << 20), String(48 << 20)])
    const some = await toybox(["update", "--mem", "50M", "nothere", "other"])
    expect(some).toMatchObject({ exitCode: 1, stdout: "other\n" })
    expect(some.stderr).toContain("no such container: nothere")
    expect(await memory("other")).toBe(String(50 << 20))
  })

  test("one in the foreground, in a cgroup that it was not in before", async () => {
    const running = await startToybox(ownRun("--rm", "--name", "front", "base", "sh", "-c", "echo ready; sleep 1000"))
    await running.waitFor("ready")
    await succeed("rename", "front", "before")
    await succeed("update", "--cpuset", "0", "before")
    const allowed = await succeed("exec", "before", "grep", "Cpus_allowed_list", "/proc/1/status")
    expect(allowed).toMatch(/:\s+0$/)
    const limited = await pids("before")
    const restart = await toybox(["update", "--pids", "55", "--restart", "always", "before"])
    expect(restart).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("runs in the foreground") })
    expect(await pids("before")).toBe(limited)
    running.kill("SIGTERM")
    await running.wait()
    // afterEach looks for what is left of the cgroups.
  })

  test.each(["it", "its toybox"])(
    "of one that ends while it is changed nothing is removed before: %s is killed",
    async (who) => {
      await sleeper("ends")
      const [{ Id, State }] = JSON.parse(await succeed("inspect", "ends"))
      const entry = () => JSON.parse(readFileSync(join(stateRoot(), "run/running", Id), "utf8"))
      // As an update would.
      const lock = [
        "timeout",
        "20",
        "flock",
        join(stateRoot(), "containers", Id, "changes"),
        "sh",
        "-c",
        "echo; read x",
      ]
      const changing = Bun.spawn(lock, { stdin: "pipe", stdout: "pipe" })
      await changing.stdout.getReader().read()
      process.kill(who === "it" ? State.Pid : entry().supervisor.pid, "SIGKILL")
      const waiting = toybox(["wait", "ends"])
      await Bun.sleep(500)
      expect(existsSync(Object.values<string>(entry().cgroup.dirs)[0] ?? "")).toBe(true)
      changing.stdin.end()
      expect((await waiting).stdout).toBe("137\n")
    },
  )

  test("what the kernel refuses is told, and nothing is changed", async () => {
    await sleeper("held", "--mem", "64M", "--pids", "50")
    const before = await hostConfig("held")
    // Below what a process needs to live on: on v1 the kernel says no; on v2 it would kill.
    const refused = await toybox(["update", "--cpu", "20%", "--cpuset", "4095", "held"])
    expect(refused).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("--cpuset") })
    expect(await hostConfig("held")).toEqual(before)
    if (isV1) {
      await succeed("exec", "held", "sh", "-c", "head -c 20000000 /dev/zero > /dev/shm/used")
      const low = await toybox(["update", "--cpu", "20%", "--mem", "8M", "held"])
      expect(low).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("cannot change the limits of held") })
      expect(await hostConfig("held")).toEqual(before)
      expect(await limit("held", "cpu.cfs_quota_us", "cpu.max")).toBe("-1")
      expect(await memory("held")).toBe(String(64 << 20))
    }
    for (const words of [["held"], ["--mem", "lots", "held"], ["--restart", "sometimes", "held"], ["--mem", "1g"]])
      expect((await toybox(["update", ...words])).exitCode).toBe(125)
    expect(await hostConfig("held")).toEqual(before)
  })

  test("what had no limit before has none after a change that fails late", async () => {
    await sleeper("bare")
    const now = async () => [
      await limit("bare", "cpu.shares", "cpu.weight"),
      await limit("bare", "memory.soft_limit_in_bytes", "memory.low"),
      ...(isV1 ? [await limit("bare", "memory.swappiness", "")] : []),
    ]
    const before = await now()
    // Of no device that there is.
    const node = join(temporaryDirectory(), "none")
    expect(Bun.spawnSync(["mknod", node, "b", "254", "1048575"]).exitCode).toBe(0)
    const words = ["--cpu-shares", "512", "--memory-reservation", "8M", ...(isV1 ? ["--memory-swappiness", "9"] : [])]
    const refused = await toybox(["update", ...words, "--device-read-bps", `${node}:1mb`, "bare"])
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("--device-read-bps") })
    expect(await now()).toEqual(before)
  })

  test("--restart takes and gives a policy", async () => {
    await sleeper("policy")
    await succeed("update", "--restart", "on-failure:2", "policy")
    expect((await hostConfig("policy")).RestartPolicy).toEqual({ Name: "on-failure", MaximumRetryCount: 2 })
    await succeed("update", "--restart", "no", "--pids", "60", "policy")
    expect((await hostConfig("policy")).RestartPolicy.Name).toBe("no")
    // One that fails again and again comes to an end by it.
    await succeed(...ownRun("-d", "--name", "loop", "--restart", "always", "base", "false"))
    await succeed("update", "--restart", "no", "loop")
    const state = () => succeed("ps", "-a", "--filter", "name=loop", "--format", "{{.State}}")
    for (const end = Date.now() + 10_000; Date.now() < end && (await state()) !== "exited"; await Bun.sleep(20));
    expect(await state()).toBe("exited")
    expect(await succeed("wait", "loop")).toBe("1")
    await sleeper("gone", "--rm")
    expect((await toybox(["update", "--restart", "always", "gone"])).stderr).toContain("removed when it ends")
  })
})
