/** Whatever way it ends: nothing is left once the next toybox command has run. */
import { afterEach, describe, expect, test } from "bun:test"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { leaks, snapshot } from "../helpers/leaks.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { stateRoot, toybox } from "../helpers/toybox.ts"
import { random } from "../src/cgroup/random.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const ROUNDS = 60
const SEED = Number(process.env.TOYBOX_TEST_SEED ?? Date.now() % 1_000_000)

const rows = async () =>
  (await toybox(["ps", "-a", "--json"])).stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))

/** Starts toybox itself, with no watchdog between, and kills it so many milliseconds later. */
async function killedAfter(milliseconds: number, words: readonly string[], root = stateRoot()): Promise<void> {
  const env = { ...process.env, TOYBOX_ROOT: root }
  const child = Bun.spawn([toyboxBinary(), ...words], { env, stdio: ["ignore", "ignore", "ignore"] })
  // Not Bun.sleep, whose millisecond is too coarse.
  Bun.sleepSync(milliseconds)
  child.kill("SIGKILL")
  await child.exited
}

describe.skipIf(!isRoot)("toybox killed at any instant", () => {
  // From before its first call to after the end of a command that takes 5 ms.
  const instants = () => {
    const { int } = random(SEED)
    return Array.from({ length: ROUNDS }, () => int(0, 30_000) / 1000)
  }
  const command = ["base", "sh", "-c", "sleep 0.005"]
  const name = (round: number) => `round-${round}`

  test(`leaves nothing with --rm (seed ${SEED})`, async () => {
    console.log(`kill -9 at random instants: TOYBOX_TEST_SEED=${SEED}`)
    for (const [round, instant] of instants().entries()) {
      await killedAfter(instant, ownRun("--rm", "--name", name(round), "-m", "64M", ...command))
      if (round % 5 !== 4) continue
      expect({ instant, rows: await rows() }).toEqual({ instant, rows: [] })
      expect(await ownLeftovers()).toEqual([])
    }
  }, 60_000)

  test(`keeps without --rm either nothing or a container with a result (seed ${SEED})`, async () => {
    for (const [round, instant] of instants().entries()) {
      await killedAfter(instant, ownRun("--name", name(round), ...command))
      // The name is free, or its holder can be seen and removed.
      const kept = await rows()
      for (const row of kept) {
        expect(row).toMatchObject({ name: name(round), status: "exited", command: command.slice(1) })
        expect([0, 137]).toContain(row.exitCode)
        if (row.exitCode === 137) expect(row.error).toBe("toybox itself was killed")
        expect((await toybox(["rm", row.name])).exitCode).toBe(0)
      }
      expect(kept.length).toBeLessThanOrEqual(1)
      expect(readdirSync(join(stateRoot(), "names"))).toEqual([])
    }
    expect(await ownLeftovers()).toEqual([])
  }, 60_000)

  test("leaves no half base image and no half state directory", async () => {
    const list = async (...options: string[]) =>
      (await toybox(ownRun("--rm", ...options, "base", "sh", "-c", "ls -l /bin /etc"))).stdout
    const whole = (await list()).split("\n").length
    for (let round = 0; round < 15; round++) {
      const root = join(temporaryDirectory("first"), "state")
      await killedAfter(4 + round * 3, ownRun("--rm", "base", "true"), root)
      expect((await toybox(["ps", "-a", "--root", root])).exitCode).toBe(0)
      expect(await ownLeftovers({ root })).toEqual([])
      expect((await list("--root", root)).split("\n").length).toBe(whole)
    }
  }, 60_000)

  test("and a killed rm leaves nothing either", async () => {
    for (let round = 0; round < 6; round++) {
      const script =
        'cd /srv; for i in $(seq 300); do all="$all $i/a"; done; mkdir -p $all; for i in $all; do echo > $i/b; done'
      await toybox(ownRun("--name", "many", "base", "sh", "-c", script))
      await killedAfter(8 + round * 3, ["rm", "many"])
      await toybox(["rm", "many"])
      expect(await rows()).toEqual([])
      expect(await ownLeftovers()).toEqual([])
    }
  }, 60_000)
})

describe.skipIf(!isRoot)("a step that fails", () => {
  afterEach(async () => {
    expect(await ownLeftovers()).toEqual([])
  })

  test("leaves nothing, not even without --rm", async () => {
    const root = makeRoot({ files: { "/etc/link": { symlink: "/proc/1/root" } } })
    for (const options of [
      ["-v", "/etc:/bin/busybox"],
      ["-v", "/etc:/etc/passwd/x"],
      ["--sysctl", "net.ipv4.ip_forward=many"],
      ["--user", "nobody-knows"],
      ["--group-add", "nobody-knows"],
      ["--workdir", "/etc/passwd"],
      ["--tmpfs", "/mnt:size=1,nr_inodes=0x"],
      ["--device", "/dev/null:/etc/passwd/null"],
      ["--ulimit", "nproc=1:99999999999"],
      ["--cidfile", "/proc/none"],
    ]) {
      const { exitCode, stderr } = await toybox(ownRun(...options, root, "true"))
      expect({ options, exitCode }).toEqual({ options, exitCode: 125 })
      expect(stderr).toMatch(/^toybox: .+\n(toybox: hint: .+\n)?$/)
      expect(await rows()).toEqual([])
      expect(await ownLeftovers()).toEqual([])
    }
  })

  test("behind the last moment of the making leaves nothing, in the background neither", async () => {
    for (let i = 0; i < 16; i++) {
      // A directory is there, in which no file can be made.
      const { exitCode, stderr } = await toybox(ownRun("-d", "--cidfile", "/proc/none", "base", "sleep", "100"))
      expect({ exitCode, stderr }).toEqual({ exitCode: 125, stderr: 'toybox: open("/proc/none"): ENOENT\n' })
    }
    expect(await ownLeftovers()).toEqual([])
    const early = await toybox(ownRun("--cidfile", "/nowhere/id", "base", "true"))
    expect(early).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining('--cidfile: "/nowhere/id": there is no'),
    })
  })

  test("for want of space is told, and leaves nothing", async () => {
    const root = makeRoot()
    const state = temporaryDirectory("full")
    const script = [
      `mount -t tmpfs -o size=1m,mode=700 full ${state}`,
      // The directories are there, and then there is no room.
      `'${toyboxBinary()}' ps --root ${state} >/dev/null`,
      `dd if=/dev/zero of=${state}/filler bs=4k 2>/dev/null`,
      `timeout -k 2 10 '${toyboxBinary()}' ${ownRun("--root", state, root, "true").join(" ")}`,
      "code=$?",
      `find ${state} -mindepth 1 ! -type d ! -name filler; ls -A ${state}/containers ${state}/run/running`,
      "exit $code",
    ]
    const run = (lines: readonly string[]) =>
      toybox(["-m", "--propagation", "private", "sh", "-c", lines.join("\n")], { binary: "/usr/bin/unshare" })
    const { stdout, stderr, exitCode } = await run(script)
    expect(stderr).toMatch(/^toybox: .*(ENOSPC|no space)/)
    expect({ exitCode, stdout }).toEqual({ exitCode: 125, stdout: `${state}/containers:\n\n${state}/run/running:\n` })
    // Without room for the base image, either.
    const base = await run([
      `mount -t tmpfs -o size=1m,mode=700 full ${state}`,
      `'${toyboxBinary()}' ${ownRun("--root", state, "base", "true").join(" ")}`,
      "code=$?",
      `ls -A ${state}/base ${state}/containers; exit $code`,
    ])
    expect(base.stderr).toMatch(/^toybox: cannot lay out the base image in .*ENOSPC\ntoybox: hint: the disk is full\n$/)
    expect(base).toMatchObject({ exitCode: 125, stdout: `${state}/base:\n\n${state}/containers:\n` })
  })
})

describe.skipIf(!isRoot)("many at once", () => {
  afterEach(async () => {
    expect(await ownLeftovers()).toEqual([])
  })

  test("forty runs all succeed, each in a container of its own", async () => {
    const before = snapshot()
    const script = "echo $1 > /srv/mine; sleep 0.02; echo $(cat /srv/mine) $(hostname); exit $1"
    const all = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        // Also in the slice that everybody shares, which the last one removes while the next one makes it.
        const words = i % 2 === 0 ? ownRun() : ["run"]
        return toybox([...words, "--rm", "base", "sh", "-c", script, "sh", String(i)], { timeoutSeconds: 40 })
      }),
    )
    const hosts = new Set<string>()
    for (const [i, { stdout, stderr, exitCode }] of all.entries()) {
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: i })
      const [number, host = ""] = stdout.trim().split(" ")
      expect(number).toBe(String(i))
      hosts.add(host)
    }
    expect(hosts.size).toBe(40)
    const others = /^(?!mount |link )/
    expect(await leaks(before, { ignore: others })).toEqual([])
  }, 60_000)

  test("of two with one name exactly one wins", async () => {
    for (let round = 0; round < 5; round++) {
      const words = ownRun("--rm", "--name", "contended", "base", "sleep", "0.2")
      const codes = (await Promise.all(Array.from({ length: 4 }, () => toybox(words)))).map(({ exitCode }) => exitCode)
      expect(codes.sort((a, b) => a - b)).toEqual([0, 125, 125, 125])
    }
  })

  test("runs succeed while others are killed and cleaned up after", async () => {
    const victims = Array.from({ length: 12 }, (_, i) =>
      killedAfter(0, []).then(() => killedAfter(3 + i, ownRun("--rm", "base", "sleep", "9"))),
    )
    const runs = Array.from({ length: 12 }, () =>
      toybox(ownRun("--rm", "base", "echo", "fine"), { timeoutSeconds: 40 }),
    )
    await Promise.all(victims)
    for (const { stdout, exitCode } of await Promise.all(runs)) {
      expect({ stdout, exitCode }).toEqual({ stdout: "fine\n", exitCode: 0 })
    }
    expect(await rows()).toEqual([])
  }, 60_000)
})

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z ")
  } catch {
    return false
  }
}

describe.skipIf(!isRoot)("a state directory that others have written into", () => {
  test("does not stop anybody", async () => {
    await toybox(["ps"])
    const state = stateRoot()
    const id = "f".repeat(64)
    // What a power cut can leave: an empty record, an entry of nobody, a container of which nothing tells.
    mkdirSync(join(state, "containers", id))
    writeFileSync(join(state, "containers", id, "container.json"), "")
    writeFileSync(join(state, "run/running", "e".repeat(64)), "")
    await toybox(ownRun("--name", "cut", "base", "true"))
    const [{ id: cut }] = await rows()
    writeFileSync(join(state, "containers", cut, "result.json"), "")
    const { stdout, stderr, exitCode } = await toybox(ownRun("--rm", "base", "echo", "fine"))
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: "fine\n", stderr: "", exitCode: 0 })
    expect(await rows()).toMatchObject([{ name: "cut", exitCode: 255, error: "how it ended is not known" }])
    await toybox(["rm", "cut"])
    expect(await ownLeftovers()).toEqual([])
  })
  test("after a reboot, tells it so, and removes what is of the time before", async () => {
    const running = () => join(stateRoot(), "run/running")
    for (const name of ["before", "gone"])
      await toybox(ownRun("-d", "--name", name, ...(name === "gone" ? ["--rm"] : []), "base", "sleep", "1000"))
    for (const id of readdirSync(running())) {
      const file = join(running(), id)
      const record = JSON.parse(readFileSync(file, "utf8"))
      process.kill(record.supervisor.pid, "SIGKILL")
      // Gone, or dead and waiting for an init that does not reap.
      for (const end = Date.now() + 10_000; Date.now() < end && isAlive(record.pid); await Bun.sleep(10));
      writeFileSync(file, JSON.stringify({ ...record, boot: "another" }).padEnd(4096))
    }
    expect(await rows()).toMatchObject([{ name: "before", exitCode: 255, error: "the machine was stopped" }])
    expect(readdirSync(running())).toEqual([])
    expect(await toybox(["rm", "before"])).toMatchObject({ exitCode: 0 })
    expect(await ownLeftovers()).toEqual([])
  })
})
