import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"

const BUSYBOX = ["/bin/busybox", "/usr/bin/busybox"]
const ROOT_DIRECTORIES = ["bin", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "var"]
const APPLETS = ["sh", "true", "false", "cat", "echo", "ls", "id", "ps", "sleep"]
const FILES_PER_DIRECTORY = 100

/** Makes the one directory that everything of a bench run is under. */
export function makeWorkspace(): string {
  return mkdtempSync(join(tmpdir(), "toybox-bench-"))
}

/**
 * Puts a new ext4 file system over the workspace, for as long as this mount namespace is. On one in use, ext4 looks for a free
 * inode through all those that were deleted in the last minutes (recently_deleted in fs/ext4/ialloc.c): what ran before on this
 * machine would cost whoever makes files here a multiple of what is measured.
 */
export function mountNewFilesystem(workspace: string): void {
  const script = 'truncate -s 16G "$1" && mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$1"'
  const image = join(workspace, "disk.img")
  const made = Bun.spawnSync(["sh", "-c", `${script} && mount -o loop "$1" "$2"`, "-", image, workspace])
  if (made.exitCode !== 0) throw new Error(`no new file system: ${made.stderr}`)
  chmodSync(workspace, 0o700)
}

/** The cgroup that the peers of a run put their containers under, so that it can be found and removed. */
export function benchCgroup(workspace: string): string {
  return basename(workspace)
}

/** Makes a busybox root at `dir`, with `extraFiles` files more. */
export function makeBenchRoot(dir: string, extraFiles = 0): string {
  const busybox = BUSYBOX.find(existsSync)
  if (busybox === undefined) throw new Error("no busybox: install busybox-static")
  for (const name of ROOT_DIRECTORIES) mkdirSync(join(dir, name), { recursive: true })
  cpSync(busybox, join(dir, "bin/busybox"))
  for (const applet of APPLETS) symlinkSync("busybox", join(dir, "bin", applet))
  writeFileSync(join(dir, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")
  writeFileSync(join(dir, "etc/group"), "root:x:0:\ntty:x:5:\n")
  // Targets of the bind mounts: not every runtime makes them in the root that it was given.
  for (const name of ["hostname", "hosts", "resolv.conf"]) writeFileSync(join(dir, "etc", name), "")
  for (let i = 0; i < extraFiles; i++) {
    const sub = join(dir, "usr/share", `d${Math.floor(i / FILES_PER_DIRECTORY)}`)
    if (i % FILES_PER_DIRECTORY === 0) mkdirSync(sub, { recursive: true })
    writeFileSync(join(sub, `f${i}`), `file ${i}\n`)
  }
  return dir
}

function quietly(cmd: string[]): void {
  Bun.spawnSync(["timeout", "-k", "2", "60", ...cmd], { stdin: "ignore", stdout: "ignore", stderr: "ignore" })
}

/** Kills what a peer left running in the background with the workspace on its command line (conmon does that). */
function killStragglers(workspace: string): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (Number(pid) === process.pid) continue
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${workspace}/`)) process.kill(Number(pid), "SIGKILL")
    } catch {
      // The process has ended since the directory was read, which is what is wanted.
    }
  }
}

function killMembers(group: string): void {
  try {
    for (const pid of readFileSync(join(group, "cgroup.procs"), "utf8")
      .split("\n")
      .filter((line) => line !== "")) {
      process.kill(Number(pid), "SIGKILL")
    }
  } catch {
    // Not a cgroup but a directory without the file, or the process has ended by itself.
  }
}

/** `dir` and the groups below it, innermost first. */
function cgroupTree(dir: string): string[] {
  const below = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return [...below.flatMap((entry) => cgroupTree(join(dir, entry.name))), dir]
}

function removeCgroup(dir: string): void {
  killMembers(dir)
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      rmdirSync(dir)
      return
    } catch {
      // EBUSY until the killed are gone; what is still there afterwards is reported by the caller.
      Bun.sleepSync(10)
    }
  }
}

function removeCgroups(name: string): void {
  const trees = ["/sys/fs/cgroup", ...readdirSync("/sys/fs/cgroup").map((entry) => join("/sys/fs/cgroup", entry))]
  for (const tree of trees.map((dir) => join(dir, name)).filter(existsSync)) {
    for (const dir of cgroupTree(tree)) removeCgroup(dir)
    if (existsSync(tree)) console.error(`bench: ${tree} could not be removed`)
  }
}

/** Removes everything a run has made: processes, mounts, files, cgroups. Safe to call twice. */
export function removeWorkspace(workspace: string): void {
  killStragglers(workspace)
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(`${workspace}/`))
  for (const path of mounts.reverse()) quietly(["umount", "-R", "-l", path])
  quietly(["rm", "-rf", "--one-file-system", workspace])
  removeCgroups(benchCgroup(workspace))
}
