import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import type { Cgroups } from "../../../src/cgroup/detect.ts"
import {
  bindSources,
  cgroupView,
  openNamespaces,
  ownCapabilities,
  presentPaths,
  unpivotableMounts,
} from "../../../src/container/facts.ts"
import { specOf } from "../spec/fixtures.ts"

describe("unpivotableMounts", () => {
  const mounts = (...lines: string[]) => `${lines.join("\n")}\n`
  const root = (type: string) => `1 1 0:2 / / rw - ${type} ${type} rw`
  const at = (path: string, type = "tmpfs") => `22 1 0:21 / ${path} rw,nosuid shared:5 - ${type} x rw`

  test.each(["ext4", "overlay", "tmpfs", "btrfs"])("a root of %s is left in the ordinary way", (type) => {
    expect(unpivotableMounts(mounts(root(type), at("/proc")))).toBeNull()
  })

  test("the initial ramfs: everything on it, the deepest first", () => {
    expect(
      unpivotableMounts(mounts(root("rootfs"), at("/proc"), at("/sys"), at("/sys/fs/cgroup"), at("/dev/pts")))?.at(0),
    ).toBe("/sys/fs/cgroup")
    expect(unpivotableMounts(mounts(root("rootfs")))).toEqual([])
  })

  test("a root that was mounted over the initial ramfs counts", () => {
    expect(unpivotableMounts(mounts(root("rootfs"), root("tmpfs"), at("/proc")))).toBeNull()
  })

  test("a chroot that is no mount has no root among the mounts", () => {
    expect(unpivotableMounts(mounts(at("/proc")))).toEqual(["/proc"])
  })

  test("each of several mounts on one place, and names with blanks as they are", () => {
    expect(unpivotableMounts(mounts(root("rootfs"), at("/dev"), at("/dev"), at("/a\\040b\\134")))).toEqual([
      "/a b\\",
      "/dev",
      "/dev",
    ])
  })

  test("other fields are not taken for the mount point", () => {
    expect(
      unpivotableMounts(mounts("1 1 8:1 / / rw shared:1 - ext4 /dev/root rw", "2 1 0:3 / /x rw - rootfs / rw")),
    ).toBeNull()
  })

  test("this machine's root can be told", () => {
    const own = unpivotableMounts(readFileSync("/proc/self/mountinfo", "utf8"))
    expect(own === null || Array.isArray(own)).toBe(true)
  })
})

describe("cgroupView", () => {
  const hierarchy = (mountpoint: string) => ({ mountpoint: `/sys/fs/cgroup/${mountpoint}`, root: "/" })
  const both = hierarchy("cpu,cpuacct")
  const legacy: Cgroups = {
    mode: "hybrid",
    controllers: { cpu: both, cpuacct: both, memory: hierarchy("memory"), "name=systemd": hierarchy("systemd") },
    unified: hierarchy("unified"),
  }

  test("v2: the one tree", () => {
    expect(cgroupView({ mode: "unified", unified: hierarchy("") }, [], false)).toEqual({
      mounts: [{ name: "cgroup", type: "cgroup2", options: [] }],
      links: [],
    })
  })

  test("v1: the hierarchies in which the container has a cgroup, with a link for each controller of a pair", () => {
    expect(cgroupView(legacy, ["cpu", "cpuacct", "memory"], false)).toEqual({
      mounts: [
        {
          name: "cpu,cpuacct",
          type: "cgroup",
          options: [
            ["cpu", null],
            ["cpuacct", null],
          ],
        },
        { name: "memory", type: "cgroup", options: [["memory", null]] },
      ],
      links: [
        ["cpu", "cpu,cpuacct"],
        ["cpuacct", "cpu,cpuacct"],
      ],
    })
    expect(cgroupView(legacy, ["memory"], false).mounts.map(({ name }) => name)).toEqual(["memory"])
  })

  test("the host's tree is shown only where the namespace is the host's", () => {
    expect(cgroupView(legacy, ["cpu"], true)).toEqual({ mounts: [], links: [], hostPath: "/sys/fs/cgroup" })
    expect(cgroupView({ mode: "none" }, [], true)).toEqual({ mounts: [], links: [] })
  })
})

test("presentPaths tells what is there, and of which kind", () => {
  expect([...presentPaths(["/proc/version", "/proc/self/fd", "/proc/none", "/dev/null"])]).toEqual([
    ["/proc/version", { directory: false }],
    ["/proc/self/fd", { directory: true }],
    ["/dev/null", { directory: false }],
  ])
})

test("a bind whose source is gone, and a namespace that ended, are told by name", () => {
  const mount = { destination: "/x", type: "bind", source: "/nonexistent/source", options: [] }
  expect(() => bindSources({ ...specOf(), mounts: [mount] })).toThrow("/nonexistent/source")
  const spec = specOf({ namespaces: { ipc: { mode: "container", pid: 2 ** 22 + 1, id: "x" } } })
  expect(() => openNamespaces(spec)).toThrow("ipc namespace")
})

test("toybox's own capabilities are those that the kernel tells", () => {
  const mask = BigInt(`0x${/^CapPrm:\s*(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]}`)
  const known = ownCapabilities()
  expect(known.length).toBe(mask.toString(2).replaceAll("0", "").length)
  expect(known.includes("CAP_SYS_ADMIN")).toBe(((mask >> 21n) & 1n) === 1n)
})
