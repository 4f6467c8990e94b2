/** Nodes of the caller's file system as 0, 1 and 2: what is chmod'ed or chown'ed through them is never the caller's. */
import { afterEach, describe, expect, test } from "bun:test"
import { statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { insideBundle, withRunning } from "../helpers/oci-bundle.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { stateRoot, succeed, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const ATTACK = "for fd in 0 1 2; do chmod 0 /proc/self/fd/$fd; chown 1234 /proc/self/fd/$fd; done"

/** A script of the host's shell, in which `toybox` is the one under test. */
const shell = (script: string, cwd: string) =>
  toybox(["-c", `toybox() { timeout -k 2 20 '${toyboxBinary()}' "$@"; }\n${script}`], {
    binary: "/bin/bash",
    cwd,
    env: { TOYBOX_ROOT: stateRoot() },
    timeoutSeconds: 60,
  })

const run = (...words: string[]) => ownRun("--rm", "base", ...words).join(" ")

/** Mode and owner. */
const owned = (path: string) => {
  const { mode, uid } = statSync(path)
  return [(mode & 0o7777).toString(8), uid]
}

describe.skipIf(!isRoot)("nodes of the caller", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("a null device of its own is not the command's", async () => {
    const dir = temporaryDirectory("null")
    const node = join(dir, "null")
    await shell("mknod -m 666 null c 1 3", dir)
    await succeed(ownRun("-d", "--name", "target", "base", "sleep", "100"))
    const commands = [`toybox ${run("sh", "-c")}`, `toybox exec target sh -c`, "toybox exec -i target sh -c"]
    for (const command of commands) {
      const told = await shell(`${command} '${ATTACK}; exit 7' <null >null 2>null; echo $?`, dir)
      expect(told).toMatchObject({ stdout: "7\n", stderr: "" })
      expect(owned(node)).toEqual(["666", 0])
    }
    // It does what the other did, also where /dev is not the container's own.
    const script = "cat; echo lost; stat -L -c %t:%T /proc/self/fd/0 >&2"
    const used = `${run("sh", "-c")}`.replace(" base ", " -v /dev:/dev base ")
    for (const words of [used, run("sh", "-c"), "exec target sh -c"])
      expect(await shell(`toybox ${words} '${script}' <null >null`, dir)).toMatchObject({ stdout: "", stderr: "1:3\n" })
  }, 20_000)

  test("the machine's is not that of detached commands, nor for streams that the caller has not", async () => {
    const before = owned("/dev/null")
    // Harmless to the machine's own, and told where it would have been one of its links.
    const look = "stat -L -c '%d %i' /proc/self/fd/0"
    const machine = `${statSync("/dev/null").dev} ${statSync("/dev/null").ino}`
    await succeed(ownRun("-d", "--name", "target", "base", "sh", "-c", `${look}; exec sleep 100`))
    const inside = await succeed(["exec", "target", "sh", "-c", look])
    expect(inside).not.toBe(machine)
    expect(await succeed(["logs", "target"])).not.toBe(machine)
    await succeed(["exec", "-d", "target", "sh", "-c", `${look} > /told`])
    for (let tries = 0; tries < 50 && (await succeed(["exec", "target", "cat", "/told"])) === ""; tries++)
      await Bun.sleep(20)
    expect(await succeed(["exec", "target", "cat", "/told"])).not.toBe(machine)
    expect(await succeed(ownRun("--rm", "-a", "stdout", "base", "sh", "-c", look))).not.toBe(machine)
    // The harness gives it to toybox as its input.
    expect(await insideBundle(look)).not.toBe(machine)
    const file = join(temporaryDirectory("process"), "process.json")
    writeFileSync(file, JSON.stringify({ args: ["/bin/sh", "-c", look], cwd: "/", env: ["PATH=/bin"] }))
    await withRunning(async (exec) => expect(await exec("--process", file)).not.toBe(machine))
    expect(owned("/dev/null")).toEqual(before)
  }, 20_000)

  test("a file that cannot be opened anew is copied all the same", async () => {
    const script = `sleep 9 & exec 3</proc/$!/mountinfo; kill $!; wait $!; toybox ${run("wc", "-l")} <&3; echo $?`
    const { stdout, stderr } = await shell(script, temporaryDirectory("gone"))
    expect(stdout).toMatch(/^[1-9]\d*\n0\n$/)
    expect(stderr).not.toContain("toybox:")
  }, 20_000)

  test("what has a name is copied to and from", async () => {
    const dir = temporaryDirectory("named")
    await shell("mkfifo -m 600 in out", dir)
    const script = `exec 3<>in 4<>out; echo mine >in; toybox ${run("sh", "-c")} '${ATTACK}; read a; echo got $a' <in >out; head -n 1 out`
    expect((await shell(script, dir)).stdout).toBe("got mine\n")
    for (const name of ["in", "out"]) expect(owned(join(dir, name))).toEqual(["600", 0])
    const both = `exec 4<>out; toybox ${run("sh", "-c")} 'for i in 1 2 3; do echo o$i; echo e$i >&2; done' >out 2>&1; head -n 6 out`
    expect((await shell(both, dir)).stdout).toBe("o1\ne1\no2\ne2\no3\ne3\n")
    await shell("mknod -m 600 zero c 1 5", dir)
    const read = await shell(`toybox ${run("sh", "-c")} '${ATTACK}; head -c 100000 | wc -c' <zero`, dir)
    expect(read.stdout).toBe("100000\n")
    expect(owned(join(dir, "zero"))).toEqual(["600", 0])
  }, 20_000)
})
