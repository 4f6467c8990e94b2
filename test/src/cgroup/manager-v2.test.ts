import { describe, expect, test } from "bun:test"
import { createCgroup, planCgroup } from "../../../src/cgroup/manager.ts"
import { type CgroupRequest, shellForm } from "../../../src/cgroup/plan.ts"
import { fail } from "./fake.ts"
import { ROOT, v2Machine } from "./machines.ts"

const path = "/toybox.slice/c1"
const DIR = ROOT + path
const LIMIT = 64 << 20
const request: CgroupRequest = {
  path,
  resources: { memory: { limit: LIMIT, swap: LIMIT }, pids: { limit: 10 }, devices: [{ allow: false }] },
  options: { "memory.limit": "--mem" },
  defaults: ["memory.swap", "pids.limit"],
}

describe("create", () => {
  test("enables controllers from the top down, then writes every limit", () => {
    const { cgroups, fake } = v2Machine()
    const { manager, notices } = createCgroup(cgroups, request, { io: fake.io })
    expect(fake.log).toEqual([
      `+cpu +memory +pids > ${ROOT}/cgroup.subtree_control`,
      `mkdir ${ROOT}/toybox.slice`,
      `+cpu +memory +pids > ${ROOT}/toybox.slice/cgroup.subtree_control`,
      `mkdir ${DIR}`,
      `${LIMIT} > ${DIR}/memory.max`,
      `0 > ${DIR}/memory.swap.max`,
      `10 > ${DIR}/pids.max`,
      `bpf ${DIR}`,
    ])
    expect(notices).toEqual([])
    expect(manager.join).toEqual({ into: DIR, files: [`${DIR}/cgroup.procs`] })
    expect(JSON.parse(JSON.stringify(manager.handle))).toEqual({
      version: 2,
      path,
      dirs: { unified: DIR },
      parents: [`${ROOT}/toybox.slice`],
    })
  })

  test("the plan is what is done", () => {
    const { cgroups, fake } = v2Machine()
    const planned = planCgroup(cgroups, request, fake.io).steps.length
    expect(fake.log).toEqual([])
    const trace: string[] = []
    createCgroup(cgroups, request, { io: fake.io, trace: (step) => trace.push(shellForm(step)) })
    expect(trace).toHaveLength(planned)
    expect(trace).toContain(`echo ${LIMIT} > ${DIR}/memory.max`)
  })

  test("enables nothing twice, and only what is used", () => {
    const { cgroups, fake } = v2Machine({ enabled: "cpu memory pids " })
    createCgroup(cgroups, { path, resources: { cpu: { cpus: "0" } } }, { io: fake.io })
    expect(fake.log.filter((line) => line.includes("subtree_control"))).toEqual([
      `+cpuset > ${ROOT}/cgroup.subtree_control`,
      `+cpu +memory +pids +cpuset > ${ROOT}/toybox.slice/cgroup.subtree_control`,
    ])
  })

  test("without device rules, or with rules that allow all, there is no program", () => {
    for (const devices of [[], [{ allow: false }, { allow: true }]]) {
      const { cgroups, fake } = v2Machine()
      createCgroup(cgroups, { path, resources: { devices } }, { io: fake.io })
      expect(fake.programs.size).toBe(0)
    }
  })
})

describe("what the kernel lacks", () => {
  test("a controller somebody asked for is an error that names both", () => {
    const { cgroups, fake } = v2Machine({ controllers: "cpu pids" })
    const message = `--mem: the memory controller is not available (${ROOT} has: cpu pids)`
    expect(() => createCgroup(cgroups, request, { io: fake.io })).toThrow(message)
    expect(fake.log).toEqual([])
  })

  test("a default of toybox is left out", () => {
    const { cgroups, fake } = v2Machine({ controllers: "cpu" })
    createCgroup(cgroups, { path, resources: { pids: { limit: 10 } }, defaults: ["pids.limit"] }, { io: fake.io })
    expect(fake.log).toContain(`+cpu > ${ROOT}/cgroup.subtree_control`)
    expect(fake.log.join()).not.toContain("pids")
  })

  test("no swap accounting: a notice, unless swap was asked for", () => {
    const { cgroups, fake } = v2Machine({ lacks: ["memory.swap.max"] })
    const { notices } = createCgroup(cgroups, request, { io: fake.io })
    expect(notices).toEqual(["this kernel does not account swap: swapping cannot be forbidden"])
    const asked = { ...request, path: "/toybox.slice/c2", options: { "memory.swap": "--swap" }, defaults: [] }
    expect(() => createCgroup(cgroups, asked, { io: fake.io })).toThrow("--swap: write")
  })

  test("io.weight: one of the two files is enough, none is not", () => {
    const one = v2Machine()
    createCgroup(one.cgroups, { path, resources: { blockIO: { weight: 1000 } } }, { io: one.fake.io })
    expect(one.fake.log).toContain(`default 10000 > ${DIR}/io.weight`)
    const none = v2Machine({ lacks: ["io.weight"] })
    const create = () =>
      createCgroup(none.cgroups, { path, resources: { blockIO: { weight: 1000 } } }, { io: none.fake.io })
    expect(create).toThrow("linux.resources.blockIO.weight: write")
  })

  test.each([
    [{ memory: { swappiness: 0 } }, "linux.resources.memory.swappiness"],
    [{ memory: { disableOOMKiller: true } }, "linux.resources.memory.disableOOMKiller"],
    [{ cpu: { realtimeRuntime: 5 } }, "linux.resources.cpu.realtimeRuntime"],
    [{ network: { classID: 5 } }, "linux.resources.network.classID"],
  ])("refuses %j", (resources, field) => {
    const { cgroups, fake } = v2Machine()
    expect(() => createCgroup(cgroups, { path, resources }, { io: fake.io })).toThrow(`${field}: not possible here`)
  })

  test("deprecated fields give a notice", () => {
    const { cgroups, fake } = v2Machine()
    const { notices } = createCgroup(cgroups, { path, resources: { memory: { kernel: 5 } } }, { io: fake.io })
    expect(notices).toEqual(["linux.resources.memory.kernel is ignored: kernels since 5.16 have no such limit"])
  })
})

describe("no internal processes", () => {
  test("the processes of a delegated top go into a leaf", () => {
    const { cgroups, fake } = v2Machine({ delegated: true, procs: "1\n42\n" })
    createCgroup(cgroups, { path, resources: {} }, { io: fake.io })
    expect(fake.log.slice(0, 4)).toEqual([
      `mkdir ${ROOT}/init`,
      `1 > ${ROOT}/init/cgroup.procs`,
      `42 > ${ROOT}/init/cgroup.procs`,
      `+cpu +memory +pids > ${ROOT}/cgroup.subtree_control`,
    ])
    expect(fake.files.get(`${ROOT}/init/cgroup.procs`)).toBe("1\n42\n")
  })

  test("the true root may have processes, and a delegated one without work to do may keep them", () => {
    for (const machine of [v2Machine(), v2Machine({ delegated: true, enabled: "cpu memory pids " })]) {
      createCgroup(machine.cgroups, { path, resources: {} }, { io: machine.fake.io })
      expect(machine.fake.dirs.has(`${ROOT}/init`)).toBe(false)
    }
  })

  test("what is above what an ordinary user was given enables no more than it does", () => {
    const { cgroups, fake } = v2Machine({ enabled: "memory " })
    fake.protected.add(`${ROOT}/cgroup.subtree_control`)
    createCgroup(cgroups, { path, resources: { memory: { limit: LIMIT } }, allControllers: true }, { io: fake.io })
    expect(fake.log.filter((line) => line.includes("subtree_control"))).toEqual([
      `+memory > ${ROOT}/toybox.slice/cgroup.subtree_control`,
    ])
    expect(() => planCgroup(cgroups, { path, resources: { pids: { limit: 5 } } }, fake.io)).toThrow(
      `linux.resources.pids.limit: the pids controller is not available (${ROOT} has: memory)`,
    )
  })

  test("processes of another PID namespace cannot be moved", () => {
    const { cgroups, fake } = v2Machine({ delegated: true, procs: "0\n1\n" })
    expect(() => createCgroup(cgroups, { path, resources: {} }, { io: fake.io })).toThrow("cannot be moved")
    expect(fake.dirs).toEqual(new Set([ROOT]))
  })

  test("a --cgroup-parent with processes is refused", () => {
    const { cgroups, fake } = v2Machine()
    fake.io.mkdir(`${ROOT}/busy`)
    fake.files.set(`${ROOT}/busy/cgroup.procs`, "99\n")
    expect(() => planCgroup(cgroups, { path: "/busy/c1", resources: {} }, fake.io)).toThrow(
      "/cg/busy has processes of its own",
    )
  })
})

describe("failure", () => {
  const writes = planCgroup(v2Machine().cgroups, request, v2Machine().fake.io).steps.length

  test.each(Array.from({ length: writes }, (_, index) => index))("at step %i leaves nothing", (index) => {
    const { cgroups, fake } = v2Machine()
    const seen: string[] = []
    const count = (what: string) => {
      if (!seen.includes(what)) seen.push(what)
      if (seen[index] === what) throw fail("write", "EINVAL", what)
    }
    fake.onWrite = count
    fake.onMkdir = count
    const { attachDevices } = fake.io
    fake.io.attachDevices = (program, dir) => {
      count(`bpf ${dir}`)
      attachDevices(program, dir)
    }
    expect(() => createCgroup(cgroups, request, { io: fake.io })).toThrow()
    expect(fake.dirs).toEqual(new Set([ROOT]))
  })

  test("tells option, value, file, errno and hint", () => {
    const { cgroups, fake } = v2Machine()
    fake.onWrite = (file) => {
      if (file.endsWith("memory.max")) throw fail("write", "EACCES", file)
    }
    try {
      createCgroup(cgroups, request, { io: fake.io })
      throw new Error("no error")
    } catch (error) {
      expect(error).toMatchObject({
        message: `--mem: write "${LIMIT}" to ${DIR}/memory.max`,
        hint: "this cgroup was not delegated to you",
        cause: { errno: "EACCES" },
      })
    }
  })

  test("an existing cgroup with processes is refused and left alone", () => {
    const { cgroups, fake } = v2Machine()
    const { manager } = createCgroup(cgroups, request, { io: fake.io })
    fake.files.set(`${DIR}/cgroup.procs`, "77\n")
    expect(() => createCgroup(cgroups, request, { io: fake.io })).toThrow("exists and has processes in it")
    expect(fake.dirs.has(manager.handle.dirs.unified ?? "")).toBe(true)
  })

  test("a parent that vanishes meanwhile is made again", () => {
    const { cgroups, fake } = v2Machine()
    let times = 3
    fake.onMkdir = (dir) => {
      if (dir === DIR && times-- > 0 && fake.io.exists(`${ROOT}/toybox.slice`)) fake.io.rmdir(`${ROOT}/toybox.slice`)
    }
    createCgroup(cgroups, request, { io: fake.io })
    expect(fake.files.get(`${DIR}/pids.max`)).toBe("10")
    expect(fake.log.filter((line) => line === `mkdir ${ROOT}/toybox.slice`)).toHaveLength(3)
  })
})
