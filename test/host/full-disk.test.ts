/** A full disk: how containers ended is known all the same, and what there is can be removed to make room. */
import { afterAll, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

const tmpfs = (path: string, size: string, ...options: string[]) => {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  Bun.spawnSync(["mount", "-t", "tmpfs", "-o", [`size=${size}`, "mode=700", ...options].join(), "tmpfs", path])
}

/** Takes what room there is, to the last byte. */
function fill(path: string): string {
  const file = join(path, "filling")
  const { bavail, bsize } = statfsSync(path)
  writeFileSync(file, new Uint8Array(bavail * bsize))
  expect(statfsSync(path).bavail).toBe(0)
  return file
}

describe.skipIf(!isRoot).each([
  ["with the state of what runs on it", false],
  ["with that elsewhere", true],
])("a full disk, %s", (_, apart) => {
  const state = temporaryDirectory("full")
  const on = { env: { TOYBOX_ROOT: state } }

  afterAll(async () => {
    await toybox(["rm", "--all", "--force"], on)
    expect(await ownLeftovers({ root: state, ignore: /^mount / })).toEqual([])
    for (const path of [join(state, "run"), state]) Bun.spawnSync(["umount", path])
  })

  test("exit codes are known, and everything can be removed", async () => {
    tmpfs(state, "20m")
    if (apart) tmpfs(join(state, "run"), "4m")
    const script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    const run = (name: string, ...command: string[]) => toybox(ownRun("-d", "--name", name, "base", ...command), on)
    await run("handles", "sh", "-c", script)
    await run("killed", "sleep", "1000")
    await run("forced", "sleep", "1000")
    await run("goes-on", "sleep", "1000")
    const foreground = ["--name", "foreground", "base", "sh", "-c", "echo ready; read line; exit 9"]
    const inFront = await startToybox(ownRun(...foreground), on)
    await inFront.waitFor("ready")
    const follower = await startToybox(["logs", "-f", "handles"], on)
    await follower.waitFor("ready")
    follower.kill("SIGKILL")
    await follower.wait()
    const filling = fill(state)
    inFront.stdin.write("\n")
    expect(await inFront.wait()).toMatchObject({ stderr: "", exitCode: 9 })
    expect(await toybox(["stop", "-t", "2", "handles"], on)).toMatchObject({ stderr: "", exitCode: 0 })
    await toybox(["kill", "killed"], on)
    expect(await toybox(["wait", "handles", "killed", "foreground"], on)).toMatchObject({ stdout: "7\n137\n9\n" })
    const restarted = await toybox(["restart", "goes-on"], on)
    expect(restarted).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/not stopped: .*ENOSPC\n.*disk is full/),
    })
    const statuses = async () => {
      const { stdout, stderr } = await toybox(["ps", "-a", "--format", "{{.Names}} {{.State}}"], on)
      expect(stderr).toBe("")
      return stdout.trim().split("\n").sort()
    }
    const ended = ["foreground exited", "handles exited", "killed exited"]
    expect((await statuses()).filter((line) => line.endsWith("exited"))).toEqual(ended)
    expect((await toybox(["why", "handles"], on)).stdout).toContain("exit code 7")
    const again = await toybox(["start", "handles"], on)
    expect(again).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("disk is full") })
    expect(await toybox(["rm", "-f", "foreground", "forced"], on)).toMatchObject({ stderr: "", exitCode: 0 })
    expect((await statuses()).some((line) => /^fo/.test(line))).toBe(false)
    rmSync(filling)
    expect((await toybox(["wait", "handles", "killed"], on)).stdout).toBe("7\n137\n")
    await statuses()
    for (const id of readdirSync(join(state, "containers")))
      if (!readdirSync(join(state, "run/running")).includes(id))
        expect(readdirSync(join(state, "containers", id))).toContain("result.json")
    expect(await toybox(["start", "handles"], on)).toMatchObject({ exitCode: 0 })
  })
})

/** Takes what room there is for files. */
function fillWithFiles(directory: string): void {
  mkdirSync(directory, { recursive: true })
  for (let n = 0; ; n++)
    try {
      writeFileSync(join(directory, String(n)), "")
    } catch {
      return
    }
}

test.skipIf(!isRoot).each([0, 1])("where there is room for %d more files, everything can be removed", async (room) => {
  const state = temporaryDirectory("files")
  tmpfs(state, "40m", "nr_inodes=2000")
  const on = { env: { TOYBOX_ROOT: state } }
  try {
    for (const name of ["ended", "kept"]) await toybox(ownRun("--name", name, "-v", "/data", "base", "true"), on)
    await toybox(ownRun("-d", "--name", "runs", "base", "sleep", "1000"), on)
    await toybox(["create", ...ownRun("--name", "made", "base", "true").slice(1)], on)
    for (const words of [["ended"], ["-v", "kept"], ["-f", "runs"], ["made"]]) {
      fillWithFiles(join(state, "filling"))
      // A second name of a file takes the room of one on some file systems.
      for (const name of readdirSync(join(state, "filling")).slice(0, room)) rmSync(join(state, "filling", name))
      expect(await toybox(["rm", ...words], on)).toMatchObject({ stdout: `${words.at(-1)}\n`, stderr: "", exitCode: 0 })
    }
    expect((await toybox(["ps", "-aq"], on)).stdout).toBe("")
    expect((await toybox(["volume", "ls", "-q"], on)).stdout.split("\n").filter(Boolean)).toHaveLength(1)
    rmSync(join(state, "filling"), { recursive: true })
    await toybox(["volume", "prune", "-f"], on)
  } finally {
    await toybox(["rm", "--all", "--force"], on)
    expect(await ownLeftovers({ root: state, ignore: /^(mount |volumes)/ })).toEqual([])
    Bun.spawnSync(["umount", state])
  }
})

test.skipIf(!isRoot)("a disk that has become read-only makes no container a dead one's", async () => {
  const state = temporaryDirectory("readonly")
  const on = { env: { TOYBOX_ROOT: state } }
  try {
    await toybox(ownRun("-d", "--name", "lives", "base", "sleep", "1000"), on)
    const readOnly = 'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; shift; exec "$@"'
    const look = (...words: string[]) => {
      const cmd = ["timeout", "20", "unshare", "-m", "sh", "-c", readOnly, "sh", state, toyboxBinary(), ...words]
      const { stdout, stderr, exitCode } = Bun.spawnSync(cmd, { env: { ...process.env, TOYBOX_ROOT: state } })
      return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode }
    }
    const listed = look("ps", "--format", "{{.Names}} {{.State}}")
    expect(listed).toEqual({ stdout: "lives running\n", stderr: "", exitCode: 0 })
    expect(look("exec", "lives", "echo", "hi")).toEqual({ stdout: "hi\n", stderr: "", exitCode: 0 })
    expect(look("rm", "-f", "lives")).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("EROFS") })
    const lives = (await toybox(["inspect", "-f", "{{.Id}}", "lives"], on)).stdout.trim()
    const { supervisor } = JSON.parse(readFileSync(join(state, "run/running", lives), "utf8"))
    process.kill(supervisor.pid, "SIGKILL")
    await Bun.sleep(200)
    expect(look("ps").stderr).toMatch(/whose toybox was killed, is not cleaned up yet: .*EROFS/)
  } finally {
    await toybox(["rm", "--all", "--force"], on)
    expect(await ownLeftovers({ root: state })).toEqual([])
  }
})

test.skipIf(!isRoot)("limits that there is no room to write down for are not set, nor is a policy", async () => {
  const state = temporaryDirectory("update")
  const on = { env: { TOYBOX_ROOT: state } }
  tmpfs(state, "20m")
  try {
    await toybox(ownRun("-d", "--name", "held", "--mem", "64M", "base", "sleep", "1000"), on)
    const [id = ""] = readdirSync(join(state, "containers"))
    const seen = async () => {
      const { cgroup } = JSON.parse(readFileSync(join(state, "run/running", id), "utf8"))
      const [dir] = [cgroup.dirs.memory ?? Object.values(cgroup.dirs)[0]]
      const files = ["memory.limit_in_bytes", "memory.max"].map((name) => join(dir, name)).filter(existsSync)
      const { stdout } = await toybox(
        ["inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}", id],
        on,
      )
      return [files.map((file) => readFileSync(file, "utf8").trim()), stdout.trim()]
    }
    const before = await seen()
    expect(before).toEqual([[String(64 << 20)], `${64 << 20} no`])
    const filling = fill(state)
    const words = ["update", "--mem", "96M", "--cpuset", "0", "--restart", "always", "held"]
    const processors = async () => (await toybox(["exec", "held", "nproc"], on)).stdout
    const all = await processors()
    expect(await toybox(words, on)).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/held: .*ENOSPC/) })
    expect([await seen(), await processors()]).toEqual([before, all])
    rmSync(filling)
    expect(await toybox(words, on)).toMatchObject({ exitCode: 0, stderr: "" })
    expect(await seen()).toEqual([[String(96 << 20)], `${96 << 20} always`])
  } finally {
    await toybox(["rm", "--all", "--force"], on)
    expect(await ownLeftovers({ root: state, ignore: /^mount / })).toEqual([])
    Bun.spawnSync(["umount", state])
  }
})

test.skipIf(!isRoot)(
  "a disk that has room, but for no more files, stops the log and not the container",
  async () => {
    const state = temporaryDirectory("inodes")
    tmpfs(state, "40m", "nr_inodes=2000")
    const on = { env: { TOYBOX_ROOT: state } }
    try {
      const script =
        "while read n; do head -c 5000 /dev/zero | tr '\\0' x; echo; echo line $n; [ $n = 7 ] && exit 7; done"
      const limits = ["--log-opt", "max-size=10k", "--log-opt", "max-file=2"]
      await toybox(ownRun("-d", "-i", "--name", "talks", ...limits, "base", "sh", "-c", script), on)
      const [id = ""] = readdirSync(join(state, "containers"))
      const log = join(state, "containers", id)
      mkdirSync(join(state, "filling"))
      const files: string[] = []
      for (let full = false; !full; )
        try {
          const file = join(state, "filling", String(files.length))
          writeFileSync(file, "")
          files.push(file)
        } catch {
          full = true
        }
      const talking = await startToybox(["attach", "talks"], on)
      for (let n = 1; n <= 6; n++) talking.stdin.write(`${n}\n`)
      await talking.waitFor("line 6")
      expect((await toybox(["ps", "--format", "{{.State}}"], on)).stdout).toBe("running\n")
      expect((await toybox(["logs", "talks"], on)).stdout).toStartWith("xxx")
      expect(readdirSync(log).filter((name) => name.startsWith("container.log"))).toEqual(["container.log"])
      for (const file of files) rmSync(file)
      talking.stdin.write("7\n")
      await talking.waitFor("line 7")
      expect((await toybox(["wait", "talks"], on)).stdout).toBe("7\n")
      await talking.wait()
      expect((await toybox(["logs", "talks"], on)).stdout).toEndWith("line 7\n")
      expect(
        readdirSync(log)
          .filter((name) => name.startsWith("container.log"))
          .sort(),
      ).toEqual(["container.log", "container.log.1"])
    } finally {
      await toybox(["rm", "--all", "--force"], on)
      expect(await ownLeftovers({ root: state, ignore: /^mount / })).toEqual([])
      Bun.spawnSync(["umount", state])
    }
  },
  30_000,
)

test.skipIf(!isRoot)(
  "a disk of 1 GiB with room for a few thousand files takes an image of a few",
  async () => {
    const state = temporaryDirectory("inodes")
    tmpfs(state, "1g", "nr_inodes=65536")
    const on = { env: { TOYBOX_ROOT: state } }
    try {
      mkdirSync(join(state, "used"))
      for (let i = 0; i < 60_000; i++) writeFileSync(join(state, "used", String(i)), "")
      const stdin = tarOf(makeRoot())
      expect(await toybox(["import", "-q", "-", "few:1"], { ...on, stdin })).toMatchObject({ exitCode: 0, stderr: "" })
      for (let i = 0; i < 5000; i++) writeFileSync(join(state, "used", `more${i}`), "")
      expect((await toybox(["import", "-q", "-", "more:1"], { ...on, stdin })).stderr).toMatch(
        /nearly full: \d+ inodes/,
      )
    } finally {
      Bun.spawnSync(["umount", state])
    }
  },
  30_000,
)
