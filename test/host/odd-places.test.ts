/** Callers that close, block or ignore what others leave open, and machines that lack what all others have. */
import { afterEach, describe, expect, test } from "bun:test"
import { chmodSync, readdirSync } from "node:fs"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, succeed, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** A shell of the host, in which `$toybox` is the executable and the words are `$@`. */
const shell = (script: string, ...words: string[]) =>
  toybox(["-c", script, "-", ...words], { binary: "/bin/bash", env: { toybox: toyboxBinary() } })

describe.skipIf(!isRoot)("odd places", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("a terminal for a command of a caller that has closed its standard descriptors", async () => {
    await succeed(ownRun("-d", "--name", "box", "base", "sleep", "1000"))
    for (const closed of ["<&-", ">&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"]) {
      const { stdout } = await shell(`"$toybox" exec -t box sh -c 'tty -s <&1 && exit 5' ${closed}; echo $?`)
      expect({ closed, stdout }).toEqual({ closed, stdout: "5\n" })
    }
  })

  test("run -d where there is no /dev/null leaves nothing behind", async () => {
    const hide = "mount -t tmpfs -o size=4k tmpfs /dev"
    const { exitCode, stderr } = await shell(
      `unshare -m --propagation private sh -c '${hide} && exec "$toybox" "$@"' - "$@"`,
      ...ownRun("-d", "--name", "box", "base", "sleep", "1000"),
    )
    expect({ exitCode, stderr }).toEqual({
      exitCode: 125,
      stderr: expect.stringMatching(/^toybox: cannot [^\n]*"\/dev\/null"[^\n]*: ENOENT\n$/),
    })
    expect(await ownLeftovers()).toEqual([])
  })

  test("signals that the caller has blocked", async () => {
    const blocked = ["--block-signal=CHLD", "--block-signal=TERM", toyboxBinary()]
    const env = { binary: "/usr/bin/env", timeoutSeconds: 10 }
    expect(await toybox([...blocked, ...ownRun("--rm", "base", "sh", "-c", "exit 4")], env)).toMatchObject({
      exitCode: 4,
      stderr: "",
    })
    await succeed(ownRun("-d", "--name", "box", "base", "sleep", "1000"))
    expect(await toybox([...blocked, "exec", "box", "sh", "-c", "exit 5"], env)).toMatchObject({ exitCode: 5 })
    const running = await startToybox(
      [...blocked, ...ownRun("--rm", "base", "sh", "-c", "trap 'exit 6' TERM; echo up; while :; do sleep 0.1; done")],
      env,
    )
    await running.waitFor("up")
    running.kill("SIGTERM")
    expect(await running.wait()).toMatchObject({ exitCode: 6 })
  })

  test("a SIGHUP that the caller has ignored, as nohup does, ends nothing", async () => {
    const script = "echo up; read line; echo on; exit 7"
    const running = await startToybox(
      ["--ignore-signal=HUP", toyboxBinary(), ...ownRun("--rm", "-i", "base", "sh", "-c", script)],
      { binary: "/usr/bin/env" },
    )
    await running.waitFor("up")
    running.kill("SIGHUP")
    await Bun.sleep(200)
    running.stdin.write("\n")
    expect(await running.wait()).toEqual({ exitCode: 7, stdout: "up\non\n", stderr: "", signal: undefined })
  })

  test("variables of the caller that are not UTF-8 are told, not changed", async () => {
    const bad = `export BAD="$(printf 'b\\377')" FINE="$(printf '\\357\\277\\275')"`
    for (const options of [["-e", "BAD"], ["--env-host"]]) {
      expect(await shell(`${bad}; exec "$toybox" "$@"`, ...ownRun("--rm", ...options, "base", "env"))).toMatchObject({
        exitCode: 125,
        stdout: "",
        stderr: expect.stringMatching(/^toybox: BAD in the environment is not UTF-8: "b\uFFFD"\n/),
      })
    }
    const others = ["--env-host", "--unsetenv", "BAD", "base", "sh", "-c", 'echo "$FINE"']
    expect((await shell(`${bad}; exec "$toybox" "$@"`, ...ownRun("--rm", ...others))).stdout).toBe("\uFFFD\n")
    const elsewhere = await shell(`TOYBOX_ROOT="$(printf '${stateRoot()}/\\377')" exec "$toybox" ps`)
    expect(elsewhere).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining("TOYBOX_ROOT in the environment"),
    })
  })

  test("a state directory that is named by an empty variable is the system's", async () => {
    const cwd = temporaryDirectory("private")
    chmodSync(cwd, 0o700)
    const env = { TOYBOX_ROOT: "" }
    expect(await succeed(["generate", "systemd"], { cwd, env })).not.toContain("--root")
    await succeed(["ps"], { cwd, env })
    expect(readdirSync(cwd)).toEqual([])
  })

  test("the doctor knows a container in which no other can be made", async () => {
    const doctor = async (...options: string[]) => {
      const words = ["--rm", "-v", `${toyboxBinary()}:/toybox:ro`, ...options, "/", "/toybox", "doctor", "--json"]
      const { stdout, exitCode } = await toybox(ownRun(...words), { env: { TOYBOX_ROOT: stateRoot() } })
      const checks = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { name: string; state: string })
      return { exitCode, missing: checks.flatMap(({ name, state }) => (state === "missing" ? [name] : [])) }
    }
    expect(await doctor()).toEqual({ exitCode: 1, missing: ["user", "cgroup", "seccomp"] })
    expect(await doctor("--cap-add", "ALL")).toEqual({ exitCode: 1, missing: ["cgroup"] })
    expect(await doctor("--privileged")).toEqual({ exitCode: 0, missing: [] })
  })
})
