/** Where overlayfs is refused, the root is copied: the same content, and a word on it. */
import { afterEach, describe, expect, test } from "bun:test"
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { call, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { close } from "../../ffi/fs.ts"
import { errorChain } from "../../src/errors.ts"
import { copyLayers, copyOf, settleCopy } from "../../src/overlay/copied.ts"
import { mountView } from "../../src/overlay/view.ts"
import { toyboxBinary } from "../helpers/binary.ts"
import { listing } from "../helpers/listing.ts"
import { TestLayout, tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"
import { unpackBytes } from "../helpers/unpack.ts"

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

/** Layers, the lowest first, that hide, replace and bring back what those below have. */
function layersOf(root: string): Uint8Array[] {
  const layer = (script: string) => {
    const dir = temporaryDirectory("layer")
    chmodSync(dir, 0o755)
    command(["sh", "-c", `set -e; mkdir ${dir}/srv ${dir}/opt; cd ${dir}\n${script}`])
    return tarOf(dir, "--xattrs", "--xattrs-include=*")
  }
  return [
    tarOf(root, "--xattrs", "--xattrs-include=*"),
    layer(`mkdir -p srv/gone/deep srv/hidden/a srv/replaced opt/x; echo 1 > srv/gone/deep/f; echo 1 > srv/hidden/old
      echo 1 > srv/replaced/f; echo 1 > srv/file2; ln srv/file2 srv/file3; ln -s /etc srv/way; mkdir srv/back; echo 1 > srv/back/f
      python3 -c 'import os; os.setxattr("srv/hidden", "user.below", b"1"); os.setxattr("srv/back", "user.below", b"1")'`),
    layer(`touch srv/.wh.gone srv/.wh.back srv/.wh.setuid srv/.wh.nothing srv/.wh.nothing2; mkdir srv/hidden srv/way
      touch srv/hidden/.wh..wh..opq; echo 2 > srv/hidden/new; echo 2 > srv/replaced; echo 2 > srv/way/passwd
      echo 2 > srv/file2; ln srv/file2 srv/file4; chmod 700 opt; touch -d @1000000000.123456789 opt`),
    layer(`mkdir -p srv/back srv/gone srv/way; echo 3 > srv/back/g; touch srv/way/.wh.passwd srv/.wh.file3; chmod 1777 srv/gone
      printf '' > srv/empty; chmod 0 srv/empty; ln -s nowhere srv/hidden2; echo 3 > srv/setuid; mkdir srv/.wh.x.d`),
  ]
}

function imageOf(layers: readonly Uint8Array[]): string {
  const layout = new TestLayout()
  layout.tags({ latest: layout.image({ layers }) })
  return `oci:${layout.dir}`
}

/** A command of toybox in a mount namespace where the state directory `$state` lies on an overlay. */
async function onOverlay(words: readonly string[], before = "", after = "", namespaces = ["-m"]) {
  const dir = temporaryDirectory("overlay")
  const state = `${dir}/merged/state`
  const script = [
    `mkdir -p ${dir}/lower ${dir}/upper ${dir}/work ${dir}/merged`,
    `mount -t overlay overlay -o lowerdir=${dir}/lower,upperdir=${dir}/upper,workdir=${dir}/work ${dir}/merged`,
    before,
    `export TOYBOX_ROOT=${state}`,
    `timeout -k 2 20 '${toyboxBinary()}' "$@"; code=$?`,
    after,
    `find ${state}/containers ${state}/run/running -mindepth 1 -maxdepth 1 -printf "left: %p\\n"`,
    "exit $code",
  ]
  const args = [...namespaces, "--propagation", "private", "sh", "-c", script.join("\n"), "sh", ...words]
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

  test("the copy of many layers is what the overlay shows of them, file by file", async () => {
    const dir = temporaryDirectory("layers")
    const topmost: string[] = []
    for (const [i, tar] of layersOf(richRoot()).entries()) {
      const path = join(dir, `${i}`)
      mkdirSync(path)
      await unpackBytes(tar, path, { whiteouts: "overlay" })
      topmost.unshift(path)
    }
    const container = join(dir, "container")
    mkdirSync(container)
    await copyLayers(container, topmost)
    const view = mountView(topmost, join(dir, "links"))
    try {
      const shown = listing(`/proc/self/fd/${view}/.`)
      expect(shown.length).toBeGreaterThan(30)
      expect(shown.filter((line) => /way|gone|hidden/.test(line)).length).toBeGreaterThan(4)
      expect(listing(copyOf(container) ?? "")).toEqual(shown)
    } finally {
      close(view)
    }
  })

  test("a copy that was cut short is made anew; one that was whole takes its place, with what the container wrote", async () => {
    const container = temporaryDirectory("container")
    const lower = makeRoot({ files: { "/srv/file": "old", "/srv/removed": "" } })
    for (const path of ["upper/srv", "copying/srv"]) mkdirSync(join(container, path), { recursive: true })
    writeFileSync(join(container, "upper/srv/written"), "")
    command(["mknod", join(container, "upper/srv/removed"), "c", "0", "0"])
    writeFileSync(join(container, "copying/srv/half"), "")
    expect(copyOf(container)).toBeNull()
    await copyLayers(container, [lower])
    expect(copyOf(container)).toBe(join(container, "upper"))
    expect(readdirSync(join(container, "upper/srv")).sort()).toEqual(["file", "written"])
    // As after a kill between the mark and the exchange.
    renameSync(join(container, "upper"), join(container, "copying"))
    mkdirSync(join(container, "upper/half"), { recursive: true })
    expect(copyOf(container)).toBe(join(container, "copying"))
    settleCopy(container)
    expect(readdirSync(join(container, "upper/srv")).sort()).toEqual(["file", "written"])
    expect(readdirSync(container).sort()).toEqual(["copied", "upper"])
  })

  test("a disk that is full is told, and leaves no half of a copy", async () => {
    const container = temporaryDirectory("small")
    command(["mount", "-t", "tmpfs", "-o", "size=64k", "none", container])
    try {
      const root = makeRoot()
      const error = await copyLayers(container, [root]).catch((e: unknown) => e)
      expect(errorChain(error)).toMatch(/^cannot copy .*: ENOSPC/s)
      expect(readdirSync(container)).toEqual([])
    } finally {
      command(["umount", container])
    }
  })

  test("an image of several layers is loaded on an overlay, and its container has what it has elsewhere", async () => {
    const image = imageOf(layersOf(richRoot()))
    const list = `cd /; find srv opt -print0 | sort -z | xargs -0 -n 1 sh -c 'stat -c "%n|%u:%g|%a|%F|%t:%T" "$0"; [ ! -f "$0" ] || { stat -c %h "$0"; md5sum < "$0"; }'`
    const words = ownRun("--rm", "-q", image, "/bin/sh", "-c", list)
    const overlay = await toybox(words)
    expect(overlay).toMatchObject({ exitCode: 0 })
    expect(overlay.stdout).toContain("srv/back/g|")
    expect(overlay.stdout).not.toContain("srv/back/f|")
    const copy = await onOverlay(words)
    expect({ stdout: copy.stdout, exitCode: copy.exitCode }).toEqual({ stdout: overlay.stdout, exitCode: 0 })
  }, 60_000)

  test("inspect tells of a copy, and start goes on with it", async () => {
    const image = imageOf(layersOf(makeRoot()))
    const words = ownRun("-q", "--name", "copied", image, "/bin/sh", "-c", "ls /srv; echo more > /srv/more")
    const after = `'${toyboxBinary()}' start -a copied >&2; '${toyboxBinary()}' inspect copied`
    const { stdout, stderr } = await onOverlay(words, "", after)
    const driver = JSON.parse(stdout.slice(stdout.indexOf("["), stdout.lastIndexOf("]") + 1))[0].GraphDriver
    expect(driver.Name).toBe("vfs")
    expect(driver.Data.UpperDir).toEndWith("/upper")
    expect(stderr).toContain("more\n")
  }, 60_000)

  test("diff tells what the container has changed, as of an overlay", async () => {
    const image = imageOf(layersOf(makeRoot({ files: { "/srv/é": "old", "/srv/kept/file": "" } })))
    const change = [
      "cd /srv; echo new > é; rm file2; rm -r way back; mkdir way back; touch back/mine; chmod 600 kept/file; touch -h hidden2; chmod 700 /opt",
      "rm -r hidden; echo > hidden; rm replaced; mkdir replaced; mkdir -p /new/dir; ln -s x /new/link; mv file4 file5",
    ].join("; ")
    const words = ownRun("-q", "--name", "changed", image, "/bin/sh", "-c", change)
    expect(await toybox(words)).toMatchObject({ stderr: "", exitCode: 0 })
    const { stdout: shown } = await toybox(["diff", "changed"])
    await toybox(["rm", "changed"])
    expect(shown.split("\n")).toEqual(expect.arrayContaining(["C /srv/é", "D /srv/file2", "D /srv/back/g", "C /opt"]))
    expect(shown).not.toContain("empty")
    const { stdout } = await onOverlay(words, "", `timeout 20 '${toyboxBinary()}' diff changed`)
    expect(stdout.replace(/^left: .*\n/gm, "")).toBe(shown)
  }, 60_000)

  test("cp reads and writes one that has ended, and one that was never started", async () => {
    const image = imageOf(layersOf(makeRoot({ files: { "/srv/of-image": "image\n" } })))
    const cp = (...words: string[]) => `timeout 20 '${toyboxBinary()}' cp ${words.join(" ")}`
    const look = (name: string) => `${cp(`${name}:/srv/.`, "-")} | tar -x -O of-image more; echo`
    const script = ["sh", "-c", "'echo more > /srv/more'"].join(" ")
    const after = [
      look("ended"),
      `'${toyboxBinary()}' create --name new ${image} ${script} > /dev/null`,
      "echo given > $TOYBOX_ROOT/given",
      cp("$TOYBOX_ROOT/given", "new:/srv/more"),
      look("new"),
      cp("$TOYBOX_ROOT/given", "ended:/srv/given"),
      `timeout 20 '${toyboxBinary()}' start -a ended`,
    ]
    const words = ownRun("-q", "--name", "ended", image, "sh", "-c", "cat /srv/given; echo more > /srv/more")
    const { stdout } = await onOverlay(words, "", after.join("\n"))
    expect(stdout.replace(/^left: .*\n/gm, "")).toBe("more\nimage\n\ngiven\nimage\n\ngiven\n")
  }, 60_000)

  test("export of one that was never started, or not whole, has nothing that a layer has removed", async () => {
    const image = imageOf(layersOf(makeRoot()))
    const words = ownRun("--rm", "-q", image, "find", "srv", "opt")
    // As a start leaves it that is killed before the root is copied.
    const after = `for name in new half; do
        id=$('${toyboxBinary()}' create --name $name ${image} true)
        [ $name = new ] || mkdir $TOYBOX_ROOT/containers/$id/upper
        timeout 20 '${toyboxBinary()}' export -q $name | tar -t | sed -n '/^srv\\|^opt/{s,/$,,;p}' > $TOYBOX_ROOT/exported
        echo; cat $TOYBOX_ROOT/exported
      done`
    const { stdout } = await onOverlay(words, "", after)
    const [shown = [], ...exported] = stdout
      .split("\n\n")
      .map((part) => [...(part.match(/^(srv|opt).*/gm) ?? [])].sort())
    expect(shown.length).toBeGreaterThan(8)
    expect(exported).toEqual([shown, shown])
  }, 60_000)

  test("a copy has its networks: the process without one may be gone before it is connected", async () => {
    const root = makeRoot()
    const address = "ip -o -4 address show eth0 | wc -l"
    const started = ownRun("-dq", "--net", "bridge", "--name", "second", root, "sleep", "1000")
    const again = `timeout -k 2 20 '${toyboxBinary()}' ${started.join(" ")} > /dev/null
      timeout 20 '${toyboxBinary()}' exec second sh -c '${address}'; timeout 20 '${toyboxBinary()}' rm -f second > /dev/null`
    const words = ownRun("--rm", "--net", "bridge", root, "sh", "-c", address)
    const { stdout, exitCode } = await onOverlay(words, "", again, ["-m", "-n"])
    expect({ stdout, exitCode }).toEqual({ stdout: "1\n1\n", exitCode: 0 })
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
