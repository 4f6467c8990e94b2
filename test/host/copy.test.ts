/** Where overlayfs is refused, the root is copied: the same content, and a word on it. */
import { afterEach, describe, expect, test } from "bun:test"
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { call, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { toyboxBinary } from "../helpers/binary.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const WARNING = /^toybox: overlayfs is refused here \(\w+: EINVAL\): the root is copied, which takes time and space\n$/

// CAP_NET_RAW (13), permitted and effective, as the kernel keeps it: struct vfs_cap_data, version 2.
const CAPABILITY = Uint8Array.from([1, 0, 0, 2, 0, 0x20, 0, 0, ...Array.from({ length: 12 }, () => 0)])
const ATTRIBUTES = [
  ["file", "user.note", Buffer.from("a\0note")],
  ["secret", "security.capability", CAPABILITY],
  ["sticky", "trusted.note", Buffer.from("of a directory")],
] as const

const command = (cmd: string[]) => {
  const { exitCode, stderr } = Bun.spawnSync(cmd)
  if (exitCode !== 0) throw new Error(`${cmd.join(" ")}: ${stderr}`)
}

/** A root with every kind of file, and what overlayfs would not show: another file system mounted in it. */
function richRoot(): string {
  const root = makeRoot()
  const at = (path: string) => join(root, "srv", path)
  writeFileSync(at("file"), "content\n")
  linkSync(at("file"), at("hard link"))
  symlinkSync("/nowhere/at all", at("link"))
  writeFileSync(at("setuid"), "x")
  chownSync(at("setuid"), 1000, 50)
  chmodSync(at("setuid"), 0o6751)
  writeFileSync(at("secret"), "x")
  chmodSync(at("secret"), 0)
  mkdirSync(at("sticky"))
  chmodSync(at("sticky"), 0o1777)
  command(["mknod", "-m", "0620", at("null"), "c", "1", "3"])
  command(["mknod", at("block"), "b", "7", "300"])
  command(["mkfifo", at("pipe")])
  for (const [file, name, value] of ATTRIBUTES) call("lsetxattr", at(file), name, value, value.length, 0)
  writeFileSync(at("sparse"), "start")
  truncateSync(at("sparse"), 64 * 2 ** 20)
  writeFileSync(Buffer.concat([Buffer.from(at("latin-")), Buffer.from([0xe9])]), "é")
  for (const name of ["file", "sticky"]) utimesSync(at(name), 1e9, 1e9 + 0.25)
  return root
}

/** In the container: one line for each entry of /srv, and more on some of them. */
const LIST = [
  "cd /srv",
  // Owner, mode, links, kind, device, time; sorted, the second inode number as a comparison only.
  "for f in *; do stat -c '%n|%u:%g|%a|%h|%F|%t:%T|%s' \"$f\"; done",
  "stat -c %Y file sticky",
  '[ $(stat -c %i file) = $(stat -c %i "hard link") ] && echo linked',
  "readlink link; cat file setuid",
  "[ $(du -k sparse | cut -f1) -lt 1000 ] && echo holes",
  "md5sum sparse /bin/busybox",
].join("\n")

/** A command of toybox in a mount namespace where the state directory `$state` lies on an overlay. */
async function onOverlay(words: readonly string[], before = "") {
  const dir = temporaryDirectory("overlay")
  const state = `${dir}/merged/state`
  const script = [
    `mkdir -p ${dir}/lower ${dir}/upper ${dir}/work ${dir}/merged`,
    `mount -t overlay overlay -o lowerdir=${dir}/lower,upperdir=${dir}/upper,workdir=${dir}/work ${dir}/merged`,
    before,
    `export TOYBOX_ROOT=${state}`,
    `timeout -k 2 20 '${toyboxBinary()}' "$@"; code=$?`,
    `find ${state}/containers ${state}/run/running -mindepth 1 -maxdepth 1 -printf "left: %p\\n"`,
    "exit $code",
  ]
  const args = ["-m", "--propagation", "private", "sh", "-c", script.join("\n"), "sh", ...words]
  const result = await toybox(args, { binary: "/usr/bin/unshare", timeoutSeconds: 30 })
  const containers = `${dir}/upper/state/containers`
  /** Where the root of the one container that was kept is, seen from outside. */
  const copy = () => join(containers, readdirSync(containers)[0] ?? "", "upper")
  return { ...result, copy }
}

describe.skipIf(!isRoot)("where overlayfs is refused", () => {
  afterEach(async () => {
    expect(await ownLeftovers()).toEqual([])
  })

  test("the copy is as the overlay is: kinds, owners, modes, times, links, holes, attributes", async () => {
    const root = richRoot()
    const words = ownRun("--rm", root, "sh", "-c", LIST)
    const overlay = await toybox(words)
    expect(overlay).toMatchObject({ stderr: "", exitCode: 0 })
    expect(overlay.stdout).toContain("setuid|1000:50|6751|1|regular file|0:0|1\n")
    expect(overlay.stdout).toContain("linked\n/nowhere/at all\ncontent\nxholes\n")
    const copy = await onOverlay(words)
    expect(copy.stderr).toMatch(WARNING)
    expect({ stdout: copy.stdout, exitCode: copy.exitCode }).toEqual({ stdout: overlay.stdout, exitCode: 0 })
    expect(overlay.stdout).toContain("latin-\u{fffd}|")
  }, 60_000)

  test("file capabilities and other attributes are there", async () => {
    const { copy } = await onOverlay(ownRun(richRoot(), "true"))
    for (const [file, name, value] of ATTRIBUTES) {
      const size = call("lgetxattr", join(copy(), "srv", file), name, scratch.address, SCRATCH_SIZE)
      expect(Buffer.from(scratch.bytes.subarray(0, size)).equals(value)).toBe(true)
    }
  })

  test("what is mounted in the root is left out, as an overlay leaves it out", async () => {
    const root = makeRoot({ files: { "/srv/below": "" } })
    const mount = `mount -t tmpfs none ${root}/srv && touch ${root}/srv/above && mount --bind /etc ${root}/home`
    const { stdout, exitCode } = await onOverlay(ownRun("--rm", root, "ls", "/srv", "/home"), mount)
    expect({ stdout, exitCode }).toEqual({ stdout: "/home:\nalice\n\n/srv:\nbelow\n", exitCode: 0 })
  })

  test("the root itself is not written to, and the container's writes stay with it", async () => {
    const root = makeRoot({ files: { "/srv/file": "old\n" } })
    const script = "echo new > /srv/file; rm /etc/group; cat /srv/file"
    expect((await onOverlay(ownRun("--rm", root, "sh", "-c", script))).stdout).toBe("new\n")
    const { stdout } = await toybox(ownRun("--rm", root, "sh", "-c", "cat /srv/file; ls /etc/group"))
    expect(stdout).toBe("old\n/etc/group\n")
  })

  test("exit codes are as ever, and an error leaves nothing", async () => {
    const root = makeRoot()
    expect((await onOverlay(ownRun("--rm", root, "sh", "-c", "exit 9"))).exitCode).toBe(9)
    const { stdout, stderr, exitCode } = await onOverlay(ownRun("--sysctl", "net.no.such=1", root, "true"))
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 })
    expect(stderr).toContain("net.no.such")
  })

  test("toybox in a privileged container runs containers", async () => {
    const binds = ["-v", `${toyboxBinary()}:/toybox:ro`, "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro"]
    const inner =
      "/toybox run --rm --net none base sh -c 'echo inner $$; hostname'; echo $?; ls -A /var/lib/toybox/containers"
    const { stdout, stderr } = await toybox(ownRun("--rm", "--privileged", ...binds, "base", "sh", "-c", inner))
    expect(stderr).toMatch(WARNING)
    expect(stdout).toMatch(/^inner 1\n[0-9a-f]{12}\n0\n$/)
  })
})
