/** What engines and their users expect of a container's process: environment, terminal, notification, limits that are too low. */
import { afterEach, describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { bundleRoot, ociRuntime } from "../helpers/bundle.ts"
import { ownLeftovers } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)("a container's process", () => {
  const oci = ociRuntime()
  afterEach(async () => {
    for (const id of oci.entries()) oci.run("delete", "--force", id)
    expect(oci.entries()).toEqual([])
    expect(await ownLeftovers()).toEqual([])
  })

  test("has of each variable the last value, and the home directory of its user", () => {
    const bundle = (process: object) =>
      oci.bundle("a", {
        args: ["sh", "-c", "env | sort; sleep 60"],
        process: { env: ["A=1", "PATH=/bin", "A=2"], ...process },
      })
    const alice = bundle({ user: { uid: 1000, gid: 1000 } })
    const started = oci.run("run", "-d", "-b", alice, "a")
    expect(started).toMatchObject({ exitCode: 0, stderr: "" })
    const env = (...words: string[]) =>
      oci
        .run("exec", ...words, "a", "env")
        .stdout.trim()
        .split("\n")
        .sort()
    expect(env()).toEqual(["A=2", "HOME=/home/alice", "PATH=/bin"])
    expect(started.later().trim().split("\n")).toEqual(expect.arrayContaining(env()))
    expect(env("-e", "A=3", "-e", "B=4", "-u", "0")).toEqual(["A=3", "B=4", "HOME=/root", "PATH=/bin"])
    expect(env("-u", "4242")).toContain("HOME=/")
    expect(env("-e", "HOME=")).toContain("HOME=/home/alice")
    expect(env("-e", "HOME=/mine")).toContain("HOME=/mine")
  })

  test("is of exactly the user that is named", () => {
    expect(oci.run("run", "-d", "-b", oci.bundle("a", { args: ["sleep", "60"] }), "a").exitCode).toBe(0)
    const { exitCode, stderr } = oci.run("exec", "-u", "1000:5:6", "a", "id")
    expect(exitCode).toBe(255)
    expect(stderr).toContain('--user: "1000:5:6" is no user')
  })

  test("in a user namespace may have a terminal, as any of its users", () => {
    const map = [{ containerID: 0, hostID: 100_000, size: 2000 }]
    const root = join(temporaryDirectory(), "root")
    Bun.spawnSync([
      "sh",
      "-c",
      `cp -a ${bundleRoot()} ${root} && chown -R -h 100000:100000 ${root} && chmod 755 ${root}/..`,
    ])
    const namespaces = ["user", "pid", "network", "ipc", "uts", "mount"].map((type) => ({ type }))
    const bundle = oci.bundle("a", {
      args: ["sleep", "60"],
      linux: { namespaces, uidMappings: map, gidMappings: map },
      config: { root: { path: root } },
    })
    expect(oci.run("run", "-d", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stderr: "" })
    for (const [user, owner] of [
      ["0", "0"],
      ["1000", "1000"],
    ]) {
      const command = `${toyboxBinary()} oci --root ${oci.root} exec -t -u ${user} a sh -c 'stat -c %u $(tty); echo x >$(tty) && echo written'`
      const { stdout } = Bun.spawnSync(["script", "-qec", command, "/dev/null"])
      // script(1) has its own standard input's end echoed, at whatever moment.
      expect(stdout.toString().replaceAll(/\r|\^@/g, "")).toContain(`${owner}\nx\nwritten\n`)
    }
  })

  test("has its own size of the terminal where the caller's has none", () => {
    const bundle = oci.bundle("a", {
      args: ["stty", "size"],
      process: { terminal: true, consoleSize: { height: 33, width: 77 } },
    })
    const run = `${toyboxBinary()} oci --root ${oci.root} run -b ${bundle}`
    const sized = (before: string) => {
      const words = ["timeout", "-k", "2", "20", "script", "-qec", `${before}${run} a`, "/dev/null"]
      return Bun.spawnSync(words).stdout.toString().trim()
    }
    expect(sized("")).toContain("33 77")
    // From the first, however late the one is who tells it of changes.
    for (let i = 0; i < 5; i++) expect(sized("stty rows 11 cols 22; ")).toContain("11 22")
  })

  test("that a memory limit leaves no room for is said to be so", () => {
    const bundle = oci.bundle("a", { linux: { resources: { memory: { limit: 65536 } } } })
    const { exitCode, stderr } = oci.run("run", "-b", bundle, "a")
    expect(exitCode).toBe(1)
    expect(stderr).toContain("the memory limit of 65536 bytes is too low")
  })

  test("whose filter cannot be loaded does not start in silence", () => {
    // What is awaited in the kernel can be interrupted only where somebody is asked: without a supervisor the flag is left out.
    const flags = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
    const seccomp = { defaultAction: "SCMP_ACT_ALLOW", flags, syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_LOG" }] }
    const bundle = oci.bundle("a", { args: ["echo", "ran"], process: { noNewPrivileges: true }, linux: { seccomp } })
    expect(oci.run("run", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stdout: "ran\n", stderr: "" })
  })

  test("may name a device twice, and not two devices with one name", () => {
    const device = { path: "/dev/mine", type: "c", major: 1, minor: 3 }
    const bundle = (second: object) =>
      oci.bundle("a", {
        args: ["stat", "-c", "%t:%T", "/dev/mine"],
        linux: { devices: [device, { ...device, ...second }] },
      })
    expect(oci.run("run", "-b", bundle({}), "a")).toMatchObject({ stdout: "1:3\n", stderr: "", exitCode: 0 })
    const { exitCode, stderr } = oci.run("run", "-b", bundle({ minor: 5 }), "a")
    expect(exitCode).toBe(1)
    expect(stderr).toContain("cannot make the device /dev/mine: there is another file, or device, of this name")
  })

  test("its memory limit can be lifted again", () => {
    const memory = { limit: 100 << 20, swap: 200 << 20 }
    const bundle = oci.bundle("a", { args: ["sleep", "60"], linux: { resources: { memory } } })
    expect(oci.run("run", "-d", "-b", bundle, "a").exitCode).toBe(0)
    expect(oci.run("update", "a", "--memory", "5M")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(oci.run("update", "a", "--memory", "-1")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(oci.run("update", "a", "--memory", "much").stderr).toContain('--memory: "much" is not a size')
  })

  test("the bundle's path is told without detours", () => {
    const bundle = oci.bundle("a", { args: ["sleep", "60"] })
    const cwd = join(bundle, "..")
    expect(
      oci.runWith({ cwd }, "create", "-b", `./${bundle.slice(cwd.length + 1)}/../${bundle.slice(cwd.length + 1)}/`, "a")
        .exitCode,
    ).toBe(0)
    expect(oci.state("a").bundle).toBe(bundle)
  })

  test("an exec is put to the supervisor of the profile, too", async () => {
    const socket = join(temporaryDirectory(), "socket")
    const syscalls = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY" }]
    const seccomp = { defaultAction: "SCMP_ACT_ALLOW", listenerPath: socket, syscalls }
    const script = join(temporaryDirectory(), "supervisor.py")
    writeFileSync(
      script,
      `
import array, fcntl, json, socket, struct, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(2)
print("ready", flush=True)
kept = []
for _ in range(2):
    peer, _ = server.accept()
    text, control, _, _ = peer.recvmsg(65536, socket.CMSG_LEN(64))
    kept.append(array.array("i", control[0][2][:4])[0])
    print(json.loads(text)["state"]["bundle"], flush=True)
notification = bytearray(80)
fcntl.ioctl(kept[1], 0xC0502100, notification)
fcntl.ioctl(kept[1], 0xC0182101, bytearray(struct.pack("QqiI", struct.unpack_from("Q", notification)[0], 0, -122, 0)))
`,
    )
    const supervisor = Bun.spawn(["timeout", "-k", "1", "20", "python3", script, socket], { stdout: "pipe" })
    const lines = supervisor.stdout.pipeThrough(new TextDecoderStream()).getReader()
    let printed = ""
    while (!printed.includes("ready\n")) printed += (await lines.read()).value ?? ""
    const bundle = oci.bundle("a", { args: ["sleep", "60"], linux: { seccomp } })
    expect(oci.run("run", "-d", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(oci.run("exec", "a", "mkdir", "/tmp/x").stderr).toMatch(/quota exceeded/i)
    expect(await supervisor.exited).toBe(0)
    for (let part = await lines.read(); !part.done; part = await lines.read()) printed += part.value
    expect(printed).toBe(`ready\n${bundle}\n${bundle}\n`)
  })
})
