/** Who the command is and what it may do: user, groups, environment, capabilities, limits. */
import { describe, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { inside, sh } from "../helpers/container.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const image = isRoot ? makeRoot({ files: { "/srv/file": "", "/srv/fresh/.keep": "" } }) : ""

const field = (status: string, name: string) => new RegExp(`^${name}:[ \t]*(.*?)[ \t]*$`, "m").exec(status)?.[1] ?? ""
const status = (...run: string[]) => inside("cat /proc/self/status", { image, run })

describe.skipIf(!isRoot)("--user", () => {
  test.each([
    [[], "0 0 / 0"],
    [["alice"], "1000 1000 /home/alice 29 50 1000"],
    [["1000"], "1000 1000 /home/alice 29 50 1000"],
    [["alice:audio"], "1000 29 /home/alice 29"],
    [["alice:4242"], "1000 4242 /home/alice 4242"],
    [["bob"], "1001 1001 / 50 1001"],
    [["1234"], "1234 0 / 0"],
    [["1234:5678"], "1234 5678 / 5678"],
    [["0:staff"], "0 50 /root 50"],
    [["2147483647:2147483647"], "2147483647 2147483647 / 2147483647"],
    [
      ["alice", "--group-add", "tty", "--group-add", "7777", "--group-add", "29"],
      "1000 1000 /home/alice 5 29 50 1000 7777",
    ],
    [["1234:5678", "--group-add", "staff"], "1234 5678 / 50 5678"],
  ])("%p", async (words, expected) => {
    const output = await inside("cat /proc/self/status; echo Home: $HOME", {
      image,
      run: words.length > 0 ? ["--user", ...words] : [],
    })
    const ids = (name: string) => field(output, name).split("\t")
    // Real, effective, saved and file system ids.
    expect(new Set(ids("Uid")).size).toBe(1)
    expect(new Set(ids("Gid")).size).toBe(1)
    const home = words.length === 0 ? "/" : field(output, "Home")
    expect(`${ids("Uid")[0]} ${ids("Gid")[0]} ${home} ${field(output, "Groups")}`).toBe(expected)
  })

  test.each([
    ...["nobody-here", "2147483648", "4294967296", "4294967295", "-1", "0x0", "1e3", "1.5", "+1", " 0", "alice:", ":0"],
    ...["alice:nogroup-here", "0:-1", "0:4294967296", "0:0:0"],
  ])("%p is refused", async (user) => {
    const { stderr, exitCode } = await sh("id", { image, run: [`--user=${user}`] })
    expect(exitCode).toBe(125)
    expect(stderr).toStartWith("toybox: --user: ")
  })

  test("--group-add of an unknown group is refused", async () => {
    const { stderr, exitCode } = await sh("id", { image, run: ["--group-add", "nogroup-here"] })
    expect({ exitCode, stderr: stderr.split("\n")[0] }).toEqual({
      exitCode: 125,
      stderr: 'toybox: --group-add: the container has no group "nogroup-here"',
    })
  })
})

describe.skipIf(!isRoot)("the environment", () => {
  const env = async (run: readonly string[], options: { env?: Record<string, string> } = {}) =>
    (await toybox(["run", "--rm", "--hostname", "h", ...run, image, "env"], options)).stdout.trimEnd().split("\n")
  const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  test("is this, and nothing of the caller's", async () => {
    const caller = { HOST_ONLY: "1", LD_PRELOAD: "", BUN_OPTIONS: "--smol", NODE_OPTIONS: "--x", LANG: "C" }
    expect(await env([], { env: caller })).toEqual([PATH, "HOSTNAME=h", "HOME=/root"])
  })

  test("-e gives, overrides, empties, and takes the caller's", async () => {
    const run = [
      "-e",
      "A=1=2",
      "-e",
      "B=",
      "-e",
      "TAKEN",
      "-e",
      "NOT_THERE",
      "-e",
      "HOME=/x",
      "-eC=\"q\" 'r' $s",
      "-e",
      "A=last",
    ]
    expect(await env(run, { env: { TAKEN: "caller's" } })).toEqual([
      ...[PATH, "HOSTNAME=h", "HOME=/x", "A=last", "B=", "TAKEN=caller's", "C=\"q\" 'r' $s"],
    ])
    expect((await sh("true", { run: ["-e", "=x"] })).stderr).toContain('"=x" is no variable')
  })

  test("--env-file: comments, no quoting, CRLF; -e wins", async () => {
    const dir = temporaryDirectory("env")
    const text = '# comment\r\n\r\nA="quoted"\r\n  B=b # not a comment\r\nTAKEN\r\nC=c\nNOT_THERE\nD= spaced \n'
    writeFileSync(join(dir, "one"), text)
    writeFileSync(join(dir, "two"), "C=second")
    const run = ["--env-file", join(dir, "one"), "--env-file", join(dir, "two"), "-e", "D=d"]
    expect((await env(run, { env: { TAKEN: "t" } })).slice(3)).toEqual([
      ...['A="quoted"', "B=b # not a comment", "TAKEN=t", "C=second", "D=d"],
    ])
    writeFileSync(join(dir, "bad"), "OK=1\nnot ok=1\n")
    expect((await sh("true", { run: ["--env-file", join(dir, "bad")] })).stderr).toContain("bad:2: ")
    expect((await sh("true", { run: ["--env-file", join(dir, "none")] })).stderr).toContain("there is no such file")
  })

  test("PATH of the container decides where commands are found", async () => {
    const result = await toybox(["run", "--rm", "-e", "PATH=/none:/also/none", image, "ls"])
    expect(result).toMatchObject({
      exitCode: 127,
      stderr: "toybox: ls: command not found\ntoybox: hint: looked in /none:/also/none\n",
    })
  })
})

describe.skipIf(!isRoot)("--workdir", () => {
  test("is entered, and made where it is missing", async () => {
    expect(await inside("pwd", { image })).toBe("/")
    expect(await inside("pwd", { image, run: ["-w", "/home/../srv/"] })).toBe("/srv")
    const made = "pwd; stat -c '%a %u:%g' . .."
    expect(await inside(made, { image, run: ["-w", "/new/deep"] })).toBe("/new/deep\n755 0:0\n755 0:0")
    expect(await inside("pwd", { image, run: ["-w", "/tmp/x", "--tmpfs", "/tmp", "--read-only"] })).toBe("/tmp/x")
  })

  test("may be one that only root can enter", async () => {
    expect((await sh("/bin/pwd", { run: ["-w", "/root", "--user", "1000:1000"] })).stdout).toBe("/root\n")
  })

  test("is refused where it is relative, a file, or cannot be made", async () => {
    expect((await sh("true", { run: ["-w", "srv"] })).stderr).toContain('--workdir: "srv" must be an absolute path')
    const file = await sh("true", { image, run: ["-w", "/srv/file"] })
    expect(file).toMatchObject({ exitCode: 125 })
    expect(file.stderr).toContain("/srv/file")
    const readonly = await sh("true", { image, run: ["-w", "/missing", "--read-only"] })
    expect(readonly.exitCode).toBe(0)
  })
})

describe.skipIf(!isRoot)("the caller's", () => {
  /** Runs toybox from bash, after `before`. */
  const from = (before: string, ...args: string[]) =>
    toybox(["-c", `${before}; exec "$0" "$@"`, toyboxBinary(), "run", "--rm", ...args], { binary: "/bin/bash" })

  test("umask plays no part, and the command's is 022", async () => {
    const script = "umask; touch /srv/x; stat -c %a /srv/x /dev/null / /dev /new /run /etc/hosts /dev/shm"
    const { stdout } = await from("umask 077", "-w", "/new", image, "sh", "-c", script)
    expect(stdout).toBe("0022\n644\n666\n755\n755\n755\n755\n644\n1777\n")
    const open = await from("umask 0", "-w", "/new", image, "sh", "-c", script)
    expect(open.stdout).toBe(stdout)
  })

  test("ignored and Bun's signals do not reach the command", async () => {
    for (const extra of [[], ["--init"]]) {
      const { stdout } = await from(
        "trap '' HUP PIPE INT XFSZ USR1 RTMIN+3",
        ...extra,
        image,
        "cat",
        "/proc/self/status",
      )
      const masks = ["SigIgn", "SigBlk", "SigCgt"].map((name) => BigInt(`0x${field(stdout, name)}`))
      expect(masks).toEqual([0n, 0n, 0n])
    }
  })

  test("soft limit of descriptors is not passed on, the hard one is", async () => {
    const { stdout } = await from("ulimit -Sn 333; ulimit -Hn 3333", image, "cat", "/proc/self/limits")
    expect(/Max open files +(\d+) +(\d+)/.exec(stdout)?.slice(1)).toEqual(["1024", "3333"])
    const refused = await from("ulimit -n 32", image, "true")
    expect(refused).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining("may have 32 files open, and needs"),
    })
    const low = await from("ulimit -n 555", image, "cat", "/proc/self/limits")
    expect(/Max open files +(\d+) +(\d+)/.exec(low.stdout)?.slice(1)).toEqual(["555", "555"])
  })

  test("working directory plays no part, whatever lies in it", async () => {
    const dir = temporaryDirectory("cwd")
    writeFileSync(join(dir, ".env"), "FROM_FILE=1\n")
    writeFileSync(join(dir, "bunfig.toml"), 'preload = ["./evil.ts"]\n')
    writeFileSync(join(dir, "evil.ts"), 'console.log("evil"); process.exit(9)\n')
    const { stdout, exitCode } = await from(`cd ${dir}`, "-e", "FROM_FILE", image, "sh", "-c", "pwd; echo $FROM_FILE")
    expect({ stdout, exitCode }).toEqual({ stdout: "/\n\n", exitCode: 0 })
  })
})

describe.skipIf(!isRoot)("limits", () => {
  test("--ulimit sets soft and hard", async () => {
    const run = ["--ulimit", "nofile=77:99", "--ulimit", "core=0", "--ulimit", "cpu=7:9", "--ulimit", "stack=8388608"]
    const limits = await inside("cat /proc/self/limits", { run })
    const found = (name: string) => new RegExp(`^${name} +(\\S+) +(\\S+)`, "m").exec(limits)?.slice(1).join(":")
    expect(["Max open files", "Max core file size", "Max cpu time", "Max stack size"].map(found)).toEqual([
      ...["77:99", "0:0", "7:9", "8388608:8388608"],
    ])
  })

  test.each([
    ["nofile=9:8", "the soft limit is above the hard one"],
    ["files=9", 'unknown limit "files"'],
    ["nofile=lots", "is no limit"],
    ["nofile", "is no limit"],
  ])("--ulimit %s is refused", async (ulimit, message) => {
    const { stderr, exitCode } = await sh("true", { run: ["--ulimit", ulimit] })
    expect(exitCode).toBe(125)
    expect(stderr).toContain(message)
  })

  test("--oom-score-adj", async () => {
    expect(await inside("cat /proc/self/oom_score_adj", { run: ["--oom-score-adj", "321"] })).toBe("321")
    const own = readFileSync("/proc/self/oom_score_adj", "utf8").trim()
    expect(await inside("cat /proc/self/oom_score_adj")).toBe(own)
    expect((await sh("true", { run: ["--oom-score-adj", "1001"] })).stderr).toContain("is no score")
  })

  test("no_new_privs is on unless it is put off", async () => {
    expect(field(await status(), "NoNewPrivs")).toBe("1")
    expect(field(await status("--security-opt", "no-new-privileges"), "NoNewPrivs")).toBe("1")
    expect(field(await status("--security-opt", "no-new-privileges=false"), "NoNewPrivs")).toBe("0")
    expect(field(await status("--privileged"), "NoNewPrivs")).toBe("0")
    expect((await sh("true", { run: ["--security-opt", "apparmor=x"] })).stderr).toContain("is not known")
  })
})
