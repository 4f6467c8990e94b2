import { afterAll, describe, expect, test } from "bun:test"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { call } from "../../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../../ffi/constants/fcntl.ts"
import { close } from "../../../ffi/fs.ts"
import {
  existsInRoot,
  parseGroup,
  parseId,
  parsePasswd,
  resolveIdentity,
  resolveUser,
} from "../../../src/container/identity.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../helpers/scratch.ts"
import { random } from "../cgroup/random.ts"

cleanUpAfterAll()

const PASSWD = parsePasswd(
  "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh\nbob:x:1002:1002:::\n12:x:77:78::/twelve:\n",
)
const GROUP = parseGroup("root:x:0:\nalice:x:1001:\naudio:x:29:alice,bob\nstaff:x:50:alice\n99:x:98:\n")
const resolve = (user: string, groupAdd: string[] = []) => resolveUser(user, groupAdd, PASSWD, GROUP)

describe("--user", () => {
  test.each<[string, object]>([
    ["0", { uid: 0, gid: 0, additionalGids: [0], home: "/root" }],
    ["root", { uid: 0, gid: 0, additionalGids: [0], home: "/root" }],
    ["alice", { uid: 1000, gid: 1001, additionalGids: [1001, 29, 50], home: "/home/alice" }],
    ["1000", { uid: 1000, gid: 1001, additionalGids: [1001, 29, 50], home: "/home/alice" }],
    ["alice:staff", { uid: 1000, gid: 50, additionalGids: [50], home: "/home/alice" }],
    ["alice:7", { uid: 1000, gid: 7, additionalGids: [7], home: "/home/alice" }],
    ["bob", { uid: 1002, gid: 1002, additionalGids: [1002, 29], home: "/" }],
    ["4242", { uid: 4242, gid: 0, additionalGids: [0], home: "/" }],
    ["4242:4343", { uid: 4242, gid: 4343, additionalGids: [4343], home: "/" }],
    ["2147483647", { uid: 2147483647, gid: 0, additionalGids: [0], home: "/" }],
    // A number is an id, whatever has it for a name.
    ["0:99", { uid: 0, gid: 99, additionalGids: [99], home: "/root" }],
    ["12", { uid: 12, gid: 0, additionalGids: [0], home: "/" }],
    ["77", { uid: 77, gid: 78, additionalGids: [78], home: "/twelve" }],
  ])("%s", (user, expected) => {
    expect(resolve(user) as object).toEqual(expected)
  })

  test.each([
    "",
    ":",
    "alice:",
    ":staff",
    "nobody",
    "alice:nogroup",
    "-1",
    "+1",
    "1.0",
    "0x0",
    " 0",
    "0 ",
    "1e3",
    "2147483648",
    "4294967296",
    "99999999999999999999",
    "alice:bob:x",
    "０",
  ])("refuses %j", (user) => {
    expect(() => resolve(user)).toThrow("--user")
  })

  test("--group-add by name and number, each once", () => {
    expect(resolve("alice", ["audio", "7", "staff", "7"]).additionalGids).toEqual([1001, 29, 50, 7])
    expect(() => resolve("0", ["nogroup"])).toThrow("--group-add")
  })
})

describe("parsing", () => {
  test("ids are exact: CVE-2024-40635, CVE-2026-30892", () => {
    expect(["0", "007", "2147483647"].map(parseId)).toEqual([0, 7, 2147483647])
    expect(["", "-0", "1_000", "2147483648", "00000000001", "٣", "1\n"].map(parseId)).toEqual(Array(7).fill(null))
  })

  test("lines that are none are skipped", () => {
    expect(parsePasswd("\n#x\nshort\n:x:1:1::/:\na:x:-1:0::/:\nb:x:1::/:\nok:x:1:2")).toEqual([
      { name: "ok", uid: 1, gid: 2, home: "" },
    ])
    expect(parseGroup("x\n:x:1:a\na:x:b:c\nok:x:1:a,,b,")).toEqual([{ name: "ok", gid: 1, members: ["a", "b"] }])
  })

  test("no garbage leads to an id that the kernel would take for another (seed 15)", () => {
    const { int, pick } = random(15)
    const pieces = [
      "root",
      "x",
      "0",
      "1",
      "65536",
      "4294967295",
      "4294967296",
      "-1",
      ",",
      "\0",
      "é",
      "٣",
      " ",
      "2147483648",
      "1e9",
      "0x10",
    ]
    const line = (most: number) => Array.from({ length: int(0, most) }, () => pick(pieces)).join(":")
    const text = () => Array.from({ length: int(0, 6) }, () => line(7)).join("\n")
    const ids: number[] = []
    for (let round = 0; round < 5000; round++) {
      const [passwd, groups] = [parsePasswd(text()), parseGroup(text())]
      for (const { uid, gid } of passwd) ids.push(uid, gid)
      for (const { gid } of groups) ids.push(gid)
      try {
        const { uid, gid, additionalGids } = resolveUser(line(2), [pick(pieces)], passwd, groups)
        ids.push(uid, gid, ...additionalGids)
      } catch (error) {
        expect(String(error)).toContain("UsageError")
      }
    }
    expect(ids.filter((id) => !Number.isInteger(id) || id < 0 || id > 2 ** 31 - 1)).toEqual([])
    expect(ids.length).toBeGreaterThan(1000)
  })
})

describe("resolveIdentity", () => {
  const open: number[] = []
  afterAll(() => {
    for (const fd of open) close(fd)
  })
  const rootOf = (fill: (dir: string) => void) => {
    const dir = temporaryDirectory()
    mkdirSync(`${dir}/etc`)
    fill(dir)
    const fd = call("openat", AT_FDCWD, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
    open.push(fd)
    return fd
  }
  const request = { user: "0", groupAdd: [], env: [], terminal: false, hostname: "box", mounts: [] }

  test("environment: defaults, TERM with a terminal, HOME of the user; the last given wins", () => {
    const root = rootOf((dir) => writeFileSync(`${dir}/etc/passwd`, "alice:x:7:8::/home/alice:"))
    const { env } = resolveIdentity(root, {
      ...request,
      user: "alice",
      terminal: true,
      env: ["A=1", "B=x=y", "A=2", "PATH=/bin", "EMPTY="],
    })
    expect([...env].sort()).toEqual([
      "A=2",
      "B=x=y",
      "EMPTY=",
      "HOME=/home/alice",
      "HOSTNAME=box",
      "PATH=/bin",
      "TERM=xterm",
    ])
    expect(resolveIdentity(root, request).env).toEqual([
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOSTNAME=box",
      "HOME=/",
    ])
  })

  test("variables of toybox's own can be left out, those that are given not", () => {
    const root = rootOf(() => undefined)
    const env = (unsetEnv: readonly string[] | "all") =>
      resolveIdentity(root, { ...request, env: ["A=1", "HOME=/h"], unsetEnv }).env
    expect(env("all")).toEqual(["HOSTNAME=box", "HOME=/h", "A=1"])
    expect(env(["PATH", "A", "HOME"])).toEqual(["HOSTNAME=box", "A=1", "HOME=/h"])
  })

  test("a file that is bound over the root's is the one that counts", () => {
    const root = rootOf((dir) => writeFileSync(`${dir}/etc/passwd`, "alice:x:7:8::/home/alice:"))
    const source = `${temporaryDirectory()}/passwd`
    writeFileSync(source, "alice:x:9:10::/elsewhere:")
    const bound = (from: string) => [{ destination: "/etc/passwd", type: "bind", source: from, options: ["rbind"] }]
    const found = resolveIdentity(root, { ...request, user: "alice", mounts: bound(source) })
    expect(found.user).toMatchObject({ uid: 9, gid: 10 })
    expect(found.env).toContain("HOME=/elsewhere")
    expect(resolveIdentity(root, { ...request, user: "7", mounts: bound("/dev/zero") }).env).toContain("HOME=/")
    expect(() => resolveIdentity(root, { ...request, user: "alice", mounts: bound("/nowhere") })).toThrow("no user")
  })

  test("a root without such files has root and numbers", () => {
    const root = rootOf(() => undefined)
    expect(resolveIdentity(root, { ...request, user: "1000:5" }).user).toEqual({
      uid: 1000,
      gid: 5,
      additionalGids: [5],
    })
    expect(() => resolveIdentity(root, { ...request, user: "root" })).toThrow('no user "root"')
  })

  test.each<[string, (path: string) => void]>([
    ["a symlink out of the root", (path) => symlinkSync("../../../../../../../../../../etc/passwd", path)],
    ["an absolute symlink", (path) => symlinkSync("/etc/passwd", path)],
    ["a FIFO", (path) => call("mknodat", AT_FDCWD, path, 0o010644, 0)],
    ["a directory", (path) => mkdirSync(path)],
    ["a link to itself", (path) => symlinkSync("passwd", path)],
  ])("%s in the place of passwd is as good as none", (_, place) => {
    const root = rootOf((dir) => place(`${dir}/etc/passwd`))
    expect(() => resolveIdentity(root, { ...request, user: "daemon" })).toThrow("no user")
  })

  test("only the first mebibyte counts", () => {
    const root = rootOf((dir) =>
      writeFileSync(`${dir}/etc/passwd`, `first:x:1:1::/:\n${"#".repeat(1 << 20)}\nlast:x:2:2::/:\n`),
    )
    expect(resolveIdentity(root, { ...request, user: "first" }).user.uid).toBe(1)
    expect(() => resolveIdentity(root, { ...request, user: "last" })).toThrow("no user")
  })

  test("existsInRoot stays in the root", () => {
    const root = rootOf((dir) => {
      writeFileSync(`${dir}/etc/here`, "")
      symlinkSync("/etc/here", `${dir}/inside`)
      symlinkSync("/proc/version", `${dir}/outside`)
    })
    expect(
      ["/etc/here", "inside", "/outside", "/none", "/../../etc/here"].map((path) => existsInRoot(root, path)),
    ).toEqual([true, true, false, false, true])
  })
})
