/** Roots made to harm: links planted where toybox mounts, reads or enters lead nowhere outside the root. */
import { beforeAll, describe, expect, test } from "bun:test"
import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { hostMounts, sh } from "../helpers/container.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { fingerprint } from "../helpers/tree.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
let root: string
/** A directory of the host that the links are to lead to, with all that toybox might look for in it. */
let victim: string
let before: Record<string, string>
let mountsBefore: number

beforeAll(() => {
  root = makeRoot({ directories: ["inner/dir"] })
  victim = temporaryDirectory("victim")
  for (const name of ["pts", "shm", "fs/cgroup", "self"]) mkdirSync(join(victim, name), { recursive: true })
  for (const name of ["hosts", "hostname", "resolv.conf", "null", "file"]) writeFileSync(join(victim, name), "host's\n")
  before = fingerprint(victim)
  mountsBefore = hostMounts().filter(({ path }) => path.startsWith(victim)).length
})

/** Nothing of the host has changed, nothing is mounted there. */
function expectUntouched(): void {
  expect(fingerprint(victim)).toEqual(before)
  expect(hostMounts().filter(({ path }) => path.startsWith(victim))).toHaveLength(mountsBefore)
}

/** Puts a link in the place of a path of the root while `act` runs. */
async function planted(path: string, target: string, act: () => Promise<void>): Promise<void> {
  const place = join(root, path)
  const aside = `${place}.aside`
  mkdirSync(dirname(place), { recursive: true })
  const existed = lstatSync(place, { throwIfNoEntry: false }) !== undefined
  if (existed) renameSync(place, aside)
  symlinkSync(target, place)
  try {
    await act()
  } finally {
    rmSync(place)
    if (existed) renameSync(aside, place)
  }
}

const PLANTS: readonly (readonly [string, () => string])[] = [
  ["absolute", () => victim],
  ["relative", () => `../../../../../../../../../..${victim}`],
  ["in a chain", () => "/chain/first"],
  ["through /proc/1/root", () => `/proc/1/root${victim}`],
  ["through /proc/self/root", () => `/proc/self/root/../../..${victim}`],
  ["through a descriptor", () => "/proc/self/fd/3"],
  ["through the working directory", () => "/proc/self/cwd"],
  ["to itself", () => "/loop/loop"],
  ["within the root", () => "/inner/dir"],
]

describe.skipIf(!isRoot)("a link in the place of", () => {
  beforeAll(() => {
    mkdirSync(join(root, "chain"))
    symlinkSync("second/x", join(root, "chain/first"))
    symlinkSync(dirname(victim), join(root, "chain/second"))
    symlinkSync(victim, join(root, "chain/x"))
    mkdirSync(join(root, "loop"))
    symlinkSync("loop", join(root, "loop/loop"))
  })

  const DIRECTORIES = [
    "/proc",
    "/dev",
    "/dev/pts",
    "/dev/shm",
    "/dev/mqueue",
    "/sys",
    "/sys/fs",
    "/sys/fs/cgroup",
    "/run",
  ]
  const FILES = ["/etc", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]

  // What the container has to see where it runs at all: the mounts are where they belong, and of toybox.
  const SCRIPT = `
    for m in /proc:proc /dev:tmpfs /dev/pts:devpts /dev/shm:tmpfs /dev/mqueue:mqueue /sys:sysfs; do
      grep -q " \${m%:*} \${m#*:} " /proc/mounts || echo "no $m"
    done
    [ "$(cat /etc/hostname)" = planted ] || echo no hostname; echo ran`

  test.each([...DIRECTORIES, ...FILES])("%s", async (path) => {
    for (const [name, target] of PLANTS) {
      await planted(path, target(), async () => {
        const { exitCode, stdout, stderr } = await sh(SCRIPT, { image: root, run: ["--hostname", "planted"] })
        const refused = exitCode === 125 && stderr.startsWith("toybox: cannot mount ") && stderr.includes(path)
        const contained = exitCode === 0 && stdout === "ran\n" && stderr === ""
        expect({ name, outcome: refused || contained || `${exitCode} ${stdout} ${stderr}` }).toEqual({
          name,
          outcome: true,
        })
        expectUntouched()
      })
    }
  })

  test("/proc, /dev and /sys is refused, and the message says why: CVE-2023-27561, CVE-2026-41579, CVE-2026-47766", async () => {
    for (const path of ["/proc", "/dev", "/sys"]) {
      await planted(path, "/inner/dir", async () => {
        const { exitCode, stderr } = await sh("true", { image: root })
        expect(exitCode).toBe(125)
        expect(stderr).toMatch(new RegExp(`^toybox: cannot mount \\w+ on ${path}: openat2\\(.*\\): E(LOOP|NOTDIR)\\n`))
        expect(stderr).toContain("hint: the root has a symbolic link there")
      })
    }
  })

  test.each(["/target", "/mid", "/mid/target"])(
    "a mount's destination %s makes nothing outside: CVE-2024-45310",
    async (path) => {
      const source = temporaryDirectory("source")
      writeFileSync(join(source, "mark"), "mark")
      const mounts = [
        ["-v", `${source}:/mid/target`, "-v", `${source}:/target`],
        ["-v", `${source}/mark:/mid/target`, "-v", `${source}/mark:/target`],
        ["--tmpfs", "/mid/target", "--tmpfs", "/target"],
        ["--device", "/dev/null:/mid/target", "--device", "/dev/null:/target"],
      ]
      for (const [name, target] of PLANTS) {
        for (const run of mounts) {
          await planted(path, target(), async () => {
            const { exitCode, stdout, stderr } = await sh("echo ran", { image: root, run })
            const refused = exitCode === 125 && stderr.startsWith("toybox: cannot ") && stderr.includes(path)
            const contained = exitCode === 0 && stdout === "ran\n"
            expect({ name, run, outcome: refused || contained || `${exitCode} ${stderr}` }).toEqual({
              name,
              run,
              outcome: true,
            })
            expectUntouched()
          })
        }
      }
    },
  )

  test.each(["/work", "/mid/work"])("the working directory %s", async (path) => {
    for (const [name, target] of PLANTS) {
      for (const workdir of [path, `${path}/new/deep`]) {
        await planted(path, target(), async () => {
          const { exitCode, stdout, stderr } = await sh("pwd; touch here", { image: root, run: ["--workdir", workdir] })
          const refused = exitCode === 125 && stderr.includes(path)
          const contained = exitCode === 0 && /^\/\w/.test(stdout)
          expect({ name, workdir, outcome: refused || contained || `${exitCode} ${stdout} ${stderr}` }).toEqual({
            name,
            workdir,
            outcome: true,
          })
          expectUntouched()
        })
      }
    }
  })

  test("/dev/null does not change what hides paths: CVE-2025-31133", async () => {
    await planted("/dev/null", join(victim, "null"), async () => {
      const { stdout } = await sh("cat /proc/keys /proc/timer_list; stat -c %t:%T /dev/null", { image: root })
      expect(stdout).toBe("1:3\n")
      expectUntouched()
    })
  })

  test("the image is itself unchanged by all this", () => {
    expect(readdirSync(root).filter((name) => name.includes("aside"))).toEqual([])
    expect(readdirSync(join(root, "inner/dir"))).toEqual([])
  })
})

describe.skipIf(!isRoot)("a link that comes and goes while containers start", () => {
  test("leads no mount out of a shared volume: CVE-2021-30465", async () => {
    const volume = temporaryDirectory("volume")
    const source = temporaryDirectory("source")
    // One rename(2) swaps directory and link: RENAME_EXCHANGE is 2, renameat2 is system call 316 or 276.
    const number = process.arch === "arm64" ? 276 : 316
    mkdirSync(join(volume, "a"))
    symlinkSync(victim, join(volume, "b"))
    const swap = `my ($a, $b) = @ARGV; while (1) { syscall(${number}, -100, $a, -100, $b, 2) == 0 or die $! }`
    const swapper = Bun.spawn(["timeout", "-k", "1", "15", "perl", "-e", swap, `${volume}/a`, `${volume}/b`])
    const outcomes: string[] = []
    for (let round = 0; round < 40; round++) {
      const run = ["-v", `${volume}:/v`, "-v", `${source}:/v/a/made`, "--tmpfs", "/v/a/other"]
      const { exitCode, stdout, stderr } = await sh("echo ran", { image: root, run })
      outcomes.push(exitCode === 0 ? stdout : `${exitCode} ${stderr.split("\n")[0]}`)
    }
    expect(swapper.exitCode).toBeNull()
    swapper.kill("SIGTERM")
    await swapper.exited
    expectUntouched()
    // Both states have been met.
    expect(new Set(outcomes.map((text) => text.slice(0, 3)))).toEqual(new Set(["ran", "125"]))
    expect(outcomes.filter((text) => text !== "ran\n" && !text.startsWith("125 toybox: cannot mount "))).toEqual([])
  })
})
