import { describe, expect, test } from "bun:test"
import { CAPABILITY_NAMES } from "../../../ffi/constants/capability.ts"
import type { Mount } from "../../../src/oci/runtime.ts"
import { DEFAULT_CAPABILITIES, DEFAULT_DEVICE_RULES, MASKED_PATHS, READONLY_PATHS } from "../../../src/spec/defaults.ts"
import { capabilitySets } from "../../../src/spec/generate.ts"
import type { DeviceRequest } from "../../../src/spec/request.ts"
import { random } from "../cgroup/random.ts"
import { PLACE, REQUEST, specOf } from "./fixtures.ts"

const NONE: string[] = []
const minus = (names: readonly string[], ...without: string[]) => names.filter((name) => !without.includes(name))
const bind = (destination: string): Mount => ({ destination, type: "bind", source: "/tmp", options: ["rbind"] })

describe("defaults", () => {
  const spec = specOf()

  test("namespaces: all but user and time", () => {
    expect(spec.linux.namespaces).toEqual(
      ["mount", "uts", "ipc", "pid", "network", "cgroup"].map((type) => ({ type })) as never,
    )
  })

  test("mounts, in an order in which each finds its place", () => {
    expect(spec.mounts.map(({ destination, type }) => `${type} ${destination}`)).toEqual([
      "proc /proc",
      "tmpfs /dev",
      "devpts /dev/pts",
      "tmpfs /dev/shm",
      "mqueue /dev/mqueue",
      "sysfs /sys",
      "cgroup /sys/fs/cgroup",
      "tmpfs /run",
      "bind /etc/hosts",
      "bind /etc/hostname",
      "bind /etc/resolv.conf",
    ])
    const options = (destination: string) => spec.mounts.find((mount) => mount.destination === destination)?.options
    expect(options("/proc")).toEqual(["nosuid", "noexec", "nodev"])
    expect(options("/sys")).toContain("ro")
    expect(options("/sys/fs/cgroup")).toContain("ro")
    expect(options("/dev/shm")).toContain("size=67108864")
    expect(options("/dev/pts")).toEqual(expect.arrayContaining(["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]))
  })

  test("devices, their rules, hidden paths, settings", () => {
    expect(
      spec.linux.devices.map(({ path, type, major, minor, fileMode }) => [path, type, major, minor, fileMode]),
    ).toEqual([
      ["/dev/null", "c", 1, 3, 0o666],
      ["/dev/zero", "c", 1, 5, 0o666],
      ["/dev/full", "c", 1, 7, 0o666],
      ["/dev/random", "c", 1, 8, 0o666],
      ["/dev/urandom", "c", 1, 9, 0o666],
      ["/dev/tty", "c", 5, 0, 0o666],
    ])
    expect(spec.linux.resources.devices).toEqual([...DEFAULT_DEVICE_RULES])
    expect(spec.linux.maskedPaths).toEqual([...MASKED_PATHS])
    expect(spec.linux.readonlyPaths).toEqual([...READONLY_PATHS])
    expect(spec.linux.sysctl).toEqual({
      "net.ipv4.ip_unprivileged_port_start": "0",
      "net.ipv4.ping_group_range": "0 2147483647",
    })
    expect(spec.root).toEqual({ path: PLACE.rootPath, readonly: false })
    expect(spec.process.noNewPrivileges).toBe(true)
  })

  test("the spec is plain data", () => {
    expect(JSON.parse(JSON.stringify(spec))).toEqual(JSON.parse(JSON.stringify(specOf())))
    expect("hostname" in spec).toBe(false)
  })
})

describe("capabilities", () => {
  const sets = (changes: Partial<typeof REQUEST>, uid = 0, own: readonly string[] = CAPABILITY_NAMES) =>
    capabilitySets({ ...REQUEST, ...changes }, uid, own)
  const rooted = (names: readonly string[]) => ({
    bounding: names,
    effective: names,
    permitted: names,
    inheritable: NONE,
    ambient: NONE,
  })

  test("root has podman's eleven", () => {
    expect(DEFAULT_CAPABILITIES.length).toBe(11)
    expect(sets({}) as object).toEqual(rooted(DEFAULT_CAPABILITIES))
    for (const name of ["CAP_MKNOD", "CAP_NET_RAW", "CAP_AUDIT_WRITE", "CAP_SYS_ADMIN"])
      expect(DEFAULT_CAPABILITIES).not.toContain(name)
  })

  test("another user has none, and cannot get more than root's by a setuid program", () => {
    expect(sets({}, 1000) as object).toEqual({
      bounding: DEFAULT_CAPABILITIES,
      effective: NONE,
      permitted: NONE,
      inheritable: NONE,
      ambient: NONE,
    })
  })

  test("what another user was given by name works: it is ambient", () => {
    const { bounding, ...own } = sets({ capAdd: ["CAP_NET_RAW", "CAP_CHOWN"], capDrop: ["CAP_KILL"] }, 1000)
    expect(bounding.toSorted()).toEqual([...minus(DEFAULT_CAPABILITIES, "CAP_KILL"), "CAP_NET_RAW"].toSorted())
    for (const set of Object.values(own)) expect(set).toEqual(["CAP_NET_RAW", "CAP_CHOWN"])
  })

  test.each<[string, Partial<typeof REQUEST>, readonly string[]]>([
    ["--cap-add", { capAdd: ["CAP_NET_RAW"] }, [...DEFAULT_CAPABILITIES, "CAP_NET_RAW"]],
    ["--cap-add of one that is there", { capAdd: ["CAP_CHOWN"] }, DEFAULT_CAPABILITIES],
    ["--cap-drop", { capDrop: ["CAP_CHOWN", "CAP_SYS_ADMIN"] }, minus(DEFAULT_CAPABILITIES, "CAP_CHOWN")],
    ["--cap-drop ALL", { capDrop: ["ALL"] }, []],
    ["--cap-drop ALL --cap-add", { capDrop: ["ALL"], capAdd: ["CAP_CHOWN"] }, ["CAP_CHOWN"]],
    ["--cap-add ALL", { capAdd: ["ALL"] }, CAPABILITY_NAMES],
    [
      "--cap-add ALL --cap-drop",
      { capAdd: ["ALL"], capDrop: ["CAP_SYS_ADMIN"] },
      minus(CAPABILITY_NAMES, "CAP_SYS_ADMIN"),
    ],
    ["the same added and dropped", { capAdd: ["CAP_NET_RAW"], capDrop: ["CAP_NET_RAW"] }, DEFAULT_CAPABILITIES],
    ["--privileged", { privileged: true }, CAPABILITY_NAMES],
    ["--privileged --cap-drop", { privileged: true, capDrop: ["CAP_MKNOD"] }, minus(CAPABILITY_NAMES, "CAP_MKNOD")],
  ])("%s", (_, changes, expected) => {
    expect(sets(changes) as object).toEqual(rooted(expected))
  })

  test("for ALL and the defaults toybox gives what it has; what was named is asked for all the same", () => {
    const own = ["CAP_CHOWN", "CAP_KILL"]
    expect(sets({}, 0, own).bounding).toEqual(own)
    expect(sets({ capAdd: ["ALL"] }, 0, own).bounding).toEqual(own)
    expect(sets({ capAdd: ["CAP_SYS_ADMIN"] }, 0, own).bounding).toEqual([...own, "CAP_SYS_ADMIN"])
  })

  test("a dropped one is in no set; no set exceeds the bounding one (seed 9)", () => {
    const { pick, int, chance } = random(9)
    const some = () => Array.from({ length: int(0, 6) }, () => (chance(0.1) ? "ALL" : pick(CAPABILITY_NAMES)))
    for (let round = 0; round < 500; round++) {
      const [capAdd, capDrop] = [some(), some()]
      const made = sets({ capAdd, capDrop, privileged: chance(0.1) }, pick([0, 1000]))
      for (const set of Object.values(made)) {
        expect(set.filter((name: string) => capDrop.includes(name) || !made.bounding.includes(name))).toEqual([])
        expect(new Set(set).size).toBe(set.length)
      }
      if (made.inheritable.length > 0) expect(made.inheritable).toEqual(made.ambient)
    }
  })
})

describe("mounts", () => {
  test("those asked for come last, the outer before the inner", () => {
    const destinations = specOf({ mounts: [bind("/a/b/c"), bind("/z"), bind("/a"), bind("/a/b")] }).mounts.map(
      (mount) => mount.destination,
    )
    expect(destinations.slice(-4)).toEqual(["/z", "/a", "/a/b", "/a/b/c"])
  })

  test.each([
    ["/run", ["/run"]],
    ["/etc/hosts", ["/etc/hosts"]],
    ["/sys/fs/cgroup", ["/sys/fs/cgroup"]],
    ["/dev/shm", ["/dev/shm"]],
    ["/r", []],
    ["/etc/host", []],
  ])("one on %s takes the place of %j", (destination, replaced) => {
    const usual = specOf().mounts.map((mount) => mount.destination)
    const mounts = specOf({ mounts: [bind(destination)] }).mounts
    expect(mounts.map((mount) => mount.destination)).toEqual([...minus(usual, ...replaced), destination])
    expect(mounts.at(-1)?.type).toBe("bind")
  })

  test("one above the container's own files lies below them", () => {
    const own = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]
    const usual = specOf().mounts.map((mount) => mount.destination)
    const mounts = specOf({ mounts: [bind("/etc/hosts"), bind("/etc"), bind("/etc/x/y")] }).mounts
    expect(mounts.map((mount) => mount.destination)).toEqual([
      ...minus(usual, ...own),
      ...["/etc", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/x/y"],
    ])
  })

  test("a read-only root and the size of /dev/shm", () => {
    const spec = specOf({ readonlyRoot: true, shmSize: 4096 })
    expect(spec.root.readonly).toBe(true)
    expect(spec.mounts.find(({ destination }) => destination === "/dev/shm")?.options).toContain("size=4096")
  })
})

describe("devices", () => {
  const device = (path: string, major: number, minor: number, access = "rwm"): DeviceRequest => ({
    path,
    type: "c",
    major,
    minor,
    access,
    mode: 0o600,
    uid: 0,
    gid: 6,
  })

  test("one asked for is made, and allowed after all the rules", () => {
    const { devices, resources } = specOf({ devices: [device("/dev/fuse", 10, 229, "rw")] }).linux
    expect(devices.at(-1)).toEqual({
      path: "/dev/fuse",
      type: "c",
      major: 10,
      minor: 229,
      fileMode: 0o600,
      uid: 0,
      gid: 6,
    })
    expect(resources.devices?.at(-1)).toEqual({ allow: true, type: "c", major: 10, minor: 229, access: "rw" })
  })

  test("one in the place of a default one is made once", () => {
    const { devices } = specOf({
      devices: [device("/dev/null", 1, 5), device("/dev/x", 1, 3), device("/dev/x", 1, 7)],
    }).linux
    const paths = devices.map(({ path }) => path)
    expect(new Set(paths).size).toBe(paths.length)
    expect(devices.find(({ path }) => path === "/dev/null")).toMatchObject({ major: 1, minor: 5 })
    expect(devices.find(({ path }) => path === "/dev/x")).toMatchObject({ major: 1, minor: 7 })
  })
})

describe("privileged", () => {
  const spec = specOf({ privileged: true })

  test("nothing is hidden or read-only, every device may be used", () => {
    expect([spec.linux.maskedPaths, spec.linux.readonlyPaths]).toEqual([[], []])
    expect(spec.linux.resources.devices).toEqual([{ allow: true, access: "rwm" }])
    expect(spec.mounts.filter(({ options }) => options.includes("ro"))).toEqual([])
  })
})

describe("namespaces and what hangs on them", () => {
  test("host ones are not made, joined ones are named, time only when asked for", () => {
    const { namespaces } = specOf({
      namespaces: {
        network: { mode: "host" },
        pid: { mode: "container", pid: 77, id: "x" },
        ipc: { mode: "private" },
        time: { mode: "private" },
      },
    }).linux
    expect(namespaces).toEqual([
      { type: "mount" },
      { type: "uts" },
      { type: "ipc" },
      { type: "pid", path: "/proc/77/ns/pid" },
      { type: "cgroup" },
      { type: "time" },
    ])
  })

  test.each(["host", "container"] as const)("a network of the %s keeps its settings", (mode) => {
    expect(specOf({ namespaces: { network: { mode, pid: 1, id: "x" } } }).linux.sysctl).toEqual({})
  })

  test("a setting asked for wins over a default one", () => {
    const key = "net.ipv4.ip_unprivileged_port_start"
    expect(specOf({ sysctl: { [key]: "1024", "kernel.shmmax": "1" } }).linux.sysctl).toMatchObject({
      [key]: "1024",
      "kernel.shmmax": "1",
    })
  })
})

test("names, labels, resources and the score go through", () => {
  const spec = specOf({
    hostname: "h",
    domainname: "d",
    labels: { a: "b" },
    resources: { pids: { limit: 7 } },
    oomScoreAdj: 5,
    consoleSize: { height: 1, width: 2 },
  })
  expect(spec).toMatchObject({ hostname: "h", domainname: "d", annotations: { a: "b" } })
  expect(spec.linux.resources.pids).toEqual({ limit: 7 })
  expect(spec.process).toMatchObject({ oomScoreAdj: 5, consoleSize: { height: 1, width: 2 } })
})
