import { describe, expect, test } from "bun:test"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { O_RDWR } from "../../../ffi/constants/fcntl.ts"
import { close, open } from "../../../ffi/fs.ts"
import { tryLock } from "../../../ffi/lock.ts"
import { forget } from "../../../src/container/discard.ts"
import { changeName, releaseName, takeName } from "../../../src/container/name.ts"
import * as state from "../../../src/container/state.ts"
import { ensurePaths, environmentOf, pathsFor } from "../../../src/paths.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../helpers/scratch.ts"
import { enter, makeContainer, makeState, runningRecord } from "./temp-state.ts"

cleanUpAfterAll()

describe("paths", () => {
  test("are closed to everybody else", () => {
    const paths = makeState()
    for (const path of Object.values(paths)) expect(statSync(path).mode & 0o777).toBe(0o700)
  })

  test("a state directory that others may enter is refused (CVE-2024-25621)", () => {
    const root = temporaryDirectory("state")
    mkdirSync(`${root}/inner`)
    chmodSync(`${root}/inner`, 0o755)
    expect(() => ensurePaths(pathsFor(`${root}/inner`))).toThrow("0700")
  })

  test("are the same in a toybox that is started by another", () => {
    for (const root of [undefined, "/x"]) {
      const paths = pathsFor(root)
      const [told] = environmentOf(paths)
      expect(pathsFor(told?.replace("TOYBOX_ROOT=", ""))).toEqual(paths)
    }
  })

  test("the system's, unless a root is given", () => {
    expect(pathsFor(undefined)).toMatchObject({
      state: "/var/lib/toybox",
      run: "/run/toybox",
      running: "/run/toybox/running",
    })
    expect(pathsFor("/x").running).toBe("/x/run/running")
    expect(pathsFor("rel").state).toBe(`${process.cwd()}/rel`)
  })
})

describe("ids", () => {
  test("are 64 hexadecimal digits, and never the same", () => {
    const ids = new Set(Array.from({ length: 200 }, state.newId))
    expect(ids.size).toBe(200)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{64}$/)
  })

  test("a name, an id, or an unambiguous beginning", () => {
    const paths = makeState()
    const ids = ["ab12".padEnd(64, "0"), "ab13".padEnd(64, "1"), "cd".padEnd(64, "2")]
    // A name that looks like the beginning of somebody else's id is a name first; one that looks like a whole id is not.
    const names = [ids[2] ?? "", "ab12", "web"]
    ids.forEach((id, i) => {
      makeContainer(paths, { id, name: names[i] ?? "" })
      takeName(paths, names[i] ?? "", id, true)
    })
    const resolve = (reference: string) => state.resolveId(paths, reference)
    expect([resolve("web"), resolve("cd"), resolve("ab120"), resolve(ids[0] ?? ""), resolve("ab12")]).toEqual([
      ids[2],
      ids[2],
      ids[0],
      ids[0],
      ids[1],
    ] as never)
    expect(resolve(ids[2] ?? "")).toBe(ids[2] ?? "")
    expect(() => resolve("ab1")).toThrow("beginning of 2")
    for (const wrong of ["", "none", "AB12", "../containers", "f".repeat(64), ".", "c d", "cd\n"])
      expect(() => resolve(wrong)).toThrow("no such container")
  })
})

describe("names", () => {
  test.each(["ab", "A1", "0_.-", "x".repeat(128)])("%s is one", (name) => {
    const paths = makeState()
    expect(takeName(paths, name, "id", true)).toBe(true)
    expect(readdirSync(paths.names)).toEqual([name])
  })

  test.each(["", "a", ".a", "-a", "_a", "a/b", "a b", "ä1", "..", "a\n", "x".repeat(129)])("%j is none", (name) => {
    expect(() => takeName(makeState(), name, "id", true)).toThrow("is not a container name")
  })

  test("one is taken once, and given back by its holder only", () => {
    const paths = makeState()
    expect(takeName(paths, "web", "a".repeat(64), true)).toBe(true)
    makeContainer(paths, { id: "a".repeat(64), name: "web" })
    expect(takeName(paths, "web", "b".repeat(64), false)).toBe(false)
    expect(() => takeName(paths, "web", "b".repeat(64), true)).toThrow('"web" is in use by container aaaaaaaaaaaa')
    releaseName(paths, "web", "b".repeat(64))
    expect(readdirSync(paths.names)).toEqual(["web"])
    releaseName(paths, "web", "a".repeat(64))
    expect(readdirSync(paths.names)).toEqual([])
  })
})

describe("names that a killed rename has left", () => {
  const old = "a".repeat(64)
  const other = "b".repeat(64)

  test("lead nowhere, and can be taken", () => {
    const paths = makeState()
    makeContainer(paths, { id: old, name: "before" })
    for (const name of ["before", "after"]) symlinkSync(old, `${paths.names}/${name}`)
    symlinkSync("c".repeat(64), `${paths.names}/nobody`)
    for (const name of ["after", "nobody"]) {
      expect(() => state.resolveId(paths, name)).toThrow("no such container")
      expect(takeName(paths, name, other, true)).toBe(true)
    }
    expect(() => takeName(paths, "before", other, true)).toThrow("in use")
  })

  test("of one that is being made they do not", () => {
    const paths = makeState()
    const lock = enter(paths, old, runningRecord({ name: "web" }))
    takeName(paths, "web", old, true)
    expect(() => takeName(paths, "web", other, true)).toThrow("in use")
    expect(state.resolveId(paths, "web")).toBe(old)
    state.leaveRunning(lock)
    expect(takeName(paths, "web", other, true)).toBe(true)
  })

  test("a change that cannot be written down is none", () => {
    const paths = makeState()
    makeContainer(paths, { id: old, name: "before" })
    takeName(paths, "before", old, true)
    const change = (to: string) =>
      changeName(paths, old, { from: "before", to }, () => {
        throw new Error("full")
      })
    expect(() => change("after")).toThrow("full")
    expect(() => change("before")).toThrow("in use")
    expect(() => change("/")).toThrow("is not a container name")
    expect(readdirSync(paths.names)).toEqual(["before"])
  })
})

describe("the running ones", () => {
  test("an entry is locked from the first, and nobody takes it for a dead one's", () => {
    const paths = makeState()
    const lock = enter(paths, "one", runningRecord({ pid: 5 }))
    expect(state.runningIds(paths)).toEqual(["one"])
    expect(state.lockDead(paths, "one")).toBeNull()
    expect(state.readRunning(paths, "one")).toEqual(runningRecord({ pid: 5 }))
    state.updateRunning(lock, runningRecord({ pid: 123456, name: "x".repeat(100) }))
    expect(state.readRunning(paths, "one")?.pid).toBe(123456)
    state.updateRunning(lock, runningRecord())
    expect(state.readRunning(paths, "one")).toEqual(runningRecord())
    state.leaveRunning(lock)
    expect([state.runningIds(paths), state.readRunning(paths, "one"), state.lockDead(paths, "one")]).toEqual([
      [],
      null,
      null,
    ])
    expect(readdirSync(paths.running)).toEqual([])
  })

  test("whose toybox is dead can be taken, by one", () => {
    const paths = makeState()
    const lock = enter(paths, "one", runningRecord())
    close(lock.fd)
    const taken = state.lockDead(paths, "one")
    expect(taken).not.toBeNull()
    expect(state.lockDead(paths, "one")).toBeNull()
    if (taken) state.leaveRunning(taken)
  })

  test("a lock on a file that has just gone is nobody's", () => {
    const paths = makeState()
    const lock = enter(paths, "one", runningRecord())
    const late = open(lock.path, O_RDWR)
    state.leaveRunning(lock)
    expect(tryLock(late)).toBe(true)
    close(late)
    expect(state.lockDead(paths, "one")).toBeNull()
  })

  test("a reader beside a writer always gets a whole record", async () => {
    const paths = makeState()
    const lock = enter(paths, "one", runningRecord())
    const program = `
      import { readRunning } from ${JSON.stringify(import.meta.resolve("../../../src/container/state.ts"))}
      const paths = ${JSON.stringify(paths)}
      for (let i = 0; i < 3000; i++) if (typeof readRunning(paths, "one")?.pid !== "number") process.exit(1)`
    const reader = Bun.spawn([process.execPath, "-e", program], { stderr: "inherit" })
    let ended = false
    reader.exited.then(() => {
      ended = true
    })
    while (!ended) {
      for (let i = 0; i < 500; i++) state.updateRunning(lock, runningRecord({ pid: i, name: "x".repeat(i) }))
      await Bun.sleep(0)
    }
    expect(await reader.exited).toBe(0)
    state.leaveRunning(lock)
  })

  test("an entry without its content is no obstacle", () => {
    const paths = makeState()
    writeFileSync(`${paths.running}/one`, "")
    expect(state.readRunning(paths, "one")).toBeNull()
  })
})

describe("records", () => {
  test("are what was written; half of one is none", () => {
    const paths = makeState()
    const record = makeContainer(paths)
    const result = { exitCode: 3, oomKilled: false, finished: "now" }
    state.writeResult(paths, record.id, result)
    expect(state.readRecord(paths, record.id)).toEqual(JSON.parse(JSON.stringify(record)))
    expect(state.readResult(paths, record.id)).toEqual(result)
    for (const broken of ["", '{"id":', "\0\0\0"]) {
      for (const name of ["container", "result"])
        writeFileSync(`${state.containerPath(paths, record.id)}/${name}.json`, broken)
      expect([state.readRecord(paths, record.id), state.readResult(paths, record.id)]).toEqual([null, null])
    }
    expect([state.readRecord(paths, "none"), state.readResult(paths, "none")]).toEqual([null, null])
  })

  test("a container is forgotten with its name and all its files", () => {
    const paths = makeState()
    const { id, name } = makeContainer(paths)
    takeName(paths, name, id, true)
    mkdirSync(`${state.containerPath(paths, id)}/upper/a/b`, { recursive: true })
    forget(paths, id, name)
    expect([readdirSync(paths.containers), readdirSync(paths.names)]).toEqual([[], []])
    forget(paths, id, name)
  })

  test("other things among the containers are none", () => {
    const paths = makeState()
    mkdirSync(`${paths.containers}/lost+found`)
    const { id } = makeContainer(paths)
    expect(state.allIds(paths)).toEqual([id])
  })
})

describe("isAlive", () => {
  test("pid and start time name one process", () => {
    const startTime = state.startTime(process.pid) ?? ""
    expect(startTime).toMatch(/^\d+$/)
    expect(readFileSync(`/proc/${process.pid}/stat`, "utf8")).toContain(` ${startTime} `)
    const alive = (pid: number, time: string) => state.isAlive(runningRecord({ pid, startTime: time }))
    expect([
      alive(process.pid, startTime),
      alive(process.pid, "1"),
      alive(0, ""),
      alive(2 ** 22 + 1, startTime),
    ]).toEqual([true, false, false, false])
  })

  test("a process whose name has brackets and blanks", async () => {
    const path = `${temporaryDirectory()}/a) R 1 (b`
    await Bun.write(path, Bun.file("/bin/sleep"))
    chmodSync(path, 0o755)
    const child = Bun.spawn([path, "5"])
    await Bun.sleep(20)
    expect(state.startTime(child.pid)).toMatch(/^\d{2,}$/)
    child.kill("SIGKILL")
    await child.exited
    expect(existsSync(`/proc/${child.pid}`)).toBe(false)
    expect(state.startTime(child.pid)).toBeNull()
  })
})
