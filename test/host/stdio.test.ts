/** What goes in and comes out: every byte, none more, through pipes and files, however fast the other side is. */
import { afterEach, describe, expect, test } from "bun:test"
import { createHash, randomBytes } from "node:crypto"
import { openSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox, toyboxBytes } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const MEGABYTE = 1 << 20
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

const run = (...words: string[]) => ownRun("--rm", ...words)

/** A pipeline of the host's shell, in which `$toybox` runs a container of ours; its exit codes come last. */
async function shell(script: string, cwd = temporaryDirectory("cwd")) {
  const words = run().map((word) => `'${word}'`)
  const bash = `toybox() { timeout -k 2 20 '${toyboxBinary()}' ${words.join(" ")} "$@"; }\n${script}`
  return toybox(["-c", bash], { binary: "/bin/bash", cwd, env: { TOYBOX_ROOT: stateRoot() } })
}

describe.skipIf(!isRoot)("standard input and output", () => {
  afterEach(async () => {
    expect(await ownLeftovers()).toEqual([])
  })

  test("are byte-exact through pipes, in and out at once", async () => {
    const stdin = Buffer.concat([
      Buffer.from([0, 0xff, 0x0d, 0x0a, 4, 3]),
      randomBytes(16 * MEGABYTE),
      Buffer.from([0]),
    ])
    const { stdout, stderr, exitCode } = await toyboxBytes(run("base", "cat"), { stdin })
    expect({ length: stdout.length, hash: sha256(stdout) }).toEqual({ length: stdin.length, hash: sha256(stdin) })
    expect({ stderr: stderr.toString(), exitCode }).toEqual({ stderr: "", exitCode: 0 })
  })

  test("both outputs are apart, and each is exact", async () => {
    const stdin = randomBytes(3 * MEGABYTE)
    const dir = temporaryDirectory("outputs")
    writeFileSync(join(dir, "in"), stdin)
    const script = "cat in | toybox base tee /dev/stderr 2>err | cat >out; wc -c < out"
    expect((await shell(script, dir)).stdout).toBe(`${stdin.length}\n`)
    const hashes = ["out", "err"].map((name) => sha256(readFileSync(join(dir, name))))
    expect(hashes).toEqual([sha256(stdin), sha256(stdin)])
  })

  test("files of the caller cannot be changed, be they given for reading or writing", async () => {
    const dir = temporaryDirectory("own-files")
    writeFileSync(join(dir, "in"), "mine\n", { mode: 0o600 })
    const attack =
      "for fd in 0 1 2; do echo changed > /proc/self/fd/$fd; chmod 4755 /proc/self/fd/$fd; done; read a; echo $a; read b; echo got $b"
    for (const command of ["toybox base", `'${toyboxBinary()}' exec -i target`]) {
      writeFileSync(join(dir, "out"), "kept\n", { mode: 0o600 })
      writeFileSync(join(dir, "err"), "", { mode: 0o600 })
      await toybox(ownRun("-d", "--name", "target", "base", "sleep", "100"))
      // A file without a name has no mount to be seen through.
      const nameless = `exec 3<>nameless; rm nameless; echo mine >&3; exec 4< /proc/$$/fd/3`
      const { stdout } = await shell(
        `${nameless}; ${command} sh -c '${attack}' < in >> out 2> err; cat out; ${command} cat <&4`,
        dir,
      )
      await toybox(["rm", "-f", "target"])
      const lines = stdout.split("\n").filter((line) => line !== "changed")
      expect(lines).toEqual(["kept", "mine", "got", "mine", ""])
      expect(readFileSync(join(dir, "in"), "utf8")).toBe("mine\n")
      for (const name of ["in", "out", "err"]) expect(statSync(join(dir, name)).mode & 0o7777).toBe(0o600)
    }
    const { stderr } = await shell("toybox base true < /; echo $? >&2", dir)
    expect(stderr).toBe("toybox: standard input is a directory, which no container gets\n125\n")
    // What is full is told.
    const script = "toybox base yes > small/out; echo $? >&2; umount small"
    const full = await shell(`mkdir small; mount -t tmpfs -o size=64k none small; ${script}`, dir)
    expect(full.stderr).toMatch(/^(yes: .*\n)?toybox: standard output: ENOSPC\n(.*\n)*1\n$/)
  })

  test("are byte-exact through files", async () => {
    const dir = temporaryDirectory("files")
    const [input, output] = [join(dir, "in"), join(dir, "out")]
    writeFileSync(input, randomBytes(5 * MEGABYTE))
    writeFileSync(output, "kept\n")
    const child = Bun.spawn([toyboxBinary(), ...run("base", "sh", "-c", "cat; echo end >&2")], {
      env: { ...process.env, TOYBOX_ROOT: stateRoot() },
      stdio: [openSync(input, "r"), openSync(output, "a"), openSync(join(dir, "err"), "w")],
    })
    expect(await child.exited).toBe(0)
    expect(readFileSync(output).equals(Buffer.concat([Buffer.from("kept\n"), readFileSync(input)]))).toBe(true)
    expect(readFileSync(join(dir, "err"), "utf8")).toBe("end\n")
    // The offset is shared: who reads on after the container reads what it has left.
    const { stdout } = await shell("{ toybox base dd bs=3 count=1 2>/dev/null; echo -; cat; } < err", dir)
    expect(stdout).toBe("end-\n\n")
    const script = '{ echo a; toybox base sh -c "echo b; echo c >&2"; echo d; } > order 2>&1; cat order'
    expect((await shell(script)).stdout).toBe("a\nb\nc\nd\n")
  })

  test("one pipe for both outputs keeps their order", async () => {
    const { stdout } = await shell('toybox base sh -c "for i in 1 2 3 4 5; do echo o\\$i; echo e\\$i >&2; done" 2>&1')
    expect(stdout).toBe("o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n")
  })

  test("nothing is added, nothing is cut", async () => {
    for (const text of ["", "x", "no newline", "\n", "\r\n", "a\0b", "\x1b[31m\x04\x10\x11"]) {
      const { stdout } = await toyboxBytes(run("base", "cat"), { stdin: text })
      expect(stdout.toString("latin1")).toBe(text)
    }
  })

  test("the end of input comes, and before it what was written", async () => {
    const running = await startToybox(run("base", "sh", "-c", 'read a; echo "got $a"; cat; echo end'))
    running.stdin.write("one\n")
    await running.waitFor("got one")
    running.stdin.write("two\n")
    await running.waitFor("two")
    running.stdin.end()
    expect((await running.wait()).stdout).toBe("got one\ntwo\nend\n")
  })

  test("empty, absent and closed descriptors", async () => {
    const list = 'for fd in 0 1 2; do readlink /proc/$$/fd/$fd | sed "s/pipe.*/pipe/"; done'
    const kinds = async (redirection: string) =>
      (await shell(`toybox base sh -c '${list}' ${redirection} | cat`)).stdout.trimEnd().split("\n")
    expect((await toybox(run("base", "cat"))).stdout).toBe("")
    expect(await kinds("< /dev/null 2> /dev/null")).toEqual(["/dev/null", "pipe", "/dev/null"])
    expect(await kinds("<&- 2>&-")).toEqual(["/dev/null", "pipe", "/dev/null"])
    // Where they are closed, what the command opens must not become its output.
    const script = "exec 3>/tmp/f; echo out; echo err >&2; cat /tmp/f; read x; exit 3"
    const { stdout } = await shell(`toybox base sh -c '${script}' <&- >&- 2>&-; echo $?`)
    expect(stdout).toBe("3\n")
    expect((await shell("toybox base sh -c 'ls /proc/self/fd | wc -l; exit 4' 2>&-; echo $?")).stdout).toBe("4\n4\n")
    expect((await shell("toybox base nothere <&- >&- 2>&-; echo $?")).stdout).toBe("127\n")
  })

  test("a slow reader gets it all", async () => {
    const script =
      "toybox base sh -c 'yes 0123456789abcde | head -c 3000000' | { sleep 0.3; head -c 100; sleep 0.3; cat; } | md5sum"
    const expected = createHash("md5").update("0123456789abcde\n".repeat(187500)).digest("hex")
    expect((await shell(script)).stdout).toBe(`${expected}  -\n`)
  })

  test("a reader that goes away ends the command as it would without a container", async () => {
    const status = "echo $PIPESTATUS >&2"
    const { stdout, stderr } = await shell(`toybox --init base yes | head -1; ${status}`)
    // SIGPIPE has its default action, whatever Bun does with its own.
    expect({ stdout, stderr }).toEqual({ stdout: "y\n", stderr: "141\n" })
    const one = await shell(`toybox base sh -c 'yes; echo $? >&2' | head -1; ${status}`)
    expect(one).toMatchObject({ stdout: "y\n", stderr: "141\n0\n" })
    const last = await shell(`toybox base yes 2>/dev/null | head -1; ${status}`)
    // PID 1 is not killed by SIGPIPE: it sees the error.
    expect(last).toMatchObject({ stdout: "y\n", stderr: "1\n" })
    // A terminal whose output nobody reads is hung up.
    const hungUp = await shell(`toybox -t --init base yes < /dev/null | head -1; ${status}`)
    expect(hungUp).toMatchObject({ stdout: "y\r\n", stderr: "129\n" })
  })

  test("listings of any length reach a slow reader whole", async () => {
    const label = "x".repeat(100_000)
    const labels = Array.from({ length: 8 }, (_, i) => ["-l", `l${i}=${label}`]).flat()
    await toybox(ownRun("--name", "long", ...labels, "base", "true"))
    const { stdout } = await shell(`'${toyboxBinary()}' ps -a --json | { sleep 0.5; cat; } | wc -c`)
    expect(Number(stdout)).toBeGreaterThan(800_000)
    await toybox(["rm", "long"])
  })
})

describe.skipIf(!isRoot)("a terminal for a pipe (-t)", () => {
  test("passes the pipe's bytes on as typed, then its end", async () => {
    const one = await toybox(run("-t", "base", "cat"), { stdin: "abc\n" })
    expect(one).toMatchObject({ stdout: "abc\r\nabc\r\n", exitCode: 0 })
    const open = await toybox(run("-t", "base", "cat"), { stdin: "no newline" })
    expect(open).toMatchObject({ stdout: "no newlineno newline", exitCode: 0 })
    expect(await toybox(run("-t", "base", "wc", "-c"), { stdin: "" })).toMatchObject({ exitCode: 0 })
  })

  test("takes more than it can hold while the command writes as much", async () => {
    const stdin = Array.from({ length: 60_000 }, (_, i) => `line ${i}\n`).join("")
    const { stdout, exitCode } = await toybox(run("-t", "base", "sh", "-c", "stty -echo; echo ready; cat"), { stdin })
    expect(exitCode).toBe(0)
    const text = stdout.slice(stdout.indexOf("ready\r\n") + 7)
    expect(text.endsWith("line 59999\r\n")).toBe(true)
  })
})
