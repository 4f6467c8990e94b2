import { errnoNumber, SyscallError } from "../../../ffi/errno.ts"
import type { CgroupIo } from "../../../src/cgroup/io.ts"

/** A cgroup file system in memory, with the refusals of the kernel that matter here. */
export interface Fake {
  readonly io: CgroupIo
  readonly files: Map<string, string>
  readonly dirs: Set<string>
  /** Every mkdir, rmdir, write, kill and program, in order. */
  readonly log: string[]
  readonly programs: Map<string, Uint8Array>
  slept: number
  /** Called before each write: may throw `fail(...)`. */
  onWrite: (path: string, text: string) => void
  /** Called before each mkdir. */
  onMkdir: (path: string) => void
  /** What nobody may write. */
  readonly protected: Set<string>
}

export function fail(call: string, errno: string, detail: string): SyscallError {
  return new SyscallError(call, errnoNumber(errno), detail)
}

const parent = (path: string) => path.slice(0, path.lastIndexOf("/"))

/** `template` gives the files (name to content) of a new cgroup directory. */
export function fakeCgroups(
  roots: Readonly<Record<string, Readonly<Record<string, string>>>>,
  template: (dir: string) => Readonly<Record<string, string>>,
): Fake {
  const files = new Map<string, string>()
  const dirs = new Set<string>()
  const log: string[] = []
  const programs = new Map<string, Uint8Array>()
  const fill = (dir: string, content: Readonly<Record<string, string>>) => {
    dirs.add(dir)
    for (const [name, text] of Object.entries(content)) files.set(`${dir}/${name}`, text)
  }
  for (const [dir, content] of Object.entries(roots)) fill(dir, content)
  const readText = (path: string) => {
    const text = files.get(path)
    if (text === undefined) throw fail("openat", "ENOENT", path)
    return text
  }
  const fake: Fake = {
    io: {} as CgroupIo,
    files,
    dirs,
    log,
    programs,
    slept: 0,
    onWrite() {},
    onMkdir() {},
    protected: new Set(),
  }
  const io: CgroupIo = {
    readText,
    tryReadText: (path) => files.get(path) ?? null,
    writeText(path, text) {
      fake.onWrite(path, text)
      readText(path)
      log.push(`${text} > ${path}`)
      if (path.endsWith("/cgroup.procs")) movePid(files, path, text)
      else if (path.endsWith("/cgroup.subtree_control"))
        files.set(path, `${files.get(path)}${text.replaceAll("+", "")} `)
      else files.set(path, text)
    },
    mkdir(path) {
      fake.onMkdir(path)
      if (dirs.has(path)) return false
      if (!dirs.has(parent(path))) throw fail("mkdir", "ENOENT", path)
      log.push(`mkdir ${path}`)
      fill(path, template(path))
      return true
    },
    rmdir(path) {
      if (files.has(path)) throw fail("rmdir", "ENOTDIR", path)
      if (!dirs.has(path)) throw fail("rmdir", "ENOENT", path)
      const busy = [...dirs].some((dir) => dir.startsWith(`${path}/`)) || files.get(`${path}/cgroup.procs`)?.trim()
      if (busy) throw fail("rmdir", "EBUSY", path)
      log.push(`rmdir ${path}`)
      dirs.delete(path)
      for (const name of [...files.keys()]) if (parent(name) === path) files.delete(name)
    },
    runBatch(ops) {
      const created = new Set<number>()
      let done = 0
      try {
        for (const [index, op] of ops.entries()) {
          if (op.kind === "write") for (const value of op.values) io.writeText(op.path, value)
          else if (io.mkdir(op.dir)) created.add(index)
          else if (op.exclusive) break
          done++
        }
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error
      }
      return { done, created }
    },
    listDir: (path) =>
      [...dirs, ...files.keys()].filter((name) => parent(name) === path).map((n) => n.slice(path.length + 1)),
    mayWrite: (path) => !fake.protected.has(path),
    eachBelow(path, each) {
      for (const dir of dirs) if (dir.startsWith(`${path}/`)) each(dir)
    },
    removeBelow(path) {
      const isBusy = (dir: string) =>
        [...dirs].some((one) => `${one}/`.startsWith(`${dir}/`) && files.get(`${one}/cgroup.procs`)?.trim())
      for (const dir of [...dirs].reverse()) if (dir.startsWith(`${path}/`) && !isBusy(dir)) io.rmdir(dir)
    },
    exists: (path) => dirs.has(path) || files.has(path),
    kill(pid) {
      log.push(`kill ${pid}`)
      for (const [path, text] of files) {
        if (path.endsWith("/cgroup.procs"))
          files.set(
            path,
            text
              .split("\n")
              .filter((line) => line !== `${pid}`)
              .join("\n"),
          )
      }
    },
    sleep(duration) {
      fake.slept += duration
    },
    now: () => fake.slept,
    attachDevices(program, dir) {
      log.push(`bpf ${dir}`)
      programs.set(dir, program)
    },
  }
  return Object.assign(fake, { io })
}

/** A process is in one cgroup of its hierarchy; the tests use one hierarchy where they move processes. */
function movePid(files: Map<string, string>, target: string, pid: string): void {
  for (const [path, text] of files) {
    if (path.endsWith("/cgroup.procs"))
      files.set(
        path,
        text
          .split("\n")
          .filter((line) => line !== pid)
          .join("\n"),
      )
  }
  files.set(target, `${files.get(target)}${pid}\n`)
}
