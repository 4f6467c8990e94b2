/** SCMP_ACT_NOTIFY of bundles: what the supervisor is told of what joins a container, exec and hooks. */
import { afterEach, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { bundleRoot, ociRuntime } from "../helpers/bundle.ts"
import { ownLeftovers } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** Prints what it is told of each process, and answers all their calls with an errno. */
const SUPERVISOR = `
import array, fcntl, os, socket, struct, sys, threading
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(8)
print("ready", flush=True)
RECV, SEND = 0xC0502100, 0xC0182101
def answer(fd):
    while True:
        notification = bytearray(80)
        try:
            fcntl.ioctl(fd, RECV, notification)
            cookie, = struct.unpack_from("Q", notification)
            fcntl.ioctl(fd, SEND, bytearray(struct.pack("QqiI", cookie, 0, -122, 0)))
        except OSError:
            return
while True:
    peer, _ = server.accept()
    text, control, _, _ = peer.recvmsg(65536, socket.CMSG_LEN(64))
    if not control:
        continue
    print(text.decode(), flush=True)
    fd = array.array("i", control[0][2][:4])[0]
    threading.Thread(target=answer, args=(fd,), daemon=True).start()
`

describe.skipIf(!isRoot || process.arch !== "x64")("a bundle with a supervisor", () => {
  const oci = ociRuntime()

  afterEach(async () => {
    for (const id of oci.entries()) oci.run("delete", "--force", id)
    expect(oci.entries()).toEqual([])
    expect(await ownLeftovers()).toEqual([])
  })

  /** Runs `use` with the profile of a supervisor that is there; returns what that was told. */
  async function supervised(names: string[], use: (seccomp: object) => void | Promise<void>) {
    const listenerPath = join(temporaryDirectory("notify"), "socket")
    const supervisor = Bun.spawn(["timeout", "-k", "1", "30", "python3", "-c", SUPERVISOR, listenerPath], {
      stdout: "pipe",
    })
    const lines = supervisor.stdout.pipeThrough(new TextDecoderStream()).getReader()
    try {
      let printed = (await lines.read()).value ?? ""
      const syscalls = [{ names, action: "SCMP_ACT_NOTIFY" }]
      await use({ defaultAction: "SCMP_ACT_ALLOW", listenerPath, listenerMetadata: "who=test", syscalls })
      supervisor.kill()
      for (let part = await lines.read(); !part.done; part = await lines.read()) printed += part.value
      const [, ...told] = printed.trim().split("\n")
      return told.map((line) => JSON.parse(line))
    } finally {
      supervisor.kill()
      await supervisor.exited
    }
  }
  const namespaces = (...types: string[]) => types.map((type) => ({ type }))
  const ALL = ["pid", "network", "ipc", "uts", "mount", "cgroup"]

  test.each([
    ["usually", ["mkdir", "mkdirat"], ALL, []],
    ["detached", ["mkdir", "mkdirat"], ALL, ["--detach"]],
    ["with a call by which it joins", ["mkdir", "mkdirat", "clone"], ALL, []],
    ["without a pid namespace", ["mkdir", "mkdirat"], ALL.slice(1), []],
  ])("an exec is told with its own number, and the container's state: %s", async (_, names, types, options) => {
    const file = join(temporaryDirectory("pid"), "pid")
    let container: unknown
    const [created, joined, ...more] = await supervised(names, (seccomp) => {
      const linux = { seccomp, namespaces: namespaces(...types) }
      const bundle = oci.bundle("a", { args: ["sleep", "60"], linux, config: { annotations: { of: "a" } } })
      expect(oci.run("run", "-d", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stderr: "" })
      container = oci.state("a").pid
      const exec = oci.run("exec", ...options, "--pid-file", file, "a", "mkdir", "/tmp/made")
      const decided = { exitCode: 1, stderr: expect.stringMatching(/Disk quota exceeded/i) }
      expect(exec).toMatchObject(options.length > 0 ? { exitCode: 0 } : decided)
    })
    expect(created).toMatchObject({ pid: container, state: { status: "creating", pid: container } })
    const pid = Number(await Bun.file(file).text())
    const bundle = expect.stringContaining("bundle-a")
    const state = { ociVersion: "1.0.2", id: "a", status: "running", pid: container, bundle, annotations: { of: "a" } }
    expect(joined).toEqual({ ociVersion: "1.0.2", fds: ["seccompFd"], pid, metadata: "who=test", state })
    expect(more).toEqual([])
  })

  test("a startContainer hook has its calls decided, too", async () => {
    const script = "mkdir /tmp/hooked 2>/tmp/said; true"
    const hooks = { startContainer: [{ path: "/bin/sh", args: ["sh", "-c", script] }] }
    let container: unknown
    const [created, hook] = await supervised(["mkdir", "mkdirat"], (seccomp) => {
      const bundle = oci.bundle("a", { args: ["sleep", "60"], linux: { seccomp }, config: { hooks } })
      expect(oci.run("create", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stderr: "" })
      container = oci.state("a").pid
      expect(oci.run("start", "a")).toMatchObject({ exitCode: 0, stderr: "" })
    })
    expect(await Bun.file(join(bundleRoot(), "tmp/said")).text()).toMatch(/Disk quota exceeded/i)
    expect(hook).toMatchObject({ metadata: "who=test", state: { status: "created", pid: container } })
    expect(hook.pid).toBeGreaterThan(1)
    expect(hook.pid).not.toBe(container)
    expect(created.pid === undefined || created.pid === container).toBe(true)
  })

  test("a supervisor that refuses the calls of toybox itself is named as what may keep a container from its start", async () => {
    await supervised(["write"], (seccomp) => {
      const created = oci.run("create", "-b", oci.bundle("a", { linux: { seccomp } }), "a")
      expect(created.exitCode).toBe(1)
      expect(created.stderr).toContain("the supervisor of linux.seccomp must let those calls go on")
    })
  })

  test("an exec without its supervisor is not started, and says why", async () => {
    await supervised(["mkdir"], (seccomp) => {
      const bundle = oci.bundle("a", { args: ["sleep", "60"], linux: { seccomp } })
      expect(oci.run("run", "-d", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stderr: "" })
    })
    const { exitCode, stderr } = oci.run("exec", "a", "true")
    expect(exitCode).toBe(255)
    expect(stderr).toContain("linux.seccomp.listenerPath: cannot reach the supervisor")
  })
})
