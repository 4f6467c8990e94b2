/** --explain tells all and does nothing; --trace does it and tells. */
import { describe, expect, test } from "bun:test"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, mountsBelow, scratch, temporaryDirectory } from "../helpers/scratch.ts"
import { stateRoot, toybox } from "../helpers/toybox.ts"
import { fingerprint } from "../helpers/tree.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** Asserts that the patterns match lines in this order. */
function expectInOrder(text: string, patterns: readonly RegExp[]): void {
  const lines = text.split("\n")
  let position = 0
  for (const pattern of patterns) {
    const found = lines.findIndex((line, i) => i >= position && pattern.test(line))
    if (found < 0) throw new Error(`${pattern} does not follow line ${position}:\n${text}`)
    position = found + 1
  }
}

const explain = async (form: "--explain" | "--explain=calls" | "--explain=shell", ...args: string[]) => {
  const result = await toybox(["run", form, ...args])
  expect(result).toMatchObject({ exitCode: 0, stderr: "" })
  return result.stdout
}

const SOME = ["--cpu", "10%", "--mem", "500M", "--hostname", "explained", "-v", "/tmp:/data:ro", "--user", "1000:1000"]

describe.skipIf(!isRoot)("--explain", () => {
  test("is the container made by hand, in order", async () => {
    const text = await explain("--explain", ...SOME, "base", "sh", "-c", "echo 'a b'")
    expectInOrder(text, [
      /^# The host, before$/,
      /^mkdir .*cpu.*toybox/,
      /^echo 10000 > .*cpu.cfs_quota_us$|^echo "?10000 100000"? > .*cpu.max$/,
      /^echo 524288000 > .*memory/,
      /^# The container's process$/,
      /^unshare .*--pid/,
      /^unshare --mount --uts --ipc --net/,
      /^mkdir -p .*\/upper$/,
      /^mkdir -p .*\/work$/,
      /^mount -t overlay overlay -o lowerdir=.*upperdir=.*workdir=.* .*\/merged$/,
      /^echo \$\$ > .*toybox/,
      /^unshare --cgroup/,
      /^mount --make-rprivate \/$/,
      /^mount -t proc proc -o nosuid,nodev,noexec .*\/proc$/,
      /^mount -t tmpfs tmpfs -o .*\/dev$/,
      /^mount -t devpts .*\/dev\/pts$/,
      /^mount -t sysfs sysfs -o ro,.*\/sys$/,
      /^mount --rbind \/tmp .*\/data$/,
      /^mount -o remount,bind,ro .*\/data$/,
      /^mknod -m 666 .*\/dev\/null c 1 3$/,
      /^ln -s \/proc\/self\/fd .*\/dev\/fd$/,
      /^hostname explained$/,
      /^ip link set lo up$/,
      /^mount --bind .*\/proc\/keys/,
      /^pivot_root \. \.$/,
      /^umount -l \.$/,
      /^prlimit .*--nofile=1024:/,
      /^# The sealed second stage$/,
      /^keyctl new_session$/,
      /^umask 022$/,
      /^capsh --drop=/,
      /^setpriv --reuid=1000 --regid=1000 --groups=1000/,
      /^setpriv --no-new-privs/,
      /^# system calls are filtered from here on/,
      /^exec env -i PATH=\S+ HOSTNAME=explained HOME=\/ sh -c 'echo '\\''a b'\\'''$/,
    ])
  })

  const VARIANTS: readonly (readonly string[])[] = [
    [],
    ["-t", "--init"],
    [
      "--read-only",
      "--tmpfs",
      "/x:size=1m",
      "--workdir",
      "/some where",
      "-e",
      "A='$(x)\n\"",
      "--sysctl",
      "net.core.somaxconn=9",
    ],
    ["--privileged", "--pid", "host", "--net", "host", "--ipc", "host", "--uts", "host", "--cgroupns", "host"],
    [
      "-v",
      "/tmp:/data:rslave",
      "-v",
      "/dev:/dev",
      "--time",
      "private",
      "--rm",
      "--ulimit",
      "core=0",
      "--oom-score-adj",
      "5",
    ],
    [
      "--device",
      "/dev/loop-control:/dev/lc:r",
      "--pids",
      "9",
      "--cap-drop",
      "ALL",
      "--security-opt",
      "no-new-privileges=false",
    ],
  ]

  test.each(VARIANTS.map((words) => [words] as const))("is a script that a shell can read: %p", async (words) => {
    const text = await explain("--explain", ...words, "base", "sh", "-c", "echo 'it''s'")
    expect(Bun.spawnSync(["sh", "-n"], { stdin: Buffer.from(text), stderr: "pipe" }).stderr.toString()).toBe("")
    expect(text).not.toMatch(/undefined|NaN|\[object/)
    const calls = await explain("--explain=calls", ...words, "base", "true")
    expect(calls).not.toMatch(/undefined|NaN|\[object/)
    for (const line of calls
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#") && !/^(mkdir|echo) /.test(line))) {
      expect(line).toMatch(/^[a-z_0-9]+\(.*\)/)
    }
  })

  test("of an archive and an address shows what would be fetched and unpacked, and does none of it", async () => {
    const dir = temporaryDirectory("archive")
    const path = join(dir, "it's.tar")
    Bun.spawnSync(["tar", "-C", makeRoot(), "-cf", path, "."])
    const before = readdirSync(stateRoot(), { recursive: true }).sort()
    const sum = "0".repeat(64)
    const file = await explain("--explain", "--checksum", sum, path, "true")
    expect(file).toMatch(
      /^# The root file system\nmkdir -p \S+\/layers\/new\/root\necho .* \| sha256sum -c\ntar .* -xpf /,
    )
    const words = ["--checksum", `sha256:${sum}`, "--ca", "/etc/ca.pem", "https://user:secret@127.0.0.1:1/x.tar"]
    for (const form of ["--explain", "--explain=calls"] as const) {
      const address = await explain(form, ...words, "true")
      expect(address).toContain(" -O ")
      expect(address).toContain(" https://127.0.0.1:1/x.tar\n")
      expect(address).toContain(`echo '${sum}  `)
      expect(address).not.toContain("secret")
    }
    expect(Bun.spawnSync(["sh", "-n"], { stdin: Buffer.from(file), stderr: "pipe" }).stderr.toString()).toBe("")
    expect(readdirSync(stateRoot(), { recursive: true }).sort()).toEqual(before)
    await toybox(["run", "--rm", "-q", path, "true"])
    expect(await explain("--explain", path, "true")).toMatch(
      /is in the cache\nls -d \S+\/layers\/sha256\/[0-9a-f]{64}\/root\n/,
    )
  })

  test("=calls shows the calls, in order", async () => {
    const text = await explain("--explain=calls", ...SOME, "base", "/bin/true")
    expectInOrder(text, [
      /^# Stage one/,
      /^clone3\(\{CLONE_NEWPID\|CLONE_CLEAR_SIGHAND/,
      /^prctl\(PR_SET_PDEATHSIG, 9/,
      /^unshare\(CLONE_NEWNS\|CLONE_NEWUTS\|CLONE_NEWIPC\|CLONE_NEWNET\)$/,
      /^mkdirat\(AT_FDCWD, ".*upper", 0755\)/,
      /^fsopen\("overlay", FSOPEN_CLOEXEC\)/,
      /^fsmount\(/,
      /^unshare\(CLONE_NEWCGROUP\)$/,
      /^mount\(NULL, "\/", NULL, MS_REC\|MS_PRIVATE, NULL\)$/,
      /^move_mount\(<root>, "", AT_FDCWD, ".*merged"/,
      /^fsopen\("proc", FSOPEN_CLOEXEC\)/,
      /^openat2\(<root>, "proc", \{.*RESOLVE_NO_MAGICLINKS\|RESOLVE_NO_SYMLINKS\|RESOLVE_IN_ROOT\}/,
      /^mknodat\(<dev>, "null", S_IFCHR\|0666, 259\)$/,
      /^sethostname\("explained", 9\)$/,
      /^pivot_root\("\.", "\."\)$/,
      /^umount2\("\.", MNT_DETACH\)$/,
      /^execveat\(/,
      /^# Stage two/,
      /^prctl\(PR_SET_DUMPABLE, 0/,
      /^prctl\(PR_CAPBSET_DROP/,
      /^setresuid\(1000, 1000, 1000\)$/,
      /^capset\(/,
      /^prctl\(PR_SET_NO_NEW_PRIVS, 1/,
      /^execve\("\/bin\/true", \["\/bin\/true"\]/,
    ])
  })

  test("knows the users of the base image before the first run", async () => {
    const env = { TOYBOX_ROOT: join(temporaryDirectory("fresh"), "state") }
    const { stdout } = await toybox(["run", "--explain", "--net", "none", "-u", "daemon", "base", "sh"], { env })
    expectInOrder(stdout, [/^setpriv --reuid=1 --regid=1 /, /^exec env -i .* HOME=\/usr\/sbin sh$/])
  })

  test("does nothing", async () => {
    const directory = temporaryDirectory("none")
    const state = join(directory, "state")
    const root = makeRoot()
    const image = fingerprint(root)
    const options = { env: { TOYBOX_ROOT: state } }
    for (const form of ["--explain", "--explain=calls"]) {
      for (const where of ["base", root]) {
        const cidfile = join(directory, "cid")
        const args = [
          "run",
          form,
          ...SOME,
          "--name",
          "named",
          "--cidfile",
          cidfile,
          where,
          "sh",
          "-c",
          "echo ran > /ran",
        ]
        expect(await toybox(args, options)).toMatchObject({ exitCode: 0, stderr: "" })
      }
    }
    expect(readdirSync(directory)).toEqual([])
    expect(fingerprint(root)).toEqual(image)
    expect(mountsBelow(scratch())).toEqual([])
    // Where there is a state directory, nothing comes into it.
    mkdirSync(join(state, "base"), { recursive: true, mode: 0o700 })
    writeFileSync(join(state, "mine"), "")
    await toybox(["run", "--explain", root, "true"], options)
    expect(readdirSync(state).sort()).toEqual(["base", "mine"])
  })

  test("names what a run would refuse", async () => {
    expect(await toybox(["run", "--explain=prose", "base"])).toMatchObject({
      exitCode: 125,
      stderr: 'toybox: --explain: "prose" is not known (use --explain, --explain=shell or --explain=calls)\n',
    })
    expect((await toybox(["run", "--explain", "--user", "nobody-here", "base"])).exitCode).toBe(125)
    expect((await toybox(["run", "--explain", "/none-such"])).stderr).toContain(
      "/none-such: there is no such directory",
    )
  })
})

describe.skipIf(!isRoot)("--trace", () => {
  const LINE = /^(parent|child |sealed) ([a-z_0-9]+)\(.*\).* = (-1 E\w+|-?\d+)( <\d+ µs>)?$/

  test("prints calls with results and times, and runs the command", async () => {
    const { stdout, stderr, exitCode } = await toybox([
      "run",
      "--rm",
      "--trace",
      "base",
      "sh",
      "-c",
      "echo out; exit 7",
    ])
    expect({ stdout, exitCode }).toEqual({ stdout: "out\n", exitCode: 7 })
    const lines = stderr.trimEnd().split("\n")
    expect(lines.filter((line) => !LINE.test(line))).toEqual([])
    expect(lines.filter((line) => / <\d+ µs>$/.test(line)).length).toBeGreaterThan(100)
    expectInOrder(stderr, [
      /clone3/,
      /^child {2}fsopen\("overlay"/,
      /pivot_root\("\.", "\."\) = 0/,
      /^sealed .*PR_SET_DUMPABLE/,
      /^sealed execve\(/,
    ])
  })

  test("is of the calls that --explain=calls shows", async () => {
    const args = ["--rm", ...SOME, "base", "/bin/true"]
    const shown = (await explain("--explain=calls", ...args)).split("# Stage one")[1] ?? ""
    const names = (text: string) =>
      text
        .split("\n")
        .flatMap((line) => /^(?:child +|sealed )?([a-z_0-9]+)\(/.exec(line)?.[1] ?? [])
        // Their number depends on what descriptors there are.
        .filter((name) => name !== "close_range" && name !== "fcntl")
    const planned = names(shown)
    const { stderr } = await toybox(["run", "--trace", ...args])
    // The clone returns twice; a list may jump over what need not be made. An exec that succeeds reports nothing.
    // Which of its two returns is reported first is chance.
    const made = names(stderr).filter((name) => name !== "clone3")
    let position = 0
    const missing = made.filter((name) => {
      const found = planned.indexOf(name, position)
      if (found >= 0) position = found + 1
      return found < 0
    })
    expect(missing).toEqual([])
    expect(made.length).toBeGreaterThan(planned.length * 0.7)
  })

  test("shows the call that failed", async () => {
    const { stderr, exitCode } = await toybox(["run", "--rm", "--trace", "base", "/none-such"])
    expect(exitCode).toBe(127)
    expectInOrder(stderr, [/^sealed execve\("\/none-such".* = -1 ENOENT/, /^toybox: \/none-such: command not found$/])
  })
})
