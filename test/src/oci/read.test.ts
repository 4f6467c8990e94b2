import { describe, expect, test } from "bun:test"
import { DEFAULT_DEVICES } from "../../../src/oci/devices.ts"
import { readProcess, readSpec } from "../../../src/oci/read.ts"
import { config } from "../../helpers/oci-bundle.ts"
import { FULL } from "./full.ts"

// biome-ignore lint/suspicious/noExplicitAny: what is written here is what no type allows.
type Json = any

const read = (value: Json) => readSpec(typeof value === "string" ? value : JSON.stringify(value), "/bundle")

function messageOf(value: Json): string {
  try {
    read(value)
  } catch (error) {
    return (error as Error).message
  }
  throw new Error("it was accepted")
}

/** A copy of `base` with `value` at the place; undefined removes what is there. */
function withField(path: string, value: Json, base: Json = FULL): Json {
  const copy = JSON.parse(JSON.stringify(base))
  const keys = path.split(/[.[\]]+/).filter(Boolean)
  const last = keys.pop() as string
  const parent = keys.reduce((object, key) => {
    object[key] ??= {}
    return object[key]
  }, copy)
  if (value === undefined) delete parent[last]
  else parent[last] = value
  return copy
}

test("every field of a full configuration is kept as it is", () => {
  const spec = read(FULL)
  const { devices, resources, ...linux } = spec.linux
  const { devices: givenDevices, resources: givenResources, ...givenLinux } = FULL.linux
  expect(linux).toEqual(givenLinux as Json)
  expect(spec.process).toEqual(FULL.process as Json)
  expect(spec.hooks).toEqual(FULL.hooks)
  expect(spec.annotations).toEqual(FULL.annotations)
  expect({ ...resources, devices: [] }).toEqual({ ...givenResources, devices: [] } as Json)
  expect(resources.devices).toEqual(expect.arrayContaining(givenResources.devices as Json))
  expect(resources.devices?.[0]).toEqual({ allow: false, access: "rwm" })
  // The fifo's numbers mean nothing.
  expect(devices.slice(0, 2)).toEqual([givenDevices[0] as Json, { ...givenDevices[1], major: 0, minor: 0 } as Json])
  expect(devices.slice(2).map(({ path }) => path)).toEqual(DEFAULT_DEVICES.map(([path]) => path))
})

test("what is absent has its default, null is absent, and what nobody knows is left out", () => {
  const spec = read({
    ociVersion: "1.0.2-dev",
    root: { path: "rootfs", color: "red" },
    process: { args: ["a"], cwd: "/", env: null, rlimits: null },
    mounts: null,
    hooks: null,
    linux: { namespaces: [{ type: "mount", path: "" }], uidMappings: null, "": 1 },
    tomorrow: { a: 1 },
  })
  expect(spec.root).toEqual({ path: "/bundle/rootfs" })
  expect(spec.process).toEqual({
    args: ["a"],
    cwd: "/",
    env: [],
    user: { uid: 0, gid: 0, additionalGids: [] },
    capabilities: { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] },
    rlimits: [],
    noNewPrivileges: false,
  })
  expect(spec.linux.namespaces).toEqual([{ type: "mount" }])
  expect(Object.keys(spec).sort()).toEqual(["linux", "mounts", "ociVersion", "process", "root"])
})

test("mounts are completed: bind by option, absolute sources and destinations", () => {
  const mounts = [
    { destination: "a//b/../c/", source: "data", options: ["ro", "rbind"] },
    { destination: "/../x", source: "/d", type: "rbind" },
    { destination: "/t", type: "tmpfs" },
    { destination: "/t", options: ["remount", "ro"] },
  ]
  expect(read({ ...config("true"), mounts }).mounts).toEqual([
    { destination: "/a/c", type: "bind", source: "/bundle/data", options: ["ro", "rbind"] },
    { destination: "/x", type: "bind", source: "/d", options: ["rbind"] },
    { destination: "/t", type: "tmpfs", source: "tmpfs", options: [] },
    { destination: "/t", type: "none", source: "none", options: ["remount", "ro"] },
  ])
})

test("numbers of 64 bits", () => {
  const text = JSON.stringify(withField("linux.resources.memory.limit", 111222333444))
    .replace("111222333444", "9223372036854771712")
    .replace('"hard":1024', '"hard":18446744073709551615')
  const spec = read(text)
  expect(spec.linux.resources.memory?.limit).toBe(2 ** 63 - 4096)
  expect(spec.process.rlimits[0]?.hard).toBe(Number.POSITIVE_INFINITY)
})

/** Place, a value that is wrong there. */
const WRONG: readonly (readonly [string, Json])[] = [
  ["ociVersion", undefined],
  ["ociVersion", "2.0.0"],
  ["ociVersion", 1],
  ["root", undefined],
  ["root.path", ""],
  ["root.path", "a\0b"],
  ["root.readonly", "yes"],
  ["hostname", 5],
  ["hostname", "x".repeat(65)],
  ["domainname", {}],
  ["annotations", []],
  ["annotations", { "": "x" }],
  ["hooks.prestart[0].path", "relative"],
  ["hooks.poststop[0].timeout", 0],
  ["hooks.createRuntime", {}],
  ["mounts", {}],
  ["mounts[0].destination", ""],
  ["mounts[0].destination", "/a/.."],
  ["mounts[0].options", "ro"],
  ["mounts[1].source", undefined],
  ["mounts[0].type", undefined],
  ["mounts[1].uidMappings[0].size", 0],
  ["process.terminal", "true"],
  ["process.consoleSize.height", 70000],
  ["process.cwd", "relative"],
  ["process.cwd", undefined],
  ["process.args", []],
  ["process.args", undefined],
  ["process.args[1]", 7],
  ["process.env[0]", "NOVALUE"],
  ["process.user.uid", -1],
  ["process.user.uid", 4294967295],
  ["process.user.gid", 1.5],
  ["process.user.umask", 512],
  ["process.user.additionalGids[0]", "0"],
  ["process.capabilities.bounding[0]", "CHOWN"],
  ["process.rlimits[0].type", "RLIMIT_BEER"],
  ["process.rlimits[0].soft", 4096],
  ["process.rlimits[1].type", "RLIMIT_NOFILE"],
  ["process.noNewPrivileges", 1],
  ["process.oomScoreAdj", 1001],
  ["process.scheduler.policy", "SCHED_NICE"],
  ["process.scheduler.nice", 20],
  ["process.scheduler.priority", 5],
  ["process.scheduler.deadline", 5],
  ["process.ioPriority.class", "IOPRIO_CLASS_NONE"],
  ["process.ioPriority.priority", 8],
  ["process.apparmorProfile", []],
  ["process.selinuxLabel", 0],
  ["process.execCPUAffinity.initial", "all"],
  ["process.execCPUAffinity.final", "0-4294967295"],
  ["process.execCPUAffinity.final", "3-1"],
  ["linux", undefined],
  ["linux.namespaces[0].type", "disk"],
  ["linux.namespaces[1].path", "relative"],
  ["linux.namespaces[1].type", "mount"],
  ["linux.uidMappings[0].containerID", -1],
  ["linux.timeOffsets.monotonic.nanosecs", 1e9],
  ["linux.devices[0].type", "a"],
  ["linux.devices[0].path", "null"],
  ["linux.devices[0].major", undefined],
  ["linux.devices[0].minor", -1],
  ["linux.devices[0].fileMode", -1],
  ["linux.cgroupsPath", "system.slice:docker:abc"],
  ["linux.resources.devices[0].allow", "no"],
  ["linux.resources.devices[0].access", "rx"],
  ["linux.resources.memory.swappiness", 101],
  ["linux.resources.memory.limit", "1g"],
  ["linux.resources.cpu.idle", 2],
  ["linux.resources.cpu.shares", -1],
  ["linux.resources.pids.limit", "max"],
  ["linux.resources.blockIO.weight", 70000],
  ["linux.resources.blockIO.throttleReadBpsDevice[0].rate", undefined],
  ["linux.resources.hugepageLimits[0].pageSize", ""],
  ["linux.resources.network.classID", -1],
  ["linux.resources.rdma.mlx", 1],
  ["linux.resources.unified", { "memory.high": 5 }],
  ["linux.sysctl", { "net.ipv4.ip_forward": 1 }],
  ["linux.rootfsPropagation", "rw"],
  ["linux.maskedPaths[0]", "proc"],
  ["linux.readonlyPaths[0]", "//"],
  ["linux.personality.domain", "BSD"],
  ["linux.personality.flags", ["ADDR_NO_RANDOMIZE"]],
  ["linux.seccomp.defaultAction", "SCMP_ACT_SOMETIMES"],
  ["linux.intelRdt", { closID: "x" }],
  ["linux.netDevices", { eth0: {} }],
  ["linux.memoryPolicy", { mode: "MPOL_BIND" }],
  ["windows", { layerFolders: ["x"] }],
  ["vm", { kernel: { path: "/vmlinuz" } }],
]

test.each(WRONG)("%s: %p is refused by name", (path, value) => {
  const message = messageOf(withField(path, value))
  // Of objects with keys of the user's the key is quoted.
  const field = path.replace(".monotonic", '["monotonic"]').replace(".mlx", '["mlx"]')
  expect(message).toStartWith("config.json: ")
  expect(message).toContain(field)
  expect(message).not.toContain("\n")
  expect(message.length).toBeLessThan(300)
})

describe("what does not go together", () => {
  const without = (type: string) => FULL.linux.namespaces.filter((namespace) => namespace.type !== type)
  test.each([
    ["linux.maskedPaths", { "linux.namespaces": without("mount") }],
    ["hostname", { "linux.namespaces": without("uts") }],
    ["linux.uidMappings", { "linux.namespaces": without("user") }],
    ["linux.uidMappings", { "linux.uidMappings": [] }],
    ["linux.gidMappings", { "linux.gidMappings": undefined }],
    ["linux.timeOffsets", { "linux.namespaces": without("time") }],
    ["linux.timeOffsets", { "linux.timeOffsets": { realtime: { secs: 1 } } }],
    ['linux.sysctl["kernel.panic"]', { "linux.sysctl": { "kernel.panic": "1" } }],
    ['linux.sysctl["net.ipv4.ip_forward"]', { "linux.namespaces": without("network") }],
    ['linux.sysctl["kernel.hostname"]', { "linux.sysctl": { "kernel.hostname": "other" } }],
    ['linux.sysctl["net/../kernel/panic"]', { "linux.sysctl": { "net/../kernel/panic": "1" } }],
  ] as [string, Record<string, Json>][])("%s", (field, changes) => {
    const value = Object.entries(changes).reduce((base, [path, to]) => withField(path, to, base), FULL as Json)
    expect(messageOf(value)).toContain(`config.json: ${field}: `)
  })
})

test("no JSON, too long, too deep", () => {
  expect(messageOf("")).toStartWith("config.json: is no JSON")
  expect(messageOf("[]")).toBe("config.json: must be an object, is a list")
  expect(messageOf("[".repeat(1_000_000))).toStartWith("config.json: ")
  expect(messageOf(" ".repeat(17 * 1024 * 1024))).toContain("longer than")
})

test("a process alone, by the name of its file", () => {
  expect(readProcess({ args: ["x"], cwd: "/" }, "process.json").args).toEqual(["x"])
  expect(() => readProcess({ args: ["x"], cwd: "x" }, "process.json")).toThrow(
    'process.json: cwd: must be an absolute path, is "x"',
  )
  const scheduler = { policy: "SCHED_OTHER", priority: 3 }
  expect(() => readProcess({ args: ["x"], cwd: "/", scheduler }, "p")).toThrow("p: scheduler.priority: ")
  const consoleSize = { height: 2 ** 20, width: 80 }
  expect(readProcess({ args: ["x"], cwd: "/", consoleSize }, "p").cwd).toBe("/")
  expect(() => readProcess({ args: ["x"], cwd: "/", consoleSize, terminal: true }, "p")).toThrow(
    "p: consoleSize.height: ",
  )
})
