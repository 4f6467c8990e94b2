/** The image is read and never written, and /etc/hosts, /etc/hostname and /etc/resolv.conf come from beside it. */
import { describe, expect, test } from "bun:test"
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { inside, sh } from "../helpers/container.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { fingerprint } from "../helpers/tree.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

/** A root with nothing in it but a shell: no directory that toybox mounts on. */
function bareRoot(): string {
  const root = makeRoot()
  for (const name of ["dev", "etc", "proc", "run", "sys", "tmp"]) rmSync(join(root, name), { recursive: true })
  return root
}

describe.skipIf(!isRoot)("the image", () => {
  test("is as it was, whatever the container writes", async () => {
    const root = makeRoot({ files: { "/etc/hosts": "image's\n", "/etc/resolv.conf": "image's\n" } })
    const before = fingerprint(root)
    const script = `
      chown 5:5 /home; chmod 700 /root; echo x > /etc/passwd; rm /etc/group; mv /srv /moved; mkdir -p /new/dir
      ln /bin/busybox /bin/second; touch -d 2001-01-01 /var; echo y > /etc/hosts; touch /; ls / > /list`
    const run = ["-v", "/tmp:/mnt/missing/deep", "--tmpfs", "/opt/none", "--workdir", "/made/here", "--hostname", "h"]
    expect(await inside(script, { image: root, run })).toBe("")
    expect(fingerprint(root)).toEqual(before)
  })

  test("may lack every mount point: they are made beside it", async () => {
    const root = bareRoot()
    const before = fingerprint(root)
    const script =
      "ls -d /dev/null /proc/1 /sys/class /run /etc/hosts /etc/hostname /etc/resolv.conf; cat /etc/hostname"
    const output = await inside(script, { image: root, run: ["--hostname", "bare"] })
    expect(output.split("\n")).toEqual([
      ...["/dev/null", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc/1", "/run", "/sys/class", "bare"],
    ])
    expect(fingerprint(root)).toEqual(before)
  })

  test("is seen as it is: owners, modes, links, a setuid file", async () => {
    const root = makeRoot({ files: { "/srv/file": { content: "x", mode: 0o4751 }, "/srv/link": { symlink: "file" } } })
    Bun.spawnSync(["chown", "12:34", join(root, "srv/file")])
    Bun.spawnSync(["chmod", "4751", join(root, "srv/file")])
    const script = "stat -c '%a %u:%g %F' /srv/file; readlink /srv/link; stat -c %a /tmp"
    expect(await inside(script, { image: root })).toBe("4751 12:34 regular file\nfile\n1777")
  })

  test("is shared: what one container writes, another does not see", async () => {
    const root = makeRoot()
    expect(await inside("echo first > /shared-name; ls /shared-name", { image: root })).toBe("/shared-name")
    expect((await sh("cat /shared-name", { image: root })).stderr).toContain("No such file or directory")
  })
})

describe.skipIf(!isRoot)("/etc/hosts, /etc/hostname, /etc/resolv.conf", () => {
  const ours =
    "cat /etc/hostname; grep -c localhost /etc/hosts; stat -c '%a %u:%g' /etc/hosts /etc/hostname /etc/resolv.conf"

  test("are toybox's, readable by everybody, and can be written", async () => {
    const output = await inside(`${ours}; echo 9.9.9.9 x >> /etc/hosts && tail -n 1 /etc/hosts`, {
      run: ["--hostname", "h"],
    })
    expect(output.split("\n")).toEqual(["h", "2", "644 0:0", "644 0:0", "644 0:0", "9.9.9.9 x"])
    expect(await inside("cat /etc/hostname", { run: ["--user", "1000", "--hostname", "h"] })).toBe("h")
  })

  test("/etc/resolv.conf has the host's servers but for those on its loopback", async () => {
    const host = readFileSync("/etc/resolv.conf", "utf8").split("\n")
    const expected = host.filter((line) => !/^nameserver\s+(127\.|::1)/.test(line)).join("\n")
    expect(await inside("cat /etc/resolv.conf")).toBe(expected.trimEnd())
  })

  test.each([
    ["a dangling link", "/nowhere/resolv.conf"],
    ["systemd's link, as in Ubuntu's images", "../run/systemd/resolve/stub-resolv.conf"],
    ["a link to itself", "resolv.conf"],
    ["a link to a file of the image", "/srv/resolv.conf"],
    ["a link up and out", "../../../../../../../../etc/resolv.conf"],
  ])("where the image has %s", async (_, symlink) => {
    const root = makeRoot({ files: { "/etc/resolv.conf": { symlink }, "/srv/resolv.conf": "untouched" } })
    const before = fingerprint(root)
    const host = readFileSync("/etc/resolv.conf", "utf8")
    const output = await inside("echo nameserver 9.9.9.9 > /etc/resolv.conf; cat /etc/resolv.conf /srv/resolv.conf", {
      image: root,
    })
    expect(output).toBe("nameserver 9.9.9.9\nuntouched")
    expect(fingerprint(root)).toEqual(before)
    expect(readFileSync("/etc/resolv.conf", "utf8")).toBe(host)
  })

  const names = ["hostname", "hosts", "resolv.conf"]
  const seen = "cat /etc/hostname; head -n 1 /etc/hosts; grep -c . /etc/resolv.conf; ls /etc"

  test("lie on what is mounted at /etc, as with docker", async () => {
    const other = makeRoot({ files: { "/etc/resolv.conf": { symlink: "/nowhere" }, "/etc/own": "own\n" } })
    const mounts = [
      ["-v", `${other}/etc:/etc`],
      ["--tmpfs", "/etc"],
    ]
    for (const run of mounts) {
      const [hostname, hosts, servers, ...there] = (await inside(seen, { run: [...run, "--hostname", "h"] })).split(
        "\n",
      )
      expect([hostname, hosts]).toEqual(["h", "127.0.0.1\tlocalhost"])
      expect(Number(servers)).toBeGreaterThan(0)
      expect(there).toEqual(expect.arrayContaining(names))
    }
    expect(readFileSync(join(other, "etc/hosts"), "utf8")).toBe("")
    expect(
      await inside("cat /etc/hosts /etc/own", {
        run: ["-v", `${other}/etc:/etc`, "-v", `${other}/etc/own:/etc/hosts`],
      }),
    ).toBe("own\nown")
  })

  test("are left out where they are not there, and cannot be made", async () => {
    const other = makeRoot({ files: { "/etc/hosts": "other's\n" } })
    rmSync(join(other, "etc/hostname"), { force: true })
    rmSync(join(other, "etc/resolv.conf"), { force: true })
    const run = ["-v", `${other}/etc:/etc:ro`]
    expect(await inside("head -n 1 /etc/hosts; ls /etc/hostname /etc/resolv.conf 2>&1 | wc -l", { run })).toBe(
      "127.0.0.1\tlocalhost\n2",
    )
  })

  test("all three links at once, each to the same file", async () => {
    const links = Object.fromEntries(
      ["hosts", "hostname", "resolv.conf"].map((name) => [`/etc/${name}`, { symlink: "/srv/all" }]),
    )
    const root = makeRoot({ files: { ...links, "/srv/all": "mine\n" } })
    expect(await inside("cat /etc/hostname /srv/all", { image: root, run: ["--hostname", "h"] })).toBe("h\nmine")
  })

  test("/etc itself a link, within the image and out of it", async () => {
    const root = bareRoot()
    symlinkSync("usr/etc", join(root, "etc"))
    mkdirSync(join(root, "usr/etc"))
    expect(await inside("cat /usr/etc/hostname", { image: root, run: ["--hostname", "h"] })).toBe("h")
    const target = temporaryDirectory("target")
    const escaping = bareRoot()
    symlinkSync(target, join(escaping, "etc"))
    const { exitCode, stderr } = await sh("cat /etc/hostname", { image: escaping })
    expect(exitCode).toBe(125)
    expect(stderr).toContain("/etc/hosts")
    expect(readdirSync(target)).toEqual([])
  })

  test("a directory in the place of one is refused by name", async () => {
    const root = makeRoot({ directories: ["etc/hosts"] })
    const { exitCode, stderr } = await sh("true", { image: root })
    expect(exitCode).toBe(125)
    expect(stderr).toContain("/etc/hosts")
    expect(stderr).toContain("hint: ")
  })

  test("a file of the image with other rights is covered, not changed", async () => {
    const root = makeRoot({ files: { "/etc/hosts": { content: "old", mode: 0o600 } } })
    const before = fingerprint(root)
    expect(await inside("stat -c %a /etc/hosts; grep -c old /etc/hosts || true", { image: root })).toBe("644\n0")
    expect(fingerprint(root)).toEqual(before)
    writeFileSync(join(root, "etc/hosts"), "newer")
    expect(await inside("grep -c newer /etc/hosts || true", { image: root })).toBe("0")
  })
})
