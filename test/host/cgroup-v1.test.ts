/** The cgroup manager on this machine's own hierarchies: v1, and the eBPF device program on the v2 tree beside it. */
import { afterEach, describe, expect, test } from "bun:test"
import { listDir } from "../../ffi/directory.ts"
import { exists, readText, rmdir, tryReadText } from "../../ffi/fs.ts"
import { type Cgroups, detectCgroups } from "../../src/cgroup/detect.ts"
import { type CgroupManager, createCgroup, openCgroup } from "../../src/cgroup/manager.ts"
import { updateCgroup } from "../../src/cgroup/update.ts"
import { DEFAULT_DEVICE_RULES } from "../../src/spec/defaults.ts"
import { random } from "../src/cgroup/random.ts"

const LIMIT = 32 << 20
const PARENT = `/toybox-test-${process.pid}`
const cgroups = detectCgroups()
const isRoot = process.getuid?.() === 0
const hasV1 = isRoot && (cgroups.mode === "legacy" || cgroups.mode === "hybrid") && "devices" in cgroups.controllers
const unified = cgroups.mode === "hybrid" ? cgroups.unified : null
const controllers = cgroups.mode === "legacy" || cgroups.mode === "hybrid" ? cgroups.controllers : {}

const managers: CgroupManager[] = []
const children: Bun.Subprocess[] = []

function create(name: string, resources: Parameters<typeof createCgroup>[1]["resources"], on: Cgroups = cgroups) {
  const { manager } = createCgroup(on, { path: `${PARENT}/${name}`, resources })
  managers.push(manager)
  return manager
}

/** Runs a shell script that has joined the cgroup as a container's first process does. */
function run(manager: CgroupManager, script: string) {
  const join = manager.join.files.map((file) => `echo 0 > ${file}`).join(" && ")
  const child = Bun.spawn(["sh", "-c", `${join} && { ${script}; }`], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  children.push(child)
  return child
}

async function until(what: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !what(); await Bun.sleep(5)) {
    if (Date.now() > deadline) throw new Error(`timed out: ${what}`)
  }
}

function leftovers(): string[] {
  const mounts = [...new Set(Object.values(controllers).map(({ mountpoint }) => mountpoint))]
  if (unified) mounts.push(unified.mountpoint)
  return mounts.filter((mountpoint) => listDir(mountpoint).includes(PARENT.slice(1)))
}

afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill(9)
    await child.exited
  }
  // Reversed, because the first one may own the parent.
  for (const manager of managers.splice(0).reverse()) {
    manager.kill()
    manager.remove()
  }
  expect(leftovers()).toEqual([])
})

describe.skipIf(!hasV1)("cgroup v1", () => {
  test("limits are in the kernel, processes join all hierarchies, and everything goes", async () => {
    const manager = create("c1", {
      memory: { limit: LIMIT, swap: LIMIT },
      cpu: { quota: 10_000, period: 50_000, shares: 512, cpus: "0" },
      pids: { limit: 20 },
      devices: DEFAULT_DEVICE_RULES,
    })
    const value = (controller: string, file: string) => readText(`${manager.handle.dirs[controller]}/${file}`).trim()
    expect(value("memory", "memory.limit_in_bytes")).toBe(`${LIMIT}`)
    expect(value("cpu", "cpu.cfs_quota_us")).toBe("10000")
    expect(value("cpu", "cpu.cfs_period_us")).toBe("50000")
    expect(value("cpu", "cpu.shares")).toBe("512")
    expect(value("pids", "pids.max")).toBe("20")
    expect(value("cpuset", "cpuset.cpus")).toBe("0")
    expect(value("cpuset", "cpuset.mems")).not.toBe("")
    expect(value("devices", "devices.list").split("\n")).toContain("c 1:3 rwm")
    expect(manager.memoryLimit()).toBe(LIMIT)

    const child = run(manager, "exec sleep 60")
    const joined = () => readText(`/proc/${child.pid}/cgroup`).split(`${PARENT}/c1\n`).length - 1
    await until(() => joined() === Object.keys(manager.handle.dirs).length)
    await until(() => readText(`/proc/${child.pid}/comm`) === "sleep\n")
    expect(manager.stats()).toMatchObject({ pidsCurrent: 1, oomKills: 0 })
    expect(manager.stats().cpuUsageUsec).toBeGreaterThan(0)

    manager.kill()
    expect(await child.exited).toBe(137)
    manager.remove()
    for (const dir of Object.values(manager.handle.dirs)) expect(exists(dir)).toBe(false)
  }, 30_000)

  test("devices: what the rules allow opens, the rest does not", async () => {
    const manager = create("c2", { devices: DEFAULT_DEVICE_RULES })
    const child = run(manager, "head -c 1 /dev/zero | wc -c; (head -c 1 /dev/kmsg) 2>&1; (: < /dev/fuse) 2>&1")
    const output = await new Response(child.stdout).text()
    expect(output).toStartWith("1\n")
    expect(output.match(/not permitted/g)).toHaveLength(2)
  }, 30_000)

  test("an OOM kill is recognised", async () => {
    const manager = create("c3", { memory: { limit: LIMIT, swap: LIMIT } })
    const child = run(manager, "exec tail /dev/zero")
    expect(await child.exited).toBe(137)
    expect(manager.oomKills()).toBe(1)
    expect(manager.stats().memoryPeakBytes).toBeLessThanOrEqual(LIMIT)
  }, 20_000)

  test("memory is raised and lowered, a cpuset joined later takes the processes along", async () => {
    const manager = create("c4", { memory: { limit: LIMIT, swap: LIMIT } })
    const child = run(manager, "sleep 60 & sleep 60 & wait")
    await until(() => manager.stats().pidsCurrent === 3)
    for (const size of [4 * LIMIT, 2 * LIMIT]) {
      updateCgroup(cgroups, manager.handle, { resources: { memory: { limit: size, swap: size } } })
      expect(manager.memoryLimit()).toBe(size)
    }
    const { handle } = updateCgroup(cgroups, manager.handle, { resources: { cpu: { cpus: "0" } } })
    const dir = handle.dirs.cpuset ?? ""
    managers.push(openCgroup(handle))
    expect(readText(`${dir}/cgroup.procs`).trim().split("\n")).toHaveLength(3)
    expect(readText(`/proc/${child.pid}/status`)).toContain("Cpus_allowed_list:\t0\n")
    manager.kill()
    await child.exited
  }, 30_000)

  test("kill catches a process that forks all the time", async () => {
    const manager = create("c5", { pids: { limit: 200 } })
    const child = run(manager, "f() { sleep 30 & f 2>/dev/null & wait; }; f; while :; do sleep 0.001 & done")
    await until(() => (manager.stats().pidsCurrent ?? 0) > 20)
    const start = performance.now()
    manager.kill()
    manager.remove()
    expect(performance.now() - start).toBeLessThan(10_000)
    await child.exited
  }, 30_000)

  test("freeze stops, thaw goes on", async () => {
    const manager = create("c6", {})
    run(manager, "while :; do :; done")
    await until(() => (manager.stats().cpuUsageUsec ?? 0) > 20_000)
    manager.freeze()
    const frozen = manager.stats().cpuUsageUsec
    await Bun.sleep(50)
    expect(manager.stats().cpuUsageUsec).toBe(frozen)
    manager.thaw()
    await until(() => (manager.stats().cpuUsageUsec ?? 0) > (frozen ?? 0) + 10_000)
    manager.kill()
  }, 30_000)

  test("an impossible value leaves nothing and says why", () => {
    expect(() => create("c7", { cpu: { cpus: "4000" } })).toThrow("linux.resources.cpu.cpus: write")
    expect(leftovers()).toEqual([])
  })

  test("concurrent runs that share a slice do not disturb each other", async () => {
    const worker = `
      import { createCgroup } from "${import.meta.dir}/../../src/cgroup/manager.ts"
      import { detectCgroups } from "${import.meta.dir}/../../src/cgroup/detect.ts"
      const cgroups = detectCgroups()
      for (let round = 0; round < 40; round++) {
        const path = "/toybox.slice" + process.argv.at(-1) + "/c" + process.pid
        createCgroup(cgroups, { path, resources: { pids: { limit: 5 } } }).manager.remove()
      }`
    // Its own name, so that toybox's real slice plays no part in "nothing is left".
    const args = [process.execPath, "-e", worker, "--", PARENT]
    const workers = Array.from({ length: 4 }, () => Bun.spawn(args, { stderr: "pipe" }))
    for (const child of workers) {
      expect({ code: await child.exited, error: await new Response(child.stderr).text() }).toEqual({
        code: 0,
        error: "",
      })
    }
    const left = Object.values(controllers).filter(({ mountpoint }) => exists(`${mountpoint}/toybox.slice${PARENT}`))
    expect(left).toEqual([])
  }, 30_000)
})

describe.skipIf(!isRoot || !unified)("cgroup v2 without controllers", () => {
  const pure: Cgroups = { mode: "unified", unified: unified ?? { mountpoint: "", root: "/" } }

  test("the eBPF program decides over devices", async () => {
    const manager = create("c1", { devices: DEFAULT_DEVICE_RULES }, pure)
    const child = run(
      manager,
      "head -c 1 /dev/zero | wc -c; (: > /dev/null) && echo null; (head -c 1 /dev/kmsg) 2>&1; (: < /dev/fuse) 2>&1",
    )
    const output = await new Response(child.stdout).text()
    expect(output).toStartWith("1\nnull\n")
    expect(output.match(/not permitted/g)).toHaveLength(2)
    await child.exited
  }, 30_000)

  test("a rule for reading does not allow writing", async () => {
    const rules = [{ allow: false }, { allow: true, type: "c", major: 1, minor: 5, access: "r" }]
    const manager = create(
      "c2",
      { devices: [...rules, { allow: true, type: "c", major: 1, minor: 3, access: "rw" }] },
      pure,
    )
    const child = run(manager, "head -c 1 /dev/zero | wc -c; (echo x > /dev/zero) 2>&1")
    const output = await new Response(child.stdout).text()
    expect(output).toStartWith("1\n")
    expect(output).toMatch(/not permitted/)
    await child.exited
  }, 30_000)

  test("the kernel's verifier takes every program that rules can give (seed 7)", () => {
    const { int, pick, chance } = random(7)
    for (let round = 0; round < 60; round++) {
      const devices = Array.from({ length: int(1, 40) }, () => ({
        allow: chance(0.5),
        type: pick(["a", "b", "c"]),
        major: pick([-1, 0, 1, 4095]),
        minor: pick([-1, 0, 3, 1048575]),
        access: pick(["r", "w", "m", "rw", "rm", "wm", "rwm"]),
      }))
      createCgroup(pure, { path: `${PARENT}-${round}`, resources: { devices } }).manager.remove()
    }
  }, 30_000)

  test("cgroup.kill and removal of the container's own cgroups", async () => {
    const manager = create("c3", {}, pure)
    const dir = manager.join.into ?? ""
    const child = run(manager, `mkdir -p ${dir}/inner/most && echo 0 > ${dir}/inner/most/cgroup.procs && sleep 60`)
    await until(() => exists(`${dir}/inner/most`) && readText(`${dir}/inner/most/cgroup.procs`) !== "")
    manager.kill()
    manager.remove()
    expect(await child.exited).toBe(137)
    expect(exists(dir)).toBe(false)
  }, 30_000)
})

test.skipIf(!hasV1)(
  "a cgroup that is removed while its files are read is no error",
  async () => {
    const dir = `${controllers.freezer?.mountpoint}${PARENT}-comes-and-goes`
    const child = Bun.spawn(["sh", "-c", 'while :; do mkdir "$0"; rmdir "$0"; done', dir], { stderr: "ignore" })
    children.push(child)
    let [there, gone] = [0, 0]
    // How soon both are met is the scheduler's business.
    for (const start = Date.now(); Date.now() < start + 1000 || (!(there && gone) && Date.now() < start + 20_000); ) {
      if (tryReadText(`${dir}/cgroup.procs`) === null) gone++
      else there++
    }
    child.kill(9)
    await child.exited
    // Its last mkdir may outlive it.
    await Bun.sleep(200)
    if (exists(dir)) rmdir(dir)
    expect({ there: there > 0, gone: gone > 0 }).toEqual({ there: true, gone: true })
  },
  30_000,
)

describe.skipIf(!hasV1)("cgroups that a container has made in its own", () => {
  /** One that says when `script`, which has its freezer and pids directories as $F and $P, has done what it is to do. */
  async function containing(name: string, script: string) {
    const manager = create(name, {})
    const dir = (controller: string) => `${controllers[controller]?.mountpoint}${PARENT}/${name}`
    const child = run(manager, `F=${dir("freezer")}; P=${dir("pids")}; ${script}; echo done; sleep 60`)
    const { value } = await child.stdout.getReader().read()
    expect(new TextDecoder().decode(value)).toBe("done\n")
    return { manager, child, dir: dir("pids") }
  }

  test.each([
    ["frozen", "mkdir -p $F/a/b; sleep 60 & echo $! > $F/a/b/cgroup.procs; echo FROZEN > $F/a/b/freezer.state"],
    ["deeper than a path can tell", 'cd $P; for i in $(seq 40); do mkdir "$D"; cd "$D"; done; echo 0 > cgroup.procs'],
    ["with names that are no text", 'mkdir "$P/$B" "$P/$B/$B"; echo 0 > "$P/$B/$B/cgroup.procs"'],
  ])("%s: all in them is killed, and nothing is left", async (name, script) => {
    const names = `D=$(printf %0200d 0); B=$(printf 'a\\351\\377')`
    const { manager, child, dir } = await containing(`own-${name.split(" ")[0]}`, `${names}; ${script}`)
    manager.kill()
    expect(await child.exited).toBe(137)
    manager.remove()
    expect(exists(dir)).toBe(false)
  })
})
