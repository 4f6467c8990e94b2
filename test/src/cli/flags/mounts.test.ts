import { describe, expect, test } from "bun:test"
import { mkdirSync } from "node:fs"
import { mountOptions, parseMount, parseTmpfs, parseVolume, shmSize } from "../../../../src/cli/flags/mounts.ts"
import { normalPath } from "../../../../src/cli/flags/path.ts"
import { pathsFor } from "../../../../src/paths.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"
import { random } from "../../cgroup/random.ts"
import { hintOf, run } from "../parse.ts"

cleanUpAfterAll()

const paths = pathsFor("/state")
const dir = temporaryDirectory()
mkdirSync(`${dir}/a:b`)
mkdirSync(`${dir}/a,b`)
const volume = (text: string) => parseVolume("-v", text)

describe("-v", () => {
  test.each<[string, string, string[]]>([
    ["/x", "/x", ["rbind"]],
    ["/x:ro", "/x", ["rbind", "rro"]],
    ["/x:rw", "/x", ["rbind", "rw"]],
    ["/x/../y//z/", "/y/z", ["rbind"]],
    ["/x:ro,z", "/x", ["rbind", "rro"]],
    ["/x:Z,cached,nosuid,rslave", "/x", ["rbind", "nosuid", "rslave"]],
    ["/x:", "/x", ["rbind"]],
  ])("SRC:%s", (rest, destination, options) => {
    expect(volume(`${dir}:${rest}`)).toEqual({ destination, type: "bind", source: dir, options })
  })

  test.each<[string, string, string, string[]]>([
    ["data:/x", "data", "/x", ["rbind"]],
    ["my_Data-1.2:/x:ro,nocopy", "my_Data-1.2", "/x", ["rbind", "rro", "nocopy"]],
    ["/x", "", "/x", ["rbind"]],
    ["/x/../y/", "", "/y", ["rbind"]],
  ])("%s is of a volume", (text, source, destination, options) => {
    expect(volume(text)).toEqual({ destination, type: "volume", source, options })
  })

  test("a source may be relative to here, if it says so", () => {
    expect(volume(".:/x").source).toBe(`${process.cwd()}/.`)
    expect(hintOf(() => volume("data/x:/x"))).toContain("./data/x")
  })

  test.each([
    ["", "is no volume"],
    ["x", "must be absolute"],
    ["-x:/x", "neither a path of the host nor a name for a volume"],
    ["x y:/x", "neither a path of the host nor a name for a volume"],
    [`${dir}:/x:nocopy`, "nocopy is for volumes"],
    [":/x", "is no volume"],
    [`${dir}:`, "is no volume"],
    [`${dir}:x`, "must be absolute"],
    [`${dir}:/`, "container's root"],
    [`${dir}:/..`, "container's root"],
    [`${dir}:/proc`, "/proc"],
    [`${dir}:/proc/sys`, "nothing can be mounted on /proc/sys"],
    [`${dir}:/proc/self/../1/attr`, "nothing can be mounted on /proc/1/attr"],
    [`${dir}:/dev`, "has no devices"],
    ["name:/dev", "a volume cannot be /dev"],
    [`${dir}:/x:wr`, 'unknown option "wr"'],
    [`${dir}:/x:ro,rw`, "exclude each other"],
    [`${dir}:/x:size=1`, "unknown option"],
    ["/nonexistent:/x", "does not exist"],
    [`${dir}/a:b:/x:ro`, "is no volume"],
  ])("refuses %s", (text, message) => {
    expect(() => volume(text)).toThrow(message)
  })

  test("a path with a colon is sent to --mount", () => {
    expect(hintOf(() => volume(`${dir}/a:b:/x:ro`))).toContain("--mount")
    expect(parseMount(`type=bind,source=${dir}/a:b,target=/x`).source).toBe(`${dir}/a:b`)
  })
})

test("what shows a container its own figures, and devices, may be mounted", () => {
  expect(volume("/dev/null:/proc/meminfo").destination).toBe("/proc/meminfo")
  expect(volume("/dev:/dev").destination).toBe("/dev")
})

describe("--mount", () => {
  test.each<[string, object]>([
    [`type=bind,source=${dir},target=/x`, { type: "bind", destination: "/x", source: dir, options: ["rbind"] }],
    [`src=${dir},dst=/x,ro`, { type: "bind", options: ["rbind", "rro"] }],
    [`source=${dir},destination=/x,readonly=true`, { options: ["rbind", "rro"] }],
    [`source=${dir},target=/x,readonly=false`, { options: ["rbind"] }],
    [`source=${dir},target=/x,bind-propagation=rslave,readonly=1`, { options: ["rbind", "rro", "rslave"] }],
    [`source=${dir},target=/x,bind-recursive=disabled`, { options: ["bind"] }],
    [`source=${dir},target=/x,bind-recursive=disabled,consistency=cached`, { options: ["bind"] }],
    ["src=data,dst=/x", { type: "volume", source: "data", destination: "/x", options: ["rbind"] }],
    ["target=/x", { type: "volume", source: "", destination: "/x", options: ["rbind"] }],
    ["type=volume,target=/x,volume-nocopy,ro", { type: "volume", options: ["rbind", "rro", "nocopy"] }],
    ["type=tmpfs,target=/x", { type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "noexec"] }],
    [
      "type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=1777,readonly",
      { options: ["nosuid", "nodev", "noexec", "ro", "size=1048576", "mode=1777"] },
    ],
    [`type=bind,"source=${dir}/a,b",target=/x`, { source: `${dir}/a,b`, destination: "/x" }],
    [`"source=${dir}","target=/x ""y""",ro`, { source: dir, destination: '/x "y"', options: ["rbind", "rro"] }],
  ])("%s", (text, expected) => {
    expect(parseMount(text)).toMatchObject(expected)
  })

  test.each([
    [`"source=${dir},target=/x`, "a quote is not closed"],
    [`source="${dir}",target=/x`, "inside a field"],
    [`"source=${dir}"x,target=/x`, "inside a field"],
    [`source=${dir},,target=/x`, 'unknown field ""'],
    ["", "no target"],
    ["type=bind,target=/x", "no source"],
    [`source=${dir}`, "no target"],
    [`source=${dir},target=`, "no target"],
    [`type=npipe,source=a,target=/x`, 'unknown type "npipe"'],
    [`type=volume,source=${dir},target=/x`, "neither a path of the host nor a name"],
    ["source=a,target=/x,tmpfs-size=1", "unknown field"],
    [`source=${dir},target=/x,readonly=maybe`, "neither true nor false"],
    [`source=${dir},target=/x,reaonly`, 'unknown field "reaonly"'],
    [`source=${dir},target=/x,tmpfs-size=1`, "unknown field"],
    [`source=${dir},target=/x,bind-propagation=never`, 'unknown propagation "never"'],
    [`source=${dir},target=/x,bind-recursive=no`, "use enabled or disabled"],
    [`source=${dir},target=/x,consistency=some`, "consistency"],
    [`type=tmpfs,source=${dir},target=/x`, "unknown field"],
    ["type=tmpfs,target=/x,tmpfs-size=big", "is not a size"],
    ["type=tmpfs,target=/x,tmpfs-mode=rwx", "unknown tmpfs option"],
    ["type=tmpfs,target=x", "must be absolute"],
    ["type=bind,source=/nonexistent,target=/x", "does not exist"],
    ["type=bind,source=data,target=/x", "no path of the host"],
  ])("refuses %j", (text, message) => {
    expect(() => parseMount(text)).toThrow(message)
  })
})

describe("--tmpfs", () => {
  test.each<[string, string[]]>([
    ["/x", []],
    ["/x:size=64k,mode=0700,uid=7,gid=8", ["size=65536", "mode=0700", "uid=7", "gid=8"]],
    ["/x:size=10%,exec,ro", ["size=10%", "exec", "ro"]],
    ["/x:nr_inodes=1k,noatime", ["nr_inodes=1k", "noatime"]],
  ])("%s", (text, options) => {
    expect(parseTmpfs(text)).toEqual({
      destination: "/x",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "nodev", "noexec", ...options],
    })
  })

  test.each([
    "x",
    "/",
    "/x:size",
    "/x:size=",
    "/x:size=-1",
    "/x:size=1x",
    "/x:mode=8",
    "/x:mode=1777=1",
    "/x:uid=root",
    "/x:uid=1k",
    "/x:rslave",
    "/x:bind",
    "/x:,",
    "/x:unknown",
    "/x:constructor=1",
  ])("refuses %j", (text) => {
    expect(() => parseTmpfs(text)).toThrow("--tmpfs")
  })
})

test("all kinds together; two on one place are refused", () => {
  const { mounts, volumes } = mountOptions(
    run("--tmpfs", "/c", "-v", `${dir}:/a`, "--mount", "type=tmpfs,target=/b", "-v", `${dir}:/d`),
    paths,
  )
  expect(volumes).toEqual([])
  expect(mounts.map(({ destination }) => destination)).toEqual(["/a", "/d", "/b", "/c"])
  expect(() => mountOptions(run("--tmpfs", "/a/", "-v", `${dir}:/a`), paths)).toThrow("same destination /a")
  expect(() => mountOptions(run("-v", "/a", "-v", "name:/a"), paths)).toThrow("same destination /a")
})

test("volumes become mounts of their directories", () => {
  const { mounts, volumes } = mountOptions(
    run("-v", "name:/a:ro", "-v", "/b", "--mount", "type=volume,src=other,dst=/c,volume-nocopy"),
    paths,
  )
  const [, nameless] = volumes
  expect(nameless?.name).toMatch(/^[0-9a-f]{64}$/)
  expect(volumes).toEqual([
    { name: "name", destination: "/a", copy: true },
    { name: nameless?.name ?? "", destination: "/b", copy: true, anonymous: true },
    { name: "other", destination: "/c", copy: false },
  ])
  expect(mounts).toEqual([
    { destination: "/a", type: "bind", source: "/state/volumes/name/data", options: ["rbind", "rro"] },
    { destination: "/b", type: "bind", source: `/state/volumes/${nameless?.name}/data`, options: ["rbind"] },
    { destination: "/c", type: "bind", source: "/state/volumes/other/data", options: ["rbind"] },
  ])
})

test("--shm-size", () => {
  expect(shmSize(run())).toBe(67_108_864)
  expect(shmSize(run("--shm-size", "1g"))).toBe(2 ** 30)
  expect(shmSize(run("--shm-size", "0"))).toBe(67_108_864)
  for (const text of ["-1", "x", ""]) expect(() => shmSize(run("--shm-size", text))).toThrow("--shm-size")
})

test("a normal path never leaves the root, and stays itself (seed 17)", () => {
  const { int, pick } = random(17)
  for (let round = 0; round < 2000; round++) {
    const normal = normalPath(
      Array.from({ length: int(0, 12) }, () => pick(["/", "..", ".", "a", "b.c", "...", "//"])).join(""),
    )
    expect(normal).toMatch(/^\/(?!\/)/)
    expect(normal.split("/").filter((name) => name === ".." || name === ".")).toEqual([])
    expect(normalPath(normal)).toBe(normal)
  }
})
