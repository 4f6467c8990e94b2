/** toybox exec: another command in a container of toybox run. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { endStandstill } from "../../src/container/standstill.ts"
import { pathsFor } from "../../src/paths.ts"
import { tryLockFile } from "../../src/state-file.ts"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { type RunningToybox, startToybox, stateRoot, toybox } from "../helpers/toybox.ts"
import { terminal, terminalUnavailable } from "../helpers/tty.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)("exec", () => {
  let container: RunningToybox
  const exec = (...words: string[]) => toybox(["exec", ...words])

  beforeAll(async () => {
    const words = ["--rm", "--name", "web", "-e", "OWN=1", "--pids", "50", "-w", "/srv", "--hostname", "web"]
    container = await startToybox(ownRun(...words, makeRoot(), "sh", "-c", "echo ready; exec sleep 100"), {
      timeoutSeconds: 60,
    })
    await container.waitFor("ready")
  })

  afterAll(async () => {
    container.kill("SIGTERM")
    await container.wait()
    expect(await ownLeftovers()).toEqual([])
  })

  test("waits for a container that toybox lets stand still, and not for one that is paused", async () => {
    const [{ Id: id }] = JSON.parse((await toybox(["inspect", "web"])).stdout)
    expect((await toybox(["pause", "web"])).exitCode).toBe(0)
    expect((await exec("web", "true")).stderr).toContain("cannot exec in a paused container")
    // As of a commit, say, that is at it.
    const lock = tryLockFile(join(stateRoot(), "run/running", `.${id}.still`))
    const waiting = exec("web", "echo", "went on")
    await Bun.sleep(300)
    if (lock) endStandstill(pathsFor(stateRoot()), id, lock)
    expect(await waiting).toMatchObject({ stdout: "went on\n", stderr: "", exitCode: 0 })
  })

  test("-d leaves the command to the container, and tells of one that cannot be executed", async () => {
    const script = "echo begun > /tmp/begun; read x; echo $? > /tmp/read; exec sleep 100"
    expect(await exec("-d", "web", "sh", "-c", script)).toMatchObject({ stdout: "", stderr: "", exitCode: 0 })
    for (const end = performance.now() + 15_000; performance.now() < end; await Bun.sleep(20))
      if ((await exec("web", "cat", "/tmp/read")).exitCode === 0) break
    expect((await exec("web", "cat", "/tmp/begun", "/tmp/read")).stdout).toBe("begun\n1\n")
    const found = await exec("web", "sh", "-c", "grep -l '^sleep.100' /proc/[0-9]*/cmdline")
    const pid = /\/proc\/(\d+)\//.exec(found.stdout.replace("/proc/1/cmdline\n", ""))?.[1]
    expect((await exec("web", "kill", String(pid))).exitCode).toBe(0)
    // Ended, it is reaped.
    for (const end = performance.now() + 15_000; performance.now() < end; await Bun.sleep(20))
      if ((await exec("web", "test", "-e", `/proc/${pid}`)).exitCode !== 0) break
    expect((await exec("web", "test", "-e", `/proc/${pid}`)).exitCode).toBe(1)
    const failed = await exec("-d", "web", "no-such-command")
    expect(failed).toMatchObject({ stdout: "", exitCode: 127 })
    expect(failed.stderr).toContain("no-such-command: command not found")
    expect((await exec("-d", "-t", "web", "sh")).stderr).toContain("--tty does not go with --detach")
  })

  test("-d keeps nothing of the caller's but what the command is to have", async () => {
    const dir = temporaryDirectory()
    writeFileSync(join(dir, "file"), "FROM_FILE\nOTHER=2\n")
    const env = { ...process.env, TOYBOX_ROOT: stateRoot(), SECRET: "secret", ASKED: "asked", FROM_FILE: "file" }
    const script = "echo $SECRET,$ASKED,$FROM_FILE,$OTHER,$GIVEN > /tmp/env; exec sleep 77"
    const words = ["exec", "-d", "-e", "ASKED", "-e", "GIVEN=1", "--env-file", "file", "web", "sh", "-c", script]
    expect(Bun.spawnSync(["timeout", "20", toyboxBinary(), ...words], { env, cwd: dir }).exitCode).toBe(0)
    for (const end = performance.now() + 15_000; performance.now() < end; await Bun.sleep(20))
      if ((await exec("web", "cat", "/tmp/env")).stdout !== "") break
    expect((await exec("web", "cat", "/tmp/env")).stdout).toBe(",asked,file,2,1\n")
    const isOwn = (pid: string) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("toybox\0exec-detached\0") &&
          readFileSync(`/proc/${pid}/environ`, "utf8").includes(`TOYBOX_ROOT=${stateRoot()}\0`)
        )
      } catch {
        return false
      }
    }
    const [pid, ...others] = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isOwn(name))
    expect(others).toEqual([])
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe("/")
    const names = readFileSync(`/proc/${pid}/environ`, "utf8")
      .split("\0")
      .map((entry) => entry.split("=")[0])
    expect(names.filter(Boolean).sort()).toEqual(["ASKED", "FROM_FILE", "PATH", "TOYBOX_ROOT"])
    await exec("web", "pkill", "-f", "^sleep 77")
  })

  test("--preserve-fds passes descriptors on", () => {
    const words = ["exec", "--preserve-fds", "1", "web", "cat", "/proc/self/fd/3"]
    const command = ["timeout", "20", "sh", "-c", 'exec "$0" "$@" 3</proc/version', toyboxBinary(), ...words]
    const { stdout } = Bun.spawnSync(command, { env: { ...process.env, TOYBOX_ROOT: stateRoot() } })
    expect(stdout.toString()).toContain("Linux version")
  })

  test.skipIf(terminalUnavailable() !== undefined)(
    "--detach-keys let go of a command, which goes on",
    async () => {
      const script =
        "stty -a | grep -o -- '-icanon' || echo cooked; echo ready; read x; echo got $x; sleep 1; touch /tmp/on; exit 5"
      const run = (keys: string) =>
        `${toyboxBinary()} exec -it --detach-keys=${keys} web sh -c '${script}'; echo "[code $?]"; stty -a | grep -o icanon; exec sleep 60`
      const first = await terminal({ cmd: ["bash", "-c", run("ctrl-x,y")] })
      const second = await terminal({ cmd: ["bash", "-c", run("ctrl-x,y")] })
      try {
        await first.waitFor("ready")
        first.send("\x18z\r")
        await first.waitFor("[code 5]")
        expect((await exec("web", "rm", "/tmp/on")).exitCode).toBe(0)
        await second.waitFor("ready")
        second.send("a\r\x18y")
        expect(await second.waitFor("[code 0]")).toContain("detached from the command, which goes on")
        await second.waitFor("icanon")
        for (const end = performance.now() + 15_000; performance.now() < end; await Bun.sleep(20))
          if ((await exec("web", "test", "-e", "/tmp/on")).exitCode === 0) break
        expect((await exec("web", "test", "-e", "/tmp/on")).exitCode).toBe(0)
      } finally {
        await Promise.all([first.close(), second.close()])
      }
      expect((await exec("-it", "--detach-keys", "xx", "web", "true")).stderr).toContain("--detach-keys")
    },
    60_000,
  )

  test("has the container's namespaces, cgroup, capabilities, filter, environment and directory", async () => {
    const script =
      "for n in cgroup ipc mnt net pid uts; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] || echo $n; done; " +
      "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; echo $OWN; pwd; hostname; id -u"
    expect(await exec("web", "sh", "-c", script)).toMatchObject({
      stdout: "50\n1\n/srv\nweb\n0\n",
      stderr: "",
      exitCode: 0,
    })
    const [own, first] = (
      await exec("web", "sh", "-c", "cat /proc/self/status; echo ---; cat /proc/1/status")
    ).stdout.split("---")
    for (const field of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"]) {
      const line = new RegExp(`^${field}:\\s+.*$`, "m")
      expect(own?.match(line)?.[0]).toBe(first?.match(line)?.[0] ?? "none")
    }
  })

  test("takes a user of the container's own files, a directory and variables", async () => {
    const script = "id -u; id -g; echo $HOME; pwd; echo $A; grep CapEff /proc/self/status"
    expect((await exec("-u", "alice", "-w", "/tmp", "-e", "A=b", "web", "sh", "-c", script)).stdout).toBe(
      "1000\n1000\n/home/alice\n/tmp\nb\nCapEff:\t0000000000000000\n",
    )
    expect(await exec("-u", "nobody-known", "web", "id")).toMatchObject({ exitCode: 125 })
    expect((await exec("--privileged", "web", "grep", "Seccomp:", "/proc/self/status")).stdout).toBe("Seccomp:\t0\n")
  })

  test("passes input and output, and the exit code", async () => {
    expect(await toybox(["exec", "-i", "web", "sh", "-c", "cat; exit 9"], { stdin: "in" })).toMatchObject({
      stdout: "in",
      exitCode: 9,
    })
    expect((await exec("web", "sh", "-c", "kill -9 $$")).exitCode).toBe(137)
    expect((await exec("web", "nothere")).exitCode).toBe(127)
    expect((await exec("web", "/etc")).exitCode).toBe(126)
    const words = `TOYBOX_ROOT='${stateRoot()}' '${toyboxBinary()}' exec -it web sh -c 'tty; test -t 1 && echo terminal'`
    const { stdout } = Bun.spawnSync(["timeout", "-k", "2", "20", "script", "-qec", words, "/dev/null"], {
      stdin: "ignore",
    })
    expect(stdout.toString()).toContain("/dev/pts/0\r\nterminal\r\n")
  })

  test("into one that is just being started waits, and is never on the machine's root; nor is who shares its namespaces", async () => {
    const outside = temporaryDirectory("outside")
    writeFileSync(join(outside, "mark"), "")
    const mark = `/dev/shm/toybox-test-${process.pid}`
    writeFileSync(mark, "")
    // Many mounts take their time.
    const mounts = Array.from({ length: 300 }, (_, i) => ["--tmpfs", `/m/${i}`]).flat()
    const look = `[ -e ${outside}/mark ] || [ -e ${mark} ] && echo machine; echo looked`
    try {
      for (let round = 0; round < 4; round++) {
        const starting = toybox(ownRun("-d", "--name", "slow", ...mounts, "base", "sleep", "100"))
        const seen: string[] = []
        for (let done = false; !done; ) {
          const joined = [["exec", "slow"], ownRun("--rm", "--ipc", "container:slow", "base")]
          const all = await Promise.all(joined.map((words) => toybox([...words, "sh", "-c", look])))
          seen.push(...all.map(({ stdout }) => stdout))
          done = all.every(({ stdout }) => stdout === "looked\n")
        }
        expect((await starting).exitCode).toBe(0)
        expect(seen.filter((text) => text.includes("machine"))).toEqual([])
        await toybox(["rm", "-f", "slow"])
      }
    } finally {
      rmSync(mark)
    }
  }, 60_000)

  test("is refused where nothing runs, in one clear error", async () => {
    expect(await exec("nobody", "true")).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining("no such container"),
    })
    expect(await exec("web")).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("needs a command") })
    expect((await exec()).exitCode).toBe(125)
  })

  test("into one that has as many processes as it may says so", async () => {
    await toybox(["run", "-d", "--net", "none", "--name", "full", "--pids", "1", "base", "sleep", "100"])
    const { stderr, exitCode } = await exec("full", "true")
    expect(exitCode).toBe(125)
    expect(stderr).toContain("cannot join the container's pid namespace")
    expect(stderr).toContain("hint: the container has as many processes as it may: toybox update --pids raises that")
    await toybox(["rm", "-f", "full"])
  })

  test("twenty at once run each", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => exec("web", "echo", String(i))))
    expect(all.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 20 }, (_, i) => `${i}\n`))
  })
})
