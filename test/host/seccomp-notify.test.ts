/** SCMP_ACT_NOTIFY: a supervisor outside decides calls of the container, over the descriptor it is handed. */
import { expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { sh } from "../helpers/container.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()
const isRoot = process.getuid?.() === 0

/** Listens, takes one container's descriptor, prints what it was told, and answers each call with an errno. */
const SUPERVISOR = `
import array, fcntl, json, os, socket, struct, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(1)
print("ready", flush=True)
peer, _ = server.accept()
text, control, _, _ = peer.recvmsg(65536, socket.CMSG_LEN(64))
fd = array.array("i", control[0][2][:4])[0]
print(text.decode(), flush=True)
RECV, SEND = 0xC0502100, 0xC0182101
for _ in range(2):
    notification = bytearray(80)
    fcntl.ioctl(fd, RECV, notification)
    cookie, pid, _, nr = struct.unpack_from("QIIi", notification)
    print(json.dumps({"nr": nr, "pid": pid}), flush=True)
    fcntl.ioctl(fd, SEND, bytearray(struct.pack("QqiI", cookie, 0, -122, 0)))
`

test.skipIf(!isRoot || process.arch !== "x64").each([
  ["with no_new_privs", []],
  ["without", ["--security-opt", "no-new-privileges=false"]],
  ["under an init", ["--init"]],
])("the supervisor is handed the descriptor and decides: %s", async (_, options) => {
  const directory = temporaryDirectory("notify")
  const socket = join(directory, "socket")
  const profile = join(directory, "profile.json")
  const syscalls = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY" }]
  const listener = { listenerPath: socket, listenerMetadata: "who=test" }
  writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", ...listener, syscalls }))
  const supervisor = Bun.spawn(["timeout", "-k", "1", "20", "python3", "-c", SUPERVISOR, socket], { stdout: "pipe" })
  const lines = supervisor.stdout.pipeThrough(new TextDecoderStream()).getReader()
  let printed = ""
  while (!printed.includes("ready\n")) printed += (await lines.read()).value ?? ""
  const run = [...options, "--name", "notified", "--security-opt", `seccomp=${profile}`]
  const { stderr, exitCode } = await sh("mkdir /x; echo between; mkdir /y", { run })
  // EDQUOT: nobody but the supervisor says that.
  expect(stderr.match(/Disk quota exceeded/gi)).toHaveLength(2)
  expect(exitCode).toBe(1)
  for (let part = await lines.read(); !part.done; part = await lines.read()) printed += part.value
  const [, state = "", ...calls] = printed.trim().split("\n")
  expect(JSON.parse(state)).toMatchObject({
    ociVersion: "1.2.0",
    fds: ["seccompFd"],
    metadata: "who=test",
    state: { status: "creating" },
  })
  const { pid, state: inner } = JSON.parse(state)
  expect(pid).toBeGreaterThan(1)
  expect(inner).toMatchObject({ pid, id: expect.stringMatching(/^[0-9a-f]{64}$/) })
  expect(calls.map((text) => JSON.parse(text).nr)).toEqual([83, 83])
  expect(await supervisor.exited).toBe(0)
})
