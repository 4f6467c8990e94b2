/** `exec` into containers whose processes attack what enters: all of them are root, with the capabilities that help. */
import { afterEach, describe, expect, test } from "bun:test"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { releaseLock, tryLockFile } from "../../src/state-file.ts"
import { toyboxBinary } from "../helpers/binary.ts"
import { ociRuntime } from "../helpers/bundle.ts"
import { ownLeftovers } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

// CAP_SYS_ADMIN mounts, CAP_SYS_PTRACE opens what is in /proc/N of a process that is not dumpable.
const HELPFUL = ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_MKNOD", "CAP_KILL"]

describe.skipIf(!isRoot)("exec into a hostile container", () => {
  const oci = ociRuntime()

  afterEach(async () => {
    for (const id of oci.entries()) oci.run("delete", "--force", id)
    expect(await ownLeftovers()).toEqual([])
  })

  /** Starts the attacker as PID 1; it says so in the file /shared/ready when it is at it. Returns the shared directory. */
  async function attack(script: string): Promise<string> {
    const shared = temporaryDirectory("shared")
    const bundle = oci.bundle("a", {
      args: ["sh", "-c", script],
      process: { capabilities: { bounding: HELPFUL, effective: HELPFUL, permitted: HELPFUL } },
      linux: { maskedPaths: [], readonlyPaths: [] },
      mounts: [{ destination: "/shared", type: "bind", source: shared, options: ["rbind"] }],
    })
    expect(oci.run("run", "--detach", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stderr: "" })
    for (const end = performance.now() + 20_000; read(shared, "ready") === ""; await Bun.sleep(10)) {
      if (performance.now() > end) throw new Error("the attack has not begun")
    }
    return shared
  }

  function read(dir: string, name: string): string {
    try {
      return readFileSync(join(dir, name), "utf8")
    } catch {
      // Not written yet.
      return ""
    }
  }

  /** A directory of the host with a secret in it. */
  function hostDirectory(): string {
    const dir = temporaryDirectory("host")
    writeFileSync(join(dir, "secret"), "secret")
    return dir
  }

  test("nothing of the host is to be had from what enters: CVE-2019-5736, CVE-2016-9962", async () => {
    const shared = await attack(`
      cd /shared; echo x > ready
      while :; do for p in /proc/[0-9]*; do
        [ $p = /proc/1 ] && continue
        for d in $p/cwd $p/root $p/fd/*; do [ -e $d/secret ] && echo "reached $d" >> reached; done
        if { true >> $p/exe; } 2>/dev/null; then echo "wrote $p/exe" >> reached; fi
        grep -qs HOST_SECRET $p/environ && echo "environment of $p" >> reached
        readlink $p/exe >> seen 2>/dev/null
      done; done 2>/dev/null`)
    const cwd = hostDirectory()
    for (let i = 0; i < 25; i++) {
      const { exitCode, stdout } = oci.runWith(
        { cwd, env: { HOST_SECRET: "1" } },
        "exec",
        "a",
        "sh",
        "-c",
        "sleep 0.05; pwd",
      )
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "/\n" })
    }
    const seen = read(shared, "seen").split("\n")
    expect(seen).toContain("/bin/busybox")
    expect(seen.filter((path) => path.includes(toyboxBinary()))).toEqual([])
    expect(read(shared, "reached")).toBe("")
  }, 60_000)

  test("what joins its process namespace as a container of its own shows it nothing of the host", async () => {
    const secret = join(hostDirectory(), "secret")
    const shared = await attack(`
      echo x > /shared/ready
      while :; do for p in /proc/[0-9]*; do [ -e $p/root${secret} ] && echo "reached $p" >> /shared/reached; done; done`)
    const { pid } = JSON.parse(oci.run("state", "a").stdout)
    const namespaces = [{ type: "pid", path: `/proc/${pid}/ns/pid` }, { type: "mount" }, { type: "uts" }]
    const bundle = oci.bundle("b", { args: ["true"], linux: { namespaces } })
    for (let i = 0; i < 20; i++) expect(oci.run("run", "-b", bundle, "b")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(read(shared, "reached")).toBe("")
    expect(JSON.parse(oci.run("state", "a").stdout).status).toBe("running")
  }, 60_000)

  test("it goes on where a toybox was killed that let it stand still, and one that was paused does not", async () => {
    await attack("echo x > /shared/ready; exec sleep 600")
    const status = () => JSON.parse(oci.run("state", "a").stdout).status
    expect(oci.run("pause", "a").exitCode).toBe(0)
    expect(status()).toBe("paused")
    writeFileSync(join(oci.root, "a", "still"), "")
    expect(status()).toBe("running")
    expect(oci.run("exec", "a", "true").exitCode).toBe(0)
    expect(readdirSync(join(oci.root, "a"))).not.toContain("still")
  }, 60_000)

  test("it goes on when an engine removes what was being made beside it by a toybox that was killed", async () => {
    await attack("echo x > /shared/ready; exec sleep 600")
    const { pid } = JSON.parse(oci.run("state", "a").stdout)
    const namespaces = [{ type: "pid", path: `/proc/${pid}/ns/pid` }, { type: "mount" }, { type: "uts" }]
    const hooks = { createRuntime: [{ path: "/bin/sleep", args: ["sleep", "5"] }] }
    const bundle = oci.bundle("b", { linux: { namespaces }, config: { hooks } })
    const create = Bun.spawn([toyboxBinary(), "oci", "--root", oci.root, "create", "-b", bundle, "b"])
    const standsStill = () => readdirSync(join(oci.root, "a")).includes("still")
    for (const end = performance.now() + 20_000; !standsStill(); await Bun.sleep(10))
      if (performance.now() > end) throw new Error("nothing stands still")
    create.kill(9)
    await create.exited
    expect(oci.run("delete", "--force", "b").exitCode).toBe(0)
    expect(standsStill()).toBe(false)
    expect(JSON.parse(oci.run("state", "a").stdout).status).toBe("running")
  }, 60_000)

  test("others can exec in it, and pause it, while something joins it all the time", async () => {
    await attack("echo x > /shared/ready; exec sleep 600")
    const start = (...words: string[]) =>
      Bun.spawn([toyboxBinary(), "oci", "--root", oci.root, ...words], { stdio: ["ignore", "ignore", "pipe"] })
    const { pid } = JSON.parse(oci.run("state", "a").stdout)
    const namespaces = [{ type: "pid", path: `/proc/${pid}/ns/pid` }, { type: "mount" }, { type: "uts" }]
    const bundle = oci.bundle("b", { args: ["true"], linux: { namespaces } })
    let joining = true
    const joins = async () => {
      for (let i = 0; i < 40; i++) expect(await start("run", "-b", bundle, "b").exited).toBe(0)
      joining = false
    }
    const execs = async () => {
      while (joining) {
        const child = start("exec", "a", "true")
        expect(await new Response(child.stderr).text()).toBe("")
      }
    }
    await Promise.all([joins(), execs()])
    // Whoever has the mark lets it go on later.
    const lock = tryLockFile(join(oci.root, "a", "still"))
    const pausing = start("pause", "a")
    await Bun.sleep(300)
    expect(pausing.exitCode).toBeNull()
    if (lock) releaseLock(lock)
    expect(await pausing.exited).toBe(0)
    expect(JSON.parse(oci.run("state", "a").stdout).status).toBe("paused")
    expect(oci.run("resume", "a").exitCode).toBe(0)
  }, 60_000)

  test("what it writes where the process reports who it is makes nobody of the host that process", async () => {
    const victim = Bun.spawn(["sleep", "600"])
    try {
      const pid = [0, 8, 16, 24].map((bits) => `\\${((victim.pid >>> bits) & 0xff).toString(8).padStart(3, "0")}`)
      const shared = await attack(`
        echo x > /shared/ready
        while :; do for p in /proc/[0-9]*; do
          [ $p = /proc/1 ] && continue
          for d in $p/fd/[3-9]; do [ -p $d ] && printf '\\377\\377\\377\\377${pid.join("")}' > $d && echo x >> /shared/forged; done
        done; done 2>/dev/null`)
      const file = join(temporaryDirectory(), "pid")
      for (let i = 0; i < 30; i++) {
        expect(oci.run("exec", "--detach", "--pid-file", file, "a", "true").exitCode).toBe(0)
        expect(readFileSync(file, "utf8")).not.toBe(`${victim.pid}`)
      }
      expect(read(shared, "forged")).not.toBe("")
    } finally {
      victim.kill(9)
      await victim.exited
    }
  }, 60_000)

  test("the working directory cannot be a descriptor of the host: CVE-2024-21626", async () => {
    await attack("echo x > /shared/ready; exec sleep 600")
    const host = hostDirectory()
    const open = Array.from({ length: 10 }, (_, i) => `exec ${i + 3}<'${host}'`).join("; ")
    for (let fd = 0; fd <= 20; fd++) {
      for (const path of [`/proc/self/fd/${fd}`, `/proc/self/fd/${fd}/..`, `/proc/1/fd/${fd}`]) {
        const words = `'${toyboxBinary()}' oci --root '${oci.root}' exec --cwd ${path} a ls`
        const { stdout, exitCode } = Bun.spawnSync(["timeout", "-k", "2", "20", "bash", "-c", `${open}; ${words}`])
        expect(stdout.toString()).not.toContain("secret")
        expect([0, 255]).toContain(exitCode)
      }
    }
  }, 60_000)

  test("a false /proc gets nothing written into it: CVE-2019-16884, CVE-2019-19921, CVE-2025-52881", async () => {
    const planted =
      "/proc/self/attr/exec /proc/thread-self/attr/exec /proc/self/oom_score_adj /proc/self/timens_offsets"
    const shared = await attack(`
      mount -t tmpfs none /proc
      mkdir -p /proc/self/attr /proc/self/fd /proc/thread-self/attr /proc/1/ns
      for f in ${planted} /proc/sys/kernel/core_pattern; do mkdir -p \${f%/*}; : > $f; done
      echo x > /shared/ready
      while [ ! -e /shared/stop ]; do sleep 0.1; done
      find /proc -type f -size +0 > /shared/written; echo x > /shared/done; exec sleep 600`)
    const process = join(temporaryDirectory(), "process.json")
    writeFileSync(
      process,
      JSON.stringify({ args: ["sh", "-c", "echo ran"], cwd: "/", env: ["PATH=/bin"], oomScoreAdj: 7 }),
    )
    const { exitCode, stdout, stderr } = oci.run("exec", "--process", process, "a")
    // It runs, or is refused by one error; what is planted decides nothing.
    expect(exitCode === 0 ? stdout : stderr).toMatch(exitCode === 0 ? /^ran\n$/ : /^toybox: /)
    writeFileSync(join(shared, "stop"), "")
    for (const end = performance.now() + 20_000; read(shared, "done") === ""; await Bun.sleep(10)) {
      if (performance.now() > end) throw new Error("the attacker is gone")
    }
    expect(read(shared, "written")).toBe("")
  }, 60_000)

  test("a false /dev/pts is no terminal, and what it leads to stays as it is: CVE-2025-52565", async () => {
    const shared = await attack(`
      echo victim > /shared/victim
      mount -t tmpfs none /dev/pts; ln -s /shared/victim /dev/pts/ptmx; ln -s /shared/victim /dev/pts/0
      rm -f /dev/ptmx /dev/console; ln -s /shared/victim /dev/ptmx; ln -s /shared/victim /dev/console
      echo x > /shared/ready; exec sleep 600`)
    const words = `'${toyboxBinary()}' oci --root '${oci.root}' exec -t a sh -c 'echo written; test -t 1 && echo terminal'`
    const { stdout } = Bun.spawnSync(["timeout", "-k", "2", "20", "script", "-qec", words, "/dev/null"], {
      stdin: "ignore",
    })
    const said = stdout.toString()
    expect(said.includes("terminal") || said.includes("toybox: ")).toBe(true)
    expect(readFileSync(join(shared, "victim"), "utf8")).toBe("victim\n")
  }, 60_000)

  test("a FIFO in the place of /etc/passwd keeps nobody waiting: CVE-2024-9676", async () => {
    await attack(`
      mkfifo /shared/fifo; mount --bind /shared/fifo /etc/passwd; mount --bind /shared/fifo /etc/group
      echo x > /shared/ready; exec sleep 600`)
    expect(oci.run("exec", "--user", "0", "a", "echo", "ran")).toMatchObject({ stdout: "ran\n", exitCode: 0 })
  }, 60_000)
})
