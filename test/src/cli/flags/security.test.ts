import { describe, expect, test } from "bun:test"
import { mkdirSync, symlinkSync } from "node:fs"
import { namespaceModes } from "../../../../src/cli/flags/namespaces.ts"
import {
  capabilities,
  deviceRules,
  devices,
  noNewPrivileges,
  parseDevice,
  sysctls,
} from "../../../../src/cli/flags/security.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../../helpers/scratch.ts"
import { hintOf, run } from "../parse.ts"

cleanUpAfterAll()

describe("capabilities", () => {
  test("with and without CAP_, in either case, or ALL", () => {
    expect(
      capabilities(run("--cap-add", "net_admin", "--cap-add", "CAP_SYS_TIME", "--cap-add", "all"), "cap-add"),
    ).toEqual(["CAP_NET_ADMIN", "CAP_SYS_TIME", "ALL"])
    expect(capabilities(run("--cap-add", "CHOWN"), "cap-drop")).toEqual([])
  })

  test("several in one word, as podman has them", () => {
    expect(capabilities(run("--cap-drop", "chown,CAP_KILL", "--cap-drop", "MKNOD"), "cap-drop")).toEqual([
      "CAP_CHOWN",
      "CAP_KILL",
      "CAP_MKNOD",
    ])
    expect(() => capabilities(run("--cap-drop", "CHOWN,"), "cap-drop")).toThrow('"" is not a capability')
  })

  test.each(["", "CAP_", "NET", "CAP_ALL", "NONE", "_LINUX_CAPABILITY_VERSION_3", "toString"])("refuses %j", (text) => {
    expect(() => capabilities(run("--cap-drop", text), "cap-drop")).toThrow("is not a capability")
  })

  test("a slip is helped", () => {
    expect(() => capabilities(run("--cap-add", "NET_ADMN"), "cap-add")).toThrow("did you mean NET_ADMIN?")
  })
})

describe("no_new_privs", () => {
  test.each<[string[], boolean]>([
    [[], true],
    [["--privileged"], false],
    [["--security-opt", "no-new-privileges=false"], false],
    [["--security-opt", "no-new-privileges:false"], false],
    [["--security-opt", "no-new-privileges"], true],
    [["--security-opt", "label=disable", "--security-opt", "apparmor:unconfined"], true],
    [["--privileged", "--security-opt", "no-new-privileges=true"], true],
  ])("%j: %p", (words, expected) => {
    expect(noNewPrivileges(run(...words))).toBe(expected)
  })

  test.each(["apparmor=x", "label=type:x", "no-new-privileges=0", "", "no-new-privileges=true "])(
    "refuses %j",
    (text) => {
      expect(() => noNewPrivileges(run("--security-opt", text))).toThrow("--security-opt")
    },
  )
})

describe("--device-cgroup-rule", () => {
  const rules = (text: string) => deviceRules(run("--device-cgroup-rule", text))

  test("docker's, with and without numbers", () => {
    expect(rules("c 42:* rmw")).toEqual([{ allow: true, type: "c", major: 42, access: "rmw" }])
    expect(rules("b 8:1 r")).toEqual([{ allow: true, type: "b", major: 8, minor: 1, access: "r" }])
    expect(rules("a *:* rwm")).toEqual([{ allow: true, type: "a", access: "rwm" }])
  })

  test.each(["", "c 42:*", "x 1:1 r", "c 1 r", "c 1:1 rr", "c 1:1 x", "c  1:1 r", "c 4096:0 r", "c 1:1048576 r"])(
    "refuses %j",
    (text) => {
      expect(() => rules(text)).toThrow(`--device-cgroup-rule: "${text}"`)
    },
  )
})

describe("--device", () => {
  const NULL = { type: "c", major: 1, minor: 3 }

  test.each<[string, string, string]>([
    ["/dev/null", "/dev/null", "rwm"],
    ["/dev/null:/dev/other", "/dev/other", "rwm"],
    ["/dev/null:rw", "/dev/null", "rw"],
    ["/dev/null:/dev/../x//y:mr", "/x/y", "mr"],
  ])("%s", (text, path, access) => {
    expect(parseDevice(text)).toMatchObject([{ ...NULL, path, access }])
  })

  test("a symlink is the device that it leads to", () => {
    const dir = temporaryDirectory()
    symlinkSync("/dev/zero", `${dir}/link`)
    expect(parseDevice(`${dir}/link:/dev/z`)).toMatchObject([{ type: "c", major: 1, minor: 5, path: "/dev/z" }])
  })

  test.each([
    "",
    "null",
    "/dev/null:",
    "/dev/null::r",
    "/dev/null:x",
    "/dev/null:/x:rr",
    "/dev/null:/x:rwx",
    "/dev/null:/x:",
    "/dev/null:/x:r:w",
    "/dev/null:/",
    "/dev/null:/..",
    "/nonexistent",
    "/proc/version",
  ])("refuses %j", (text) => {
    expect(() => parseDevice(text)).toThrow("--device")
  })

  test("a directory stands for the devices below it; without any it is refused", () => {
    const dir = temporaryDirectory()
    mkdirSync(`${dir}/sub`)
    expect(() => parseDevice(dir)).toThrow("no device of this machine")
  })

  test("--privileged: all of the host's, but not what the container has of its own", () => {
    const paths = devices(run("--privileged", "--device", "/dev/zero:/dev/other")).map(({ path }) => path)
    expect(paths[0]).toBe("/dev/other")
    for (const own of ["/dev/null", "/dev/tty", "/dev/console", "/dev/ptmx", "/dev/full"])
      expect(paths).not.toContain(own)
    expect(paths.filter((path) => /^\/dev\/(pts|shm|mqueue)\//.test(path))).toEqual([])
    expect(new Set(paths).size).toBe(paths.length)
  })
})

describe("--sysctl", () => {
  const read = (text: string, modes = {}) => sysctls(run("--sysctl", text), modes)

  test.each<[string, Record<string, string>]>([
    ["net.core.somaxconn=1024", { "net.core.somaxconn": "1024" }],
    ["net/ipv4/ip_forward=1", { "net.ipv4.ip_forward": "1" }],
    ["kernel.shmmax=1", { "kernel.shmmax": "1" }],
    ["fs.mqueue.msg_max=10", { "fs.mqueue.msg_max": "10" }],
    ["net.ipv4.ping_group_range=0 100", { "net.ipv4.ping_group_range": "0 100" }],
    ["kernel.sem=1=2", { "kernel.sem": "1=2" }],
  ])("%s", (text, expected) => {
    expect(read(text)).toEqual(expected)
  })

  test.each([
    "kernel.hostname=x",
    "vm.swappiness=1",
    "kernel.core_pattern=|/x",
    "fs.file-max=1",
    "kernel.sysrq=1",
    "network.x=1",
    "kernel.shmmaxx=1",
  ])("%s is the whole machine's", (text) => {
    expect(() => read(text)).toThrow("whole machine")
  })

  test.each([
    "",
    "=",
    "net=1",
    "net.core.somaxconn",
    "net..x=1",
    "net.../../kernel=1",
    "net.x/../y=1",
    "net.x\n=1",
    ".net.x=1",
  ])("refuses %j", (text) => {
    expect(() => read(text)).toThrow("is no setting")
  })

  test("a shared namespace is not the container's to set", () => {
    expect(() => read("net.core.somaxconn=1", { network: { mode: "host" } })).toThrow("shares")
    expect(() => read("kernel.sem=1", { ipc: { mode: "container", pid: 1, id: "x" } })).toThrow("shares")
    expect(read("kernel.sem=1", { network: { mode: "host" } })).toEqual({ "kernel.sem": "1" })
  })

  test("the hint tells what is allowed", () => {
    expect(hintOf(() => read("vm.swappiness=1"))).toContain("net.*")
  })
})

describe("namespaces", () => {
  const container = { pid: 77, id: "x".repeat(64), hostname: "other" }
  const modes = (...words: string[]) =>
    namespaceModes(run(...words), (reference) => {
      if (reference !== "web") throw new Error(`no such container: ${reference}`)
      return container
    })

  test("by docker's words", () => {
    expect(modes()).toEqual({})
    expect(
      modes(
        "--pid",
        "host",
        "--ipc=shareable",
        "--uts",
        "private",
        "--cgroupns",
        "host",
        "--time",
        "private",
      ) as object,
    ).toEqual({
      pid: { mode: "host" },
      ipc: { mode: "private" },
      uts: { mode: "private" },
      cgroup: { mode: "host" },
      time: { mode: "private" },
    })
    expect(modes("--ipc", "container:web").ipc).toMatchObject({ mode: "container", pid: 77 })
  })

  test.each([
    [["--pid", "none"], '--pid: "none" is not known (use private, host or container:ID)'],
    [["--ipc", "other"], "--ipc"],
    [["--uts", "HOST"], "--uts"],
    [["--pid", "container:"], "no such container"],
    [["--pid", "container:other"], "no such container: other"],
  ])("refuses %j", (words, message) => {
    expect(() => modes(...words)).toThrow(message)
  })
})
