/** What a hostile image or caller could do to toybox's own process: its files, its descriptors, its executable. */
import { describe, expect, test } from "bun:test"
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { inside, sh } from "../helpers/container.ts"
import { makeRoot, type RootFile } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, toybox, toyboxBytes } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)("/etc/passwd and /etc/group: CVE-2024-9676", () => {
  /** A root of which both are `make`'s. */
  function rootWith(make: (path: string) => void): string {
    const root = makeRoot()
    for (const name of ["passwd", "group"]) {
      rmSync(join(root, "etc", name))
      make(join(root, "etc", name))
    }
    return root
  }
  const host = temporaryDirectory
  const hostFile = () => {
    const path = join(host("host"), "passwd")
    writeFileSync(path, "intruder:x:0:0::/intruder:/bin/sh\n")
    return path
  }

  test.each<[string, (path: string) => void]>([
    ["a FIFO", (path) => Bun.spawnSync(["mkfifo", path])],
    ["an endless device", (path) => Bun.spawnSync(["mknod", path, "c", "1", "5"])],
    ["a terminal", (path) => Bun.spawnSync(["mknod", path, "c", "5", "0"])],
    ["a directory", (path) => mkdirSync(path)],
    ["a link to a file of the host", (path) => symlinkSync(hostFile(), path)],
    ["a link up and out", (path) => symlinkSync(`../../../../../../..${hostFile()}`, path)],
    ["a link to itself", (path) => symlinkSync("passwd", path)],
    ["a link to a descriptor", (path) => symlinkSync("/proc/self/fd/0", path)],
    ["2 MiB of one line", (path) => writeFileSync(path, "x".repeat(2 << 20))],
    ["binary garbage", (path) => writeFileSync(path, crypto.getRandomValues(new Uint8Array(60_000)))],
    ["an empty file", (path) => writeFileSync(path, "")],
    [
      "lines of colons and huge ids",
      (path) => writeFileSync(path, `${":".repeat(9999)}\nintruder:x:4294967296:0::/:\n`),
    ],
  ])("%s", async (_, make) => {
    const root = rootWith(make)
    const container = { image: root, timeoutSeconds: 15 }
    expect(await inside("echo $HOME", container)).toBe("/")
    expect(
      await inside("grep -E '^(Uid|Gid|Groups)' /proc/self/status", { ...container, run: ["--user", "7:8"] }),
    ).toBe("Uid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\nGroups:\t8")
    const named = await sh("id", { ...container, run: ["--user", "intruder"] })
    expect(named.exitCode).toBe(125)
    expect(named.stderr).toContain('--user: the container has no user "intruder"')
  })

  test("entries with control characters and without fields harm nobody", async () => {
    const lines = [
      "ok:x:5:6::/h\x1b[31m:/bin/sh",
      "::::::",
      "a:x:-1:0::/:",
      "b:x:2147483648:0::/:",
      "c:x:0x0:0::/:",
      "d:x: 0:0::/:",
    ]
    const root = makeRoot({ files: { "/etc/passwd": lines.join("\n") } })
    expect(await inside("echo $HOME | od -An -c", { image: root, run: ["--user", "ok"] })).toContain("033")
    for (const user of ["a", "b", "c", "d"]) {
      expect((await sh("true", { image: root, run: ["--user", user] })).exitCode).toBe(125)
    }
  })
})

describe.skipIf(!isRoot)("the working directory", () => {
  test("cannot be a descriptor of the host: CVE-2024-21626", async () => {
    const hostDirectory = temporaryDirectory("host")
    writeFileSync(join(hostDirectory, "secret"), "")
    // Directories of the host on descriptors 0 and 3 to 12 of toybox.
    const open = Array.from({ length: 10 }, (_, i) => `exec ${i + 3}<${hostDirectory}`).join("; ")
    const attempt = (image: string, workdir: string) =>
      toybox(
        [
          "-c",
          `${open}; exec "$0" "$@" <${hostDirectory}`,
          toyboxBinary(),
          "run",
          "--rm",
          "--workdir",
          workdir,
          image,
          "ls",
        ],
        {
          binary: "/bin/bash",
        },
      )
    const root = makeRoot()
    for (let fd = 0; fd <= 24; fd++) {
      const paths =
        fd < 4
          ? [`/proc/self/fd/${fd}`, `/proc/self/fd/${fd}/../..`, `/proc/1/fd/${fd}`, `/dev/fd/${fd}`]
          : [`/proc/self/fd/${fd}`]
      for (const path of paths) {
        const { stdout, stderr, exitCode } = await attempt(root, path)
        expect({ path, exitCode, stdout }).toEqual({
          path,
          exitCode: exitCode === 0 ? 0 : 125,
          stdout: exitCode === 0 ? stdout : "",
        })
        expect(stdout).not.toContain("secret")
        if (exitCode !== 0) expect(stderr).toMatch(/^toybox: (cannot |standard input is a directory)/)
      }
      symlinkSync(`/proc/self/fd/${fd}`, join(root, `fd${fd}`))
      const linked = await attempt(root, `/fd${fd}`)
      expect({ fd, exitCode: linked.exitCode }).toEqual({ fd, exitCode: 125 })
    }
    expect(readdirSync(hostDirectory)).toEqual(["secret"])
  }, 20_000)
})

describe.skipIf(!isRoot)("descriptors", () => {
  test("that the caller left open do not reach the command, nor toybox's own", async () => {
    const file = join(temporaryDirectory("host"), "file")
    writeFileSync(file, "secret")
    const open = `exec 3<${file} 7<>${file} 9</ 20<${file} 63<${file} 200<${file} 255<${file}`
    for (const extra of [[], ["--init"], ["--pid", "host"], ["--trace"]]) {
      const script = `${open}; exec "$0" run --rm ${extra.join(" ")} base sh -c 'ls /proc/$$/fd; :'`
      const { stdout, exitCode } = await toybox(["-c", script, toyboxBinary()], { binary: "/bin/bash" })
      expect({ extra, stdout, exitCode }).toEqual({ extra, stdout: "0\n1\n2\n", exitCode: 0 })
    }
  })

  test("are not in an init either", async () => {
    const script = `exec 9</; exec "$0" run --rm --init --cap-add SYS_PTRACE base sh -c 'ls /proc/1/fd; :'`
    const { stdout } = await toybox(["-c", script, toyboxBinary()], { binary: "/bin/bash" })
    expect(stdout).toBe("0\n1\n2\n")
  })
})

describe.skipIf(!isRoot)("toybox's executable", () => {
  const binaryName = /toybox/

  test("is never that of the command: CVE-2019-5736", async () => {
    expect(await inside("readlink /proc/1/exe; readlink /proc/self/exe")).toBe("/bin/busybox\n/bin/busybox")
    const size = "wc -c < /proc/1/exe; (echo x > /proc/1/exe) 2>&1; true"
    const output = await inside(size, { run: ["--init", "--cap-add", "SYS_PTRACE"] })
    const [bytes, error] = output.split("\n")
    // The sealed second stage: kilobytes, and nobody can write it.
    expect(Number(bytes)).toBeLessThan(65536)
    expect(error).toMatch(/Text file busy|Operation not permitted|Permission denied/)
  })

  test("cannot be had as a script's interpreter", async () => {
    const evil: RootFile = { content: "#!/proc/self/exe\n", mode: 0o755 }
    const root = makeRoot({ files: { "/bin/evil": evil } })
    const result = await toyboxBytes(["run", "--rm", "--ulimit", "cpu=1", root, "/bin/evil"], { timeoutSeconds: 20 })
    expect(result.stdout.toString()).not.toMatch(binaryName)
    expect(result.exitCode).not.toBe(0)
  })

  test("is not among what the container can reach by /proc", async () => {
    const script = "for p in /proc/[0-9]*; do readlink $p/exe; cat $p/maps 2>/dev/null | grep -c toybox; done | sort -u"
    expect(await inside(script, { run: ["--cap-add", "SYS_PTRACE"] })).toBe("/bin/busybox\n0")
  })
})

describe.skipIf(!isRoot)("who may trace what joins its process namespace", () => {
  // A loop of the shell alone, so that no process of its own is among what it looks at.
  const spy = (file: string) =>
    `echo up; while [ ! -e /tmp/end ]; do for p in /proc/[0-9]*; do [ -e $p/root${file} ] && echo seen; done; done; echo end`

  test.each([
    ["has nothing of the machine by one in the foreground", [[], []]],
    ["nor by a detached one, with an init or without", [["-d"], ["-d", "--init"]]],
  ])(
    "%s",
    async (_, options) => {
      const file = join(temporaryDirectory("host"), "secret")
      writeFileSync(file, "")
      const first = ["run", "--rm", "--name", "tracer", "--cap-add", "SYS_PTRACE", "base", "sh", "-c", spy(file)]
      const tracer = await startToybox(first, { timeoutSeconds: 60 })
      await tracer.waitFor("up")
      for (const option of Array.from({ length: 8 }, (_, n) => options[n % 2] ?? [])) {
        const joining = ["run", "--rm", ...option, "--pid", "container:tracer", "base", "true"]
        expect(await toybox(joining)).toMatchObject({ exitCode: 0, stderr: "" })
      }
      // Several at once: the first to be done lets nobody go on whom another needs to stand still.
      const atOnce = ["run", "--rm", "--net", "none", "--pid", "container:tracer", "base", "true"]
      const all = await Promise.all(Array.from({ length: 4 }, () => toybox(atOnce)))
      expect(all.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0])
      expect((await toybox(["exec", "tracer", "touch", "/tmp/end"])).exitCode).toBe(0)
      expect(await tracer.wait()).toMatchObject({ exitCode: 0, stdout: "up\nend\n" })
    },
    90_000,
  )
})
