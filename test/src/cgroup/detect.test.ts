import { describe, expect, test } from "bun:test"
import { detectCgroups, directoryOf, ownCgroup } from "../../../src/cgroup/detect.ts"
import { parseMountLine } from "../../../src/cgroup/mountinfo.ts"

const ROOT = "/sys/fs/cgroup"
const line = (mountpoint: string, type: string, options: string, root = "/") =>
  `31 23 0:28 ${root} ${mountpoint} rw,nosuid shared:9 - ${type} ${type} ${options}`
const other = "23 1 8:1 / / rw - ext4 /dev/sda1 rw"
const detect = (...lines: string[]) => detectCgroups(ROOT, `${[other, ...lines].join("\n")}\n`)

describe("detectCgroups", () => {
  test("unified", () => {
    expect(detect(line(ROOT, "cgroup2", "rw,nsdelegate"))).toEqual({
      mode: "unified",
      unified: { mountpoint: ROOT, root: "/" },
    })
  })

  test("legacy, with co-mounted controllers and a named hierarchy", () => {
    const found = detect(
      line(ROOT, "tmpfs", "rw,mode=755"),
      line(`${ROOT}/cpu,cpuacct`, "cgroup", "rw,cpu,cpuacct"),
      line(`${ROOT}/net_cls,net_prio`, "cgroup", "rw,net_cls,net_prio"),
      line(`${ROOT}/memory`, "cgroup", "rw,memory"),
      line(`${ROOT}/cpuset`, "cgroup", "rw,cpuset,noprefix,cpuset_v2_mode,release_agent=/sbin/x"),
      line(`${ROOT}/systemd`, "cgroup", "rw,xattr,name=systemd"),
    )
    if (found.mode !== "legacy") throw new Error(found.mode)
    expect(Object.keys(found.controllers).sort()).toEqual([
      "cpu",
      "cpuacct",
      "cpuset",
      "memory",
      "name=systemd",
      "net_cls",
      "net_prio",
    ])
    expect(found.controllers.cpuacct).toEqual({ mountpoint: `${ROOT}/cpu,cpuacct`, root: "/" })
    expect(found.controllers.cpu).toBe(found.controllers.cpuacct as never)
  })

  test("hybrid", () => {
    const found = detect(line(`${ROOT}/pids`, "cgroup", "rw,pids"), line(`${ROOT}/unified`, "cgroup2", "rw"))
    expect(found).toEqual({
      mode: "hybrid",
      controllers: { pids: { mountpoint: `${ROOT}/pids`, root: "/" } },
      unified: { mountpoint: `${ROOT}/unified`, root: "/" },
    })
  })

  test("only what is mounted below the root counts, and the last mount on a place", () => {
    expect(detect(line("/mnt/x", "cgroup2", "rw"), line("/sys/fs/cgroup-x/pids", "cgroup", "rw,pids"))).toEqual({
      mode: "none",
    })
    const found = detect(line(`${ROOT}/a`, "cgroup", "rw,pids"), line(`${ROOT}/b`, "cgroup", "rw,pids", "/docker/abc"))
    if (found.mode !== "legacy") throw new Error(found.mode)
    expect(found.controllers.pids).toEqual({ mountpoint: `${ROOT}/b`, root: "/docker/abc" })
  })
})

test("parseMountLine undoes octal escapes and tolerates any number of optional fields", () => {
  const text = "36 35 98:0 /a\\040b /mnt\\011c\\134d rw,noatime master:1 shared:2 - cgroup cgroup rw,pids"
  expect(parseMountLine(text)).toMatchObject({ root: "/a b", mountpoint: "/mnt\tc\\d", type: "cgroup" })
  expect(parseMountLine("36 35 98:0 / /mnt rw - cgroup2 none rw")).toMatchObject({
    mountpoint: "/mnt",
    type: "cgroup2",
  })
  expect(parseMountLine("")).toBeNull()
  expect(parseMountLine("1 2 3 4")).toBeNull()
})

test("ownCgroup", () => {
  expect(ownCgroup("4:memory:/a:b/c\n2:cpu,cpuacct:/x\n1:name=systemd:/y\n0::/z\n")).toEqual({
    unified: "/z",
    controllers: { memory: "/a:b/c", cpu: "/x", cpuacct: "/x", "name=systemd": "/y" },
  })
  expect(ownCgroup("3:pids:/\n")).toEqual({ unified: null, controllers: { pids: "/" } })
})

test("directoryOf accounts for a mount of a subtree", () => {
  expect(directoryOf({ mountpoint: "/m", root: "/" }, "/a")).toBe("/m/a")
  expect(directoryOf({ mountpoint: "/m", root: "/" }, "/")).toBe("/m")
  expect(directoryOf({ mountpoint: "/m", root: "/docker/x" }, "/docker/x/y")).toBe("/m/y")
  expect(directoryOf({ mountpoint: "/m", root: "/docker/x" }, "/docker/x")).toBe("/m")
  expect(directoryOf({ mountpoint: "/m", root: "/docker/x" }, "/docker/xy")).toBeNull()
})
