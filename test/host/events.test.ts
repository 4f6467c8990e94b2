/** toybox events: what happens to containers, in order, while it happens and afterwards. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { appendFileSync, existsSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()
// Many a toybox has to start, on a machine that has other things to do.
setDefaultTimeout(60_000)

const isRoot = process.getuid?.() === 0
const path = () => join(stateRoot(), "run/events")
const past = async (...words: string[]) => {
  const { stdout, stderr, exitCode } = await toybox(["events", "--since", "0", "--until", "0s", "--json", ...words])
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 })
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}
const actions = async (...words: string[]) => (await past(...words)).map(({ Action }) => Action)

describe.skipIf(!isRoot)("events", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("of a container of the foreground, of one that is removed, and of one that cannot be executed", async () => {
    await toybox(ownRun("--name", "fore", "base", "sh", "-c", "exit 3"))
    expect(await actions("--filter", "container=fore")).toEqual(["create", "start", "die"])
    await toybox(["rm", "fore"])
    await toybox(ownRun("--rm", "--name", "gone", "--label", "tier=web", "base", "true"))
    await toybox(ownRun("--name", "none", "base", "no-such-command"))
    expect(await actions("--filter", "label=tier")).toEqual(["create", "start", "die", "destroy"])
    expect(await actions("--filter", "container=none")).toEqual(["create", "die"])
    const died = await past("--filter", "event=die", "--filter", "event=destroy", "--filter", "container=fore")
    expect(died).toMatchObject([
      { Action: "die", from: "base", Type: "container", Actor: { Attributes: { name: "fore", exitCode: "3" } } },
      { Action: "destroy" },
    ])
    expect(Math.abs(died[0].time - Date.now() / 1000)).toBeLessThan(600)
    expect(String(died[0].timeNano)).toStartWith(String(died[0].time))
  })

  test("of a detached one, followed as they come: exec, pause, kill, stop, attach, and its removal last", async () => {
    const follower = await startToybox(["events", "--filter", "container=back"], { timeoutSeconds: 40 })
    const script = "trap 'exit 5' TERM; while :; do sleep 0.1; done"
    // Nothing tells from outside when it follows.
    for (const end = performance.now() + 15_000; performance.now() < end; ) {
      await toybox(ownRun("--rm", "--name", "back", "base", "true"))
      if (
        await follower.waitFor("destroy", 1).then(
          () => true,
          () => false,
        )
      )
        break
    }
    await toybox(ownRun("-d", "--name", "back", "base", "sh", "-c", script))
    await toybox(["exec", "back", "sh", "-c", "exit 6"])
    await toybox(["pause", "back"])
    await toybox(["unpause", "back"])
    await toybox(["kill", "--signal", "CONT", "back"])
    const attached = await startToybox(["attach", "--sig-proxy=false", "back"])
    await follower.waitFor(" attach ")
    attached.kill("SIGTERM")
    await attached.wait()
    await toybox(["stop", "back"])
    await follower.waitFor(" stop ")
    await toybox(["rm", "back"])
    const shown = (await past("--filter", "container=back")).slice(-13)
    expect(shown.map(({ Action }) => Action)).toEqual([
      "create",
      "start",
      "exec_create: sh -c exit 6",
      "exec_start: sh -c exit 6",
      "exec_die",
      "pause",
      "unpause",
      "kill",
      "attach",
      "kill",
      "die",
      "stop",
      "destroy",
    ])
    expect(shown[4].Actor.Attributes).toMatchObject({ exitCode: "6", execID: shown[3].Actor.Attributes.execID })
    expect(shown[7].Actor.Attributes.signal).toBe("18")
    expect(shown[10].Actor.Attributes.exitCode).toBe("5")
    follower.kill("SIGTERM")
    const { stdout } = await follower.wait()
    expect(stdout).toMatch(/^\S+Z container stop [0-9a-f]{64} \(image=base, name=back\)$/m)
    expect(stdout).toMatch(/^\S+Z container die [0-9a-f]{64} \(exitCode=5, image=base, name=back\)$/m)
  })

  test("of one that is made first, renamed, and started twice", async () => {
    const parent = ownRun().slice(1)
    const { stdout } = await toybox(["create", ...parent, "--name", "first", "base", "true"])
    await toybox(["rename", "first", "second"])
    for (let i = 0; i < 2; i++) {
      await toybox(["start", "second"])
      await toybox(["wait", "second"])
    }
    await toybox(["rm", "second"])
    const shown = await past("--filter", `container=${stdout.trim()}`)
    const told = shown.map(({ Action, Actor }) => `${Action} ${Actor.Attributes.name}`)
    const twice = ["start second", "die second", "start second", "die second"]
    expect(told).toEqual(["create first", "rename second", ...twice, "destroy second"])
  })

  test("of changes and restarts; filters by kind, templates, and nothing that speaks to a terminal", async () => {
    const check = ["--health-cmd", "true", "--health-interval", "100ms"]
    await toybox(ownRun("-d", "--name", "busy", "--label", "odd=a\x1b[31mb", ...check, "base", "sleep", "1000"))
    await toybox(["wait", "--condition", "healthy", "busy"])
    await toybox(["update", "--pids", "50", "busy"])
    await toybox(["restart", "-t", "0", "busy"])
    // What is kept is shown up to that time, without a --since.
    const kept = (...words: string[]) => toybox(["events", "--until", "0s", "--filter", "container=busy", ...words])
    expect((await kept("--filter", "event=health_status")).stdout).toMatch(/^\S+ container health_status: healthy /)
    const { stdout } = await kept("--format", "{{.Action}} {{.Actor.Attributes.name}} {{.Type}}")
    const told = stdout.split("\n").filter((line) => !/^(health|exec)/.test(line))
    const words = ["create", "start", "update", "kill", "kill", "die", "stop", "start", "restart"]
    expect(told).toEqual([...words.map((word) => `${word} busy container`), ""])
    const nanos = (await kept("--format", "{{.TimeNano}}")).stdout.split("\n")[0]
    expect(nanos).toMatch(/^\d{19}$/)
    expect((await kept("--format", "{{json .TimeNano}}")).stdout.split("\n")[0]).toBe(nanos)
    expect((await kept("--format", "{{if gt .TimeNano 5}}later{{end}}")).stdout).toStartWith("later\n")
    const restarts = ["--filter", "event=restart"]
    const whole = (await kept(...restarts, "--json")).stdout
    expect(whole).toMatch(/^\{"status":"restart",.*"timeNano":\d{19}\}\n$/)
    for (const format of ["json", "{{json .}}", "{{ json . }}"])
      expect((await kept(...restarts, "--format", format)).stdout).toBe(whole)
    const lines = (await kept()).stdout
    expect(lines).toContain("odd=a [31mb")
    expect(lines).not.toContain("\x1b")
    expect((await kept("--format", "{{.Nothing}}")).exitCode).toBe(125)
  })

  test("of one whose supervisor was killed, written by the next command", async () => {
    const { stdout } = await toybox(ownRun("-d", "--name", "orphan", "base", "sleep", "1000"))
    const running = JSON.parse(readFileSync(join(stateRoot(), "run/running", stdout.trim()), "utf8"))
    process.kill(running.supervisor.pid, "SIGKILL")
    expect((await toybox(["wait", "orphan"])).stdout).toBe("137\n")
    expect(await actions("--filter", "container=orphan")).toEqual(["create", "start", "die"])
  })

  test("the file is rotated, a line that a full disk has cut off is passed over, and no file keeps nobody from running", async () => {
    appendFileSync(path(), '\n{"time":"2026-01-01T00:00')
    await toybox(ownRun("--rm", "--name", "after", "base", "true"))
    expect(await actions("--filter", "container=after")).toEqual(["create", "start", "die", "destroy"])
    appendFileSync(path(), `${"\n".repeat(1_000_000)}`)
    await toybox(ownRun("--rm", "--name", "rotated", "base", "true"))
    expect(await actions("--filter", "container=rotated")).toEqual(["create", "start", "die", "destroy"])
    expect(statSync(path()).size).toBeLessThan(10_000)
    expect(statSync(`${path()}.1`).size).toBeGreaterThan(1_000_000)
    unlinkSync(`${path()}.1`)
    unlinkSync(path())
    // In its place something that cannot be written.
    Bun.spawnSync(["mkdir", path()])
    expect((await toybox(ownRun("--rm", "base", "true"))).exitCode).toBe(0)
    Bun.spawnSync(["rmdir", path()])
  })

  test("a full disk fails no container, and what fits is told", async () => {
    const state = temporaryDirectory()
    Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "tmpfs", state])
    try {
      const env = { TOYBOX_ROOT: state }
      await toybox(ownRun("-d", "--name", "lasts", "base", "sleep", "1000"), { env })
      writeFileSync(join(state, "filler"), "")
      Bun.spawnSync(["sh", "-c", `cat /dev/zero > ${state}/filler`])
      expect((await toybox(["stop", "--time", "0", "lasts"], { env })).exitCode).toBe(0)
      unlinkSync(join(state, "filler"))
      await toybox(["rm", "-f", "lasts"], { env })
      expect(existsSync(join(state, "run/events"))).toBe(true)
      expect((await toybox(["events", "--since", "0", "--until", "0s"], { env })).stdout).toContain(" destroy ")
    } finally {
      Bun.spawnSync(["umount", "-l", state])
    }
  })

  test("what is not understood is told", async () => {
    expect((await toybox(["events", "--filter", "colour=red"])).stderr).toContain('--filter: "colour=red"')
    expect((await toybox(["events", "--since", "soon"])).stderr).toContain('"soon" is no time')
    expect((await toybox(["events", "web"])).stderr).toContain("events takes options only")
  })

  test("of volumes, networks and images, and of a container's coming to them and leaving them", async () => {
    const labels = ["--filter", "type=volume", "--filter", "type=network", "--filter", "type=image"]
    const before = (await past(...labels)).length
    await toybox(["volume", "create", "told-volume"])
    await toybox(["network", "create", "told-net"])
    await toybox(["network", "create", "told-other"])
    const words = ["--rm", "--name", "user", "--net", "told-net", "-v", "told-volume:/x", "base", "true"]
    await toybox(ownRun(...words))
    // Never executed: it has come to nothing.
    await toybox(ownRun(...words.slice(0, -1), "no-such-command"))
    await toybox(ownRun("-d", "--name", "long", "--net", "told-net", "base", "sleep", "1000"))
    await toybox(["network", "connect", "told-other", "long"])
    await toybox(["network", "disconnect", "told-net", "long"])
    await toybox(["commit", "-q", "long", "told:1"])
    await toybox(["tag", "told:1", "told:2"])
    await toybox(["rmi", "told:1", "told:2"])
    const pid = Number((await toybox(["inspect", "-f", "{{.State.Pid}}", "long"])).stdout)
    process.kill(pid, "SIGKILL")
    await toybox(["wait", "long"])
    await toybox(["rm", "long"])
    await toybox(["network", "rm", "told-net", "told-other"])
    await toybox(["volume", "rm", "told-volume"])
    const told = (await past(...labels)).slice(before)
    const shown = told.map(({ Type, Action, Actor: { ID, Attributes } }) =>
      [Type, Action, Type === "volume" ? ID : Attributes.name.replace(/^sha256:.*/, "ID")].join(" "),
    )
    expect(shown).toEqual([
      ...["volume create told-volume", "network create told-net", "network create told-other"],
      ...["network connect told-net", "volume mount told-volume"],
      ...["network disconnect told-net", "volume unmount told-volume"],
      ...["network connect told-net", "network connect told-other", "network disconnect told-net"],
      ...["image tag told:2", "image untag told:1", "image untag told:2", "image delete ID"],
      ...["network disconnect told-other", "network destroy told-net", "network destroy told-other"],
      "volume destroy told-volume",
    ])
    const [, , , connected, mounted] = told
    expect(mounted.Actor.Attributes).toMatchObject({ destination: "/x", driver: "local" })
    expect(connected.Actor.Attributes).toEqual({
      container: mounted.Actor.Attributes.container,
      name: "told-net",
      type: "bridge",
    })
    expect(Object.keys(mounted)).not.toContain("status")
    expect(await actions("--filter", "volume=told-volume")).toEqual(["create", "mount", "unmount", "destroy"])
    expect(await actions("--filter", "network=told-other")).toEqual(["create", "connect", "disconnect", "destroy"])
    expect(await actions("--filter", "image=told", "--filter", "type=image")).toEqual(["tag", "untag", "untag"])
    expect(await actions("--filter", "container=long")).not.toContain("connect")
    expect(await actions("--filter", "container=long", "--filter", "event=commit")).toEqual(["commit"])
  })
})
