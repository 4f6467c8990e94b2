import { afterEach, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, rmdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { leaks, snapshot } from "./leaks.ts"
import { makeRoot } from "./root.ts"
import { cleanUpAfterAll, mountsBelow, removeTree, temporaryDirectory } from "./scratch.ts"
import { startToybox, stateRoot, toybox, toyboxBytes } from "./toybox.ts"
import { type Terminal, terminal, terminalUnavailable } from "./tty.ts"

cleanUpAfterAll()

const sh = { binary: "/bin/sh" }
const root = process.getuid?.() === 0

describe("toybox()", () => {
  test("gives output, exit code and the state directory", async () => {
    const script = 'echo "$TOYBOX_ROOT $1"; cat; echo err >&2; exit 3'
    const { stdout, stderr, exitCode, signal } = await toybox(["-c", script, "sh", "a b"], { ...sh, stdin: "in" })
    expect(stdout).toBe(`${stateRoot()} a b\nin`)
    expect({ stderr, exitCode, signal }).toEqual({ stderr: "err\n", exitCode: 3, signal: undefined })
  })

  test("keeps bytes and tells the signal", async () => {
    const stdin = Uint8Array.from({ length: 100_000 }, (_, i) => i)
    const { stdout, exitCode, signal } = await toyboxBytes(["-c", "cat; kill -TERM $$"], { ...sh, stdin })
    expect(stdout.equals(stdin)).toBe(true)
    expect({ exitCode, signal }).toEqual({ exitCode: 143, signal: "SIGTERM" })
  })

  test("throws when the time is up, also when a child keeps the output open", async () => {
    const held = toybox(["-c", "sleep 6 & exit 0"], { ...sh, timeoutSeconds: 1 })
    held.catch(() => undefined)
    expect(toybox(["-c", "echo so far; exec sleep 9"], { ...sh, timeoutSeconds: 1 })).rejects.toThrow(
      /timed out after 1 s\nso far/,
    )
    expect(held).rejects.toThrow("somebody still holds its output")
  }, 15_000)

  test("can be left running, written to and killed", async () => {
    const running = await startToybox(["-c", "read a; echo got $a; exec sleep 9"], sh)
    running.stdin.write("x\n")
    await running.waitFor("got x")
    running.kill("SIGKILL")
    const { stdout, exitCode, signal } = await running.wait()
    expect({ stdout, exitCode, signal }).toEqual({ stdout: "got x\n", exitCode: 137, signal: "SIGKILL" })
  })
})

describe("makeRoot", () => {
  test("makes a root that can be entered", async () => {
    const dir = makeRoot({ files: { "/opt/x/run": { content: "#!/bin/sh\nid alice\n", mode: 0o755 } } })
    expect(statSync(join(dir, "tmp")).mode & 0o7777).toBe(0o1777)
    if (!root) return
    const { stdout } = await toybox([dir, "/opt/x/run"], { binary: "/usr/sbin/chroot" })
    expect(stdout).toBe("uid=1000(alice) gid=1000(alice) groups=1000(alice),29(audio),50(staff)\n")
  })
})

describe.skipIf(!root)("leaks", () => {
  test("are none on an idle machine", async () => {
    expect(await leaks(snapshot())).toEqual([])
  })

  test("are told by name: mount, cgroup, namespace, process, directory", async () => {
    const state = temporaryDirectory("state")
    const target = temporaryDirectory("target")
    const cgroup = `/sys/fs/cgroup/${existsSync("/sys/fs/cgroup/freezer") ? "freezer/" : ""}toybox-leak-${process.pid}`
    const before = snapshot({ stateRoots: [state] })
    Bun.spawnSync(["mount", "-t", "tmpfs", "leak", target])
    mkdirSync(cgroup)
    mkdirSync(join(state, "containers/abc"), { recursive: true })
    const child = Bun.spawn(["unshare", "-n", "sleep", "20"])
    writeFileSync(join(cgroup, "cgroup.procs"), String(child.pid))
    await Bun.sleep(50)
    const found = (await leaks(before, { stateRoots: [state], graceSeconds: 0.2 })).join("\n")
    child.kill("SIGKILL")
    await child.exited
    Bun.spawnSync(["umount", target])
    rmdirSync(cgroup)
    expect(found).toContain(`mount ${target} (tmpfs leak`)
    expect(found).toContain(`cgroup ${cgroup}`)
    expect(found).toContain("network namespace net:[")
    expect(found).toMatch(new RegExp(`process ${child.pid} sleep `))
    expect(found).toContain("containers/abc")
    expect(await leaks(before, { stateRoots: [state], ignore: /containers/ })).toEqual([])
  })

  test("removeTree does not reach through a mount", () => {
    const kept = temporaryDirectory("kept")
    writeFileSync(join(kept, "file"), "")
    const dir = temporaryDirectory("bound")
    mkdirSync(join(dir, "b c"))
    Bun.spawnSync(["mount", "--bind", kept, join(dir, "b c")])
    expect(mountsBelow(dir)).toEqual([join(dir, "b c")])
    removeTree(dir)
    expect(existsSync(dir)).toBe(false)
    expect(existsSync(join(kept, "file"))).toBe(true)
  })
})

describe.skipIf(terminalUnavailable() !== undefined)("terminal", () => {
  let open: Terminal | undefined
  afterEach(async () => {
    await open?.close()
    open = undefined
  })

  test("types, shows, resizes and tells the exit code", async () => {
    open = await terminal({ cmd: ["sh", "-c", "echo $READY; exec sh"], cols: 70, rows: 20, env: { READY: "yes" } })
    await open.waitFor("yes")
    open.send("stty size; echo $TOYBOX_ROOT; cat\n")
    await open.waitFor("20 70")
    await open.waitFor(stateRoot())
    open.press("C-c")
    open.resize(100, 30)
    open.send("stty size; exit 5\n")
    await open.waitFor(/^30 100$/m)
    expect(await open.exited()).toBe(5)
  })

  test("shows the screen when what is waited for does not come", async () => {
    open = await terminal({ cmd: ["sh", "-c", "echo something; sleep 20"] })
    expect(open.waitFor("else", 0.5)).rejects.toThrow(/does not show else after 0.5 s:\nsomething/)
    await Bun.sleep(600)
    expect(open.exited(0.1)).rejects.toThrow("still running")
  })
})
