import { describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { defaultRlimits, readRequest } from "../../../src/cli/request.ts"
import type { ContainerRequest } from "../../../src/container/request.ts"
import { leaveRunning, startTime } from "../../../src/container/state.ts"
import { basePath } from "../../../src/image/base.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../helpers/scratch.ts"
import { enter, makeContainer, makeState, runningRecord } from "../container/temp-state.ts"
import { run } from "./parse.ts"

cleanUpAfterAll()

const paths = makeState()
const request = (...words: string[]): Promise<ContainerRequest> => readRequest(run(...words), paths)
const root = temporaryDirectory()

describe("the root and the command", () => {
  test.each<[string[], string[]]>([
    [[], ["/bin/sh"]],
    [["base"], ["/bin/sh"]],
    [
      ["base", "echo", "--rm", "-v"],
      ["echo", "--rm", "-v"],
    ],
    [["--entrypoint", "/bin/ls", "base"], ["/bin/ls"]],
    [
      ["--entrypoint", "/bin/ls", "base", "-l"],
      ["/bin/ls", "-l"],
    ],
    [["--entrypoint", "", "base"], ["/bin/sh"]],
  ])("%j runs %j", async (words, args) => {
    expect((await request(...words)).process.args).toEqual(args)
  })

  test("base is the embedded image, anything else a directory", async () => {
    expect(await request()).toMatchObject({ image: "base", lower: basePath(paths.bases) })
    expect(await request(`${root}/../${root.split("/").at(-1)}/`)).toMatchObject({ lower: root })
  })

  test.each<[string[], string]>([
    [["./alpine"], "./alpine: there is no such directory or archive"],
    [["Alpine"], "the repository name must be in lower case"],
    [["--checksum", `sha256:${"0".repeat(64)}`, "alpine"], "--checksum is for archives and addresses"],
    [["--pull", "sometimes", "https://x.example/y.tar"], '--pull: "sometimes" is not known'],
    [["/dev/null"], "/dev/null is not a directory"],
    [["base", ""], "the command is empty"],
    [["--workdir", "tmp", "base"], '--workdir: "tmp" must be an absolute path'],
    [["--cgroup-parent", "../x"], "is not a cgroup path"],
    [["--oom-score-adj", "1001"], "--oom-score-adj"],
    [["--oom-score-adj", "1e2"], "--oom-score-adj"],
    [["--hostname", "a b"], "--hostname"],
    [["-h", "-x"], '-h: "-x"'],
    [["--hostname", "x".repeat(65)], "--hostname"],
    [["--hostname", "x", "--uts", "host"], "UTS namespace"],
    [["--label", "=x"], "--label"],
    [["--annotation", "=x"], '--annotation: "=x" is no annotation'],
    [["--label-file", "/nonexistent"], "--label-file: cannot read /nonexistent"],
    [["--umask", "9"], "--umask"],
    [["--userns", "auto"], '--userns: "auto" is not possible'],
    [["--stop-signal", "NONE"], "--stop-signal"],
    [["--tty", "--detach-keys", "xx"], "--detach-keys"],
    [["--detach-keys", "xx"], "--detach-keys"],
    [
      ["--log-driver", "syslog", "base"],
      '--log-driver: "syslog" is not known (use k8s-file, json-file, local or none)',
    ],
    [["--log-opt", "max-size=0", "base"], '--log-opt max-size: "0" is no size'],
    [["--log-opt", "max-file=0", "base"], '--log-opt max-file: "0" is no number of files'],
    [["--log-opt", "tag=x", "base"], '--log-opt: "tag=x" is not known'],
    [["--log-driver", "none", "--log-opt", "max-file=1", "base"], "--log-opt does not go with --log-driver none"],
    [["--cpu", "fast"], "--cpu"],
    [["--mem", "much"], "--mem"],
    [["--net", "container:none"], "no such container: none"],
  ])("%j is refused", async (words, message) => {
    expect(request(...words)).rejects.toThrow(message)
  })
})

describe("what is read of the rest", () => {
  test("nothing asked: the same with and without one of the rarer options", async () => {
    const common = await request("base", "true")
    const rare = await request("--label", "a=b", "base", "true")
    expect({ ...rare, process: { ...rare.process, labels: {} } }).toEqual({ ...common, mountinfo: rare.mountinfo })
    expect(common).toMatchObject({
      autoRemove: false,
      init: false,
      trace: false,
      quiet: false,
      stopSignal: 15,
      cgroupParent: null,
    })
    expect(common.process).toMatchObject({
      user: "0",
      workdir: "/",
      terminal: false,
      noNewPrivileges: true,
      rlimits: defaultRlimits(),
    })
  })

  test("everything asked", async () => {
    const words =
      "--rm --init -q --trace --name web --cidfile /c --user alice:staff --workdir /a/../b --read-only --stop-signal INT --hostname box --domainname d --oom-score-adj -7 --label a=b=c --label d --group-add audio --cgroup-parent my.slice/x"
    const made = await request(...words.split(" "))
    expect(made).toMatchObject({
      autoRemove: true,
      init: true,
      quiet: true,
      trace: true,
      name: "web",
      cidfile: "/c",
      stopSignal: 2,
      cgroupParent: "/my.slice/x",
    })
    expect(made.process).toMatchObject({
      user: "alice:staff",
      workdir: "/b",
      readonlyRoot: true,
      hostname: "box",
      domainname: "d",
      oomScoreAdj: -7,
      groupAdd: ["audio"],
    })
    expect(made.process.labels).toEqual({ a: "b=c", d: "" })
  })

  test("limits", async () => {
    const { resources } = (await request("--cpu", "10%", "--mem", "500M")).process
    expect(resources).toMatchObject({ cpu: { quota: 10_000, period: 100_000 }, memory: { limit: 524_288_000 } })
  })

  test("descriptors: soft 1024, hard as the caller has it", () => {
    const [limit] = defaultRlimits()
    expect(limit).toMatchObject({ type: "RLIMIT_NOFILE", soft: 1024 })
    expect(limit?.hard).toBeGreaterThanOrEqual(1024)
  })

  test("the namespaces of a running container, not of one that ended", async () => {
    const { id } = makeContainer(paths)
    const executed = new Date().toISOString()
    const running = runningRecord({ pid: process.pid, startTime: startTime(process.pid) ?? "", executed })
    const lock = enter(paths, id, running)
    expect((await request("--net", `container:${id.slice(0, 12)}`)).process.namespaces.network).toMatchObject({
      mode: "container",
      pid: process.pid,
      id,
    })
    leaveRunning(lock)
    expect(request("--net", `container:${id}`)).rejects.toThrow("is not running")
  })

  test("an env file is read", async () => {
    writeFileSync(`${root}/env`, "A=1\n")
    expect((await request("--env-file", `${root}/env`, "-e", "B=2")).process.env).toEqual(["A=1", "B=2"])
  })
})

describe("-t and -i", () => {
  test("as given; not meant where standard input is no terminal", async () => {
    expect((await request("-t")).process.terminal).toBe(true)
    expect(await request("-i")).toMatchObject({ interactive: true, process: { terminal: false } })
    expect(await request("--tty=false", "base", "sh")).toMatchObject({
      interactive: false,
      process: { terminal: false },
    })
  })

  test("detach keys are reserved with a terminal only", async () => {
    expect((await request("-t")).detachKeys).toEqual([16, 17])
    expect((await request("base", "true")).detachKeys).toEqual([])
    expect((await request("-t", "--detach-keys", "")).detachKeys).toEqual([])
  })
})

describe("the log of a detached container", () => {
  test.each<[string[], object | null]>([
    [[], { maxSize: 10_000_000, maxFiles: 3 }],
    [["--log-driver", "json-file"], { maxSize: 10_000_000, maxFiles: 3 }],
    [["--log-opt", "max-size=2k", "--log-opt", "max-file=1"], { maxSize: 2000, maxFiles: 1 }],
    [["--log-opt", "max-size=1GB", "--log-driver", "local"], { maxSize: 1e9, maxFiles: 3 }],
    [["--log-driver", "none"], null],
  ])("%j", async (words, log) => {
    expect((await request("-d", ...words, "base")).detached).toEqual({ log } as never)
  })
})
