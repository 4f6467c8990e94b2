/** toybox cp: docker's rules, all that files have, and nothing outside of the container. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { call } from "../../ffi/call.ts"
import { toyboxBinary } from "../helpers/binary.ts"
import { listing } from "../helpers/listing.ts"
import { tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { dockerArchive, layerOf } from "../helpers/saved.ts"
import { cleanUpAfterAll, mountsBelow, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox, toyboxBytes } from "../helpers/toybox.ts"
import { fingerprint } from "../helpers/tree.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

const cp = (...words: string[]) => toybox(["cp", ...words])

async function copies(...words: string[]): Promise<void> {
  const { stderr, exitCode } = await cp(...words)
  if (exitCode !== 0) throw new Error(`cp ${words.join(" ")}: ${stderr}`)
}

/** What a script says in the container. */
async function says(name: string, script: string): Promise<string> {
  const { stdout, stderr, exitCode } = await toybox(["exec", name, "sh", "-c", script])
  if (exitCode !== 0) throw new Error(`${script}: ${stderr}`)
  return stdout.trimEnd()
}

function richTree(): string {
  const root = temporaryDirectory("rich")
  const at = (path: string) => join(root, path)
  writeFileSync(at("file"), "content\n")
  mkdirSync(at("d/e"), { recursive: true })
  linkSync(at("file"), at("d/e/hard link"))
  symlinkSync("/nowhere/at all", at("link"))
  symlinkSync("d", at("way"))
  writeFileSync(at("owned"), "x")
  chownSync(at("owned"), 1234, 70_000)
  chmodSync(at("owned"), 0o6751)
  mkdirSync(at("sticky"))
  chmodSync(at("sticky"), 0o1777)
  writeFileSync(at("sparse"), "start")
  truncateSync(at("sparse"), 64 * 2 ** 20)
  writeFileSync(at("big"), Buffer.alloc(3_000_001, "0123456789"))
  writeFileSync(Buffer.concat([Buffer.from(at("latin-")), Buffer.from([0xe9])]), "é")
  call("mknodat", -100, at("null"), 0o020666, 0x103)
  const value = Buffer.from("a\0note")
  call("lsetxattr", at("file"), "user.note", value, value.length, 0)
  for (const [i, name] of ["file", "big", "sticky", "d/e", "d"].entries()) utimesSync(at(name), 1, 1_000_000_000.25 + i)
  return root
}

describe.skipIf(!isRoot)("files of a container", () => {
  let rich: string

  beforeAll(async () => {
    rich = richTree()
    for (const name of ["cp-runs", "cp-ended"]) {
      const script =
        "mkdir -p /data/dir; echo one > /data/dir/one; ln -s dir /data/link; ln -s /data/dir/one /data/way; echo up; "
      const last = name === "cp-runs" ? "exec sleep 1000" : "true"
      const options = ["-d", "--name", name, "--tmpfs", "/small:size=1m"]
      expect(await toybox(ownRun(...options, "base", "sh", "-c", script + last))).toMatchObject({ exitCode: 0 })
    }
    await toybox(["wait", "cp-ended"])
    for (const end = Date.now() + 20_000; Date.now() < end; await Bun.sleep(20))
      if ((await toybox(["logs", "cp-runs"])).stdout.includes("up")) break
  })

  afterAll(async () => {
    await toybox(["rm", "-f", "cp-runs", "cp-ended"])
    expect(await ownLeftovers()).toEqual([])
  })

  for (const name of ["cp-runs", "cp-ended"]) {
    test(`${name}: a tree comes back as it went in`, async () => {
      await copies("-a", rich, `${name}:/srv/there`)
      const back = join(temporaryDirectory("back"), "again")
      await copies("-a", `${name}:/srv/there`, back)
      expect(listing(back)).toEqual(listing(rich))
      expect(statSync(join(back, "sparse")).blocks).toBeLessThan(1000)
      // Once more, onto what is there.
      await copies("-a", `${rich}/.`, `${name}:/srv/there`)
      const over = temporaryDirectory("over")
      await copies("-a", `${name}:/srv/there/.`, over)
      expect(listing(over).slice(1)).toEqual(listing(rich).slice(1))
    })

    test(`${name}: without -a all is root's, and rights are not carried over`, async () => {
      await copies(join(rich, "owned"), `${name}:/srv/owned`)
      const back = temporaryDirectory("back")
      await copies("-a", `${name}:/srv/owned`, back)
      expect(statSync(join(back, "owned"))).toMatchObject({ uid: 0, gid: 0, mode: 0o100751 })
      await copies("-a", rich, `${name}:/srv/rights`)
      const { stderr } = await cp(`${name}:/srv/rights/.`, back)
      expect(stderr).toContain('"null" is left out: a device comes with --archive only')
      expect(existsSync(join(back, "null"))).toBe(false)
      expect(statSync(join(back, "owned"))).toMatchObject({ uid: 0, gid: 0, mode: 0o100751 })
      expect(statSync(join(back, "sticky")).mode & 0o7777).toBe(0o1777)
    })

    test(`${name}: where a copy goes is as docker has it`, async () => {
      const out = temporaryDirectory("out")
      const at = (path: string) => join(out, path)
      await copies(`${name}:/data/dir/one`, at("new"))
      await copies(`${name}:/data/dir/one`, out)
      await copies(`${name}:/data/dir`, at("dir"))
      await copies(`${name}:/data/dir`, at("dir"))
      await copies(`${name}:data/dir/.`, `${out}/`)
      expect(readdirSync(out).sort()).toEqual(["dir", "new", "one"])
      expect(readdirSync(at("dir")).sort()).toEqual(["dir", "one"])
      expect(readFileSync(at("new"), "utf8")).toBe("one\n")
      // Symlinks: copied, or followed with -L, and through "/" at the end.
      await copies(`${name}:/data/way`, at("way"))
      expect(readlinkSync(at("way"))).toBe("/data/dir/one")
      await copies("-L", `${name}:/data/way`, at("file"))
      expect(readFileSync(at("file"), "utf8")).toBe("one\n")
      await copies("-L", `${name}:/data/link`, at("followed"))
      expect(readdirSync(at("followed"))).toEqual(["one"])
      await copies(`${name}:/data/link/`, at("slash"))
      expect(readdirSync(at("slash"))).toEqual(["one"])
      // Into a symlink to a directory, and to a file.
      writeFileSync(at("two"), "two\n")
      await copies(at("two"), `${name}:/data/link`)
      await copies(at("two"), `${name}:/data/way`)
      const back = temporaryDirectory("back")
      await copies(`${name}:/data`, back)
      expect(readFileSync(join(back, "data/dir/two"), "utf8")).toBe("two\n")
      expect(readFileSync(join(back, "data/dir/one"), "utf8")).toBe("two\n")
      expect(lstatSync(join(back, "data/way")).isSymbolicLink()).toBe(true)
    })

    test(`${name}: what cannot be is told`, async () => {
      const out = temporaryDirectory("out")
      writeFileSync(join(out, "file"), "x")
      const failures: [string[], string][] = [
        [[`${name}:/nothing`, out], `${name}:/nothing: there is no such file or directory`],
        [[join(out, "nothing"), `${name}:/`], "nothing: there is no such file or directory"],
        [[`${name}:/data/dir/one/`, out], `${name}:/data/dir/one is not a directory`],
        [[join(out, "file"), `${name}:/nothing/`], `${name}:/nothing: there is no such file or directory`],
        [[join(out, "file"), `${name}:/nothing/x`], `${name}:/nothing: there is no such file or directory`],
        [[out, `${name}:/etc/passwd`], `a directory cannot be copied to ${name}:/etc/passwd, which is none`],
        [["nobody:/x", out], "no such container: nobody"],
        [["nobody:/x", `${name}:/x`], "cp does not copy from container to container"],
        [["/x", "/y"], "neither is one"],
        [["-", "/y"], "neither is one"],
      ]
      for (const [words, text] of failures) {
        const { stderr, exitCode } = await cp(...words)
        expect({ exitCode, stderr }).toMatchObject({ exitCode: 125, stderr: expect.stringContaining(text) })
      }
      mkdirSync(join(out, "d/dir"), { recursive: true })
      expect((await cp(`${name}:/data/dir/one`, join(out, "d/one"))).exitCode).toBe(0)
      mkdirSync(join(out, "e/one"), { recursive: true })
      expect((await cp(`${name}:/data/dir/.`, join(out, "e"))).stderr).toContain("there is a directory of that name")
      writeFileSync(join(out, "e/dir"), "")
      expect((await cp(`${name}:/data/dir`, join(out, "e"))).stderr).toContain("what is there is no directory")
    })

    test(`${name}: tar archives on standard output and input`, async () => {
      const { stdout } = await toyboxBytes(["cp", `${name}:/data/dir`, "-"])
      const list = (bytes: Buffer) =>
        Bun.spawnSync(["tar", "-t"], { stdin: bytes }).stdout.toString().split("\n").sort()
      expect(list(stdout)).toEqual(expect.arrayContaining(["dir/", "dir/one"]))
      expect(list((await toyboxBytes(["cp", `${name}:/data/dir/.`, "-"])).stdout)).toContain("./")
      const archive = Bun.spawnSync(["tar", "--owner=77", "--group=78", "-c", "-C", rich, "d", "file"]).stdout
      const sent = await toybox(["cp", "-", `${name}:/root`], { stdin: archive })
      expect(sent).toMatchObject({ exitCode: 0, stderr: "" })
      const back = temporaryDirectory("back")
      await copies("-a", `${name}:/root/file`, back)
      expect(statSync(join(back, "file"))).toMatchObject({ uid: 77, gid: 78 })
      const packed = await toybox(["cp", "-", `${name}:/home`], { stdin: Bun.gzipSync(new Uint8Array(archive)) })
      expect(packed).toMatchObject({ exitCode: 0, stderr: "" })
      const broken = await toybox(["cp", "-", `${name}:/root`], { stdin: archive.subarray(0, 700) })
      expect(broken).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("the archive ") })
      const none = await toybox(["cp", "-", `${name}:/etc/passwd`], { stdin: archive })
      expect(none).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("is not a directory") })
    })
  }

  test("what is mounted in a container is seen while it runs, and when it has ended", async () => {
    const volume = temporaryDirectory("volume")
    const name = "cp-volume"
    await toybox(
      ownRun("-d", "--name", name, "-v", `${volume}:/vol`, "-v", `${volume}:/fixed:ro`, "base", "sleep", "1000"),
    )
    await copies(join(rich, "file"), `${name}:/vol/in`)
    expect(readFileSync(join(volume, "in"), "utf8")).toBe("content\n")
    // A directory into itself, by way of the volume, has an end.
    mkdirSync(join(volume, "sub"))
    await copies(`${name}:/vol`, join(volume, "sub"))
    expect(readdirSync(join(volume, "sub/vol"))).toEqual(["in"])
    await copies(`${name}:/vol`, join(volume, "new"))
    expect(readdirSync(join(volume, "new")).sort()).toEqual(["in", "sub"])
    // A file that is mounted cannot be replaced, and is written to.
    writeFileSync(join(volume, "hosts"), "1.2.3.4 elsewhere\n")
    await copies(join(volume, "hosts"), `${name}:/etc/hosts`)
    expect(await says(name, "cat /etc/hosts; ls -a /etc | grep toybox; true")).toBe("1.2.3.4 elsewhere")
    await says(name, "ln -s /vol/in /by-link; ln -s /vol /to-volume")
    await toybox(["stop", "-t", "0", name])
    const out = temporaryDirectory("out")
    await copies(`${name}:/vol/in`, out)
    await copies(`${name}:vol`, join(out, "all"))
    expect(readdirSync(out).sort()).toEqual(["all", "in"])
    expect(readdirSync(join(out, "all")).sort()).toEqual(["hosts", "in", "new", "sub"])
    await copies(join(rich, "file"), `${name}:/vol`)
    await copies(join(rich, "file"), `${name}:/vol/sub/renamed`)
    await copies(join(rich, "d"), `${name}:/vol/d`)
    expect(readdirSync(volume).sort()).toEqual(["d", "file", "hosts", "in", "new", "sub"])
    expect(readFileSync(join(volume, "sub/renamed"), "utf8")).toBe("content\n")
    expect((await toybox(["diff", name])).stdout).not.toContain("/vol/")
    const refused: [string[], string][] = [
      [["-L", `${name}:/by-link`, out], "there is no such file"],
      [[join(rich, "file"), `${name}:/to-volume/`], volume],
      [[`${name}:/etc/../vol/in`, out], volume],
      [[join(rich, "file"), `${name}:/fixed/x`], "is read-only"],
    ]
    for (const [words, text] of refused) {
      const { exitCode, stderr } = await cp(...words)
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 125, stderr: expect.stringContaining(text) })
    }
    await toybox(["rm", "-f", name])
  })

  test("the layers of an image are seen as one", async () => {
    const layers = [
      tarOf(makeRoot()),
      layerOf(
        { name: "srv/low", content: "low" },
        { name: "srv/both", content: "low" },
        { name: "srv/gone", content: "" },
      ),
      layerOf({ name: "srv/both", content: "top" }, { name: "srv/.wh.gone", content: "" }),
    ]
    const file = join(temporaryDirectory("image"), "image.tar")
    writeFileSync(file, dockerArchive([{ layers, tags: ["example.org/cp:1"] }]))
    expect(await toybox(["load", "-q", "-i", file])).toMatchObject({ exitCode: 0 })
    await toybox(ownRun("--name", "cp-layers", "example.org/cp:1", "sh", "-c", "echo own > /srv/own"))
    for (let i = 0; i < 2; i++) {
      const out = temporaryDirectory("out")
      await copies("cp-layers:/srv/.", out)
      const found = readdirSync(out).map((name) => [name, readFileSync(join(out, name), "utf8")])
      expect(found.sort()).toEqual([
        ["both", "top"],
        ["low", "low"],
        ...(i > 0 ? [["new", "top"]] : []),
        ["own", "own\n"],
      ])
      await copies(join(out, "both"), "cp-layers:/srv/new")
    }
    await toybox(["rm", "cp-layers"])
    await toybox(["rmi", "example.org/cp:1"])
  })

  test("a disk that becomes full is told, and leaves no half of a file", async () => {
    const { exitCode, stderr } = await cp(join(rich, "big"), "cp-runs:/small/")
    expect(exitCode).toBe(125)
    expect(stderr).toContain("the disk is full")
    expect(await says("cp-runs", "ls -A /small")).toBe("")
    writeFileSync(join(rich, "..", "tiny"), "old")
    await copies(join(rich, "..", "tiny"), "cp-runs:/small/big")
    expect((await cp(join(rich, "big"), "cp-runs:/small/")).exitCode).toBe(125)
    expect(await says("cp-runs", "ls -A /small; cat /small/big")).toBe("big\nold")
  })

  test("a signal ends it, and what was being written goes", async () => {
    await says("cp-runs", "mkdir -p /srv/cut; echo old > /srv/cut/big")
    const archive = Bun.spawnSync(["tar", "-c", "-C", rich, "d", "big"]).stdout
    const running = await startToybox(["cp", "-", "cp-runs:/srv/cut"])
    // A pipe takes as much at once: nobody is left writing when the other end is gone.
    running.stdin.write(archive.subarray(0, 50_000))
    for (const end = Date.now() + 20_000; Date.now() < end; await Bun.sleep(20))
      if ((await says("cp-runs", "ls -A /srv/cut")).includes(".toybox-cp-")) break
    running.kill("SIGINT")
    expect(await running.wait()).toMatchObject({ exitCode: 130, stderr: "toybox: cp: interrupted\n" })
    expect(await says("cp-runs", "ls -A /srv/cut; cat /srv/cut/big")).toBe("big\nd\nold")
  })

  test("several at once have one that has ended in turn", async () => {
    const out = temporaryDirectory("out")
    const all = Array.from({ length: 6 }, (_, i) =>
      i % 2 ? cp("cp-ended:/etc/passwd", join(out, `${i}`)) : cp(join(rich, "file"), `cp-ended:/srv/at-once-${i}`),
    )
    for (const { stderr, exitCode } of await Promise.all(all))
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 })
    await copies("cp-ended:/srv/.", out)
    expect(readdirSync(out)).toEqual(expect.arrayContaining(["1", "3", "5", "at-once-0", "at-once-2", "at-once-4"]))
  })

  test("killed at any instant leaves no mount and no lock, and the next copy goes on", async () => {
    const archive = Bun.spawnSync(["tar", "-c", "-C", rich, "d", "big"]).stdout
    for (const size of [0, 600, 50_000]) {
      const running = await startToybox(["cp", "-", "cp-ended:/srv"])
      if (size > 0) running.stdin.write(archive.subarray(0, size))
      // Until it has the container: then nobody else has.
      const [{ Id }] = JSON.parse((await toybox(["inspect", "cp-ended"])).stdout)
      const isTaken = ["flock", "--nonblock", join(stateRoot(), "containers", Id), "true"]
      for (const end = Date.now() + 20_000; Date.now() < end; await Bun.sleep(5))
        if (Bun.spawnSync(isTaken).exitCode !== 0) break
      running.kill("SIGKILL")
      await running.wait()
      expect(await cp("-q", join(rich, "file"), "cp-ended:/srv/after")).toMatchObject({ exitCode: 0 })
    }
    expect(mountsBelow(stateRoot())).toEqual([])
  })

  test("one whose reader does not read keeps nobody waiting, nor one that is renamed", async () => {
    const name = "cp-waits"
    await toybox(ownRun("--name", name, "base", "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=1 2> /dev/null"))
    const [{ Id }] = JSON.parse((await toybox(["inspect", name])).stdout)
    const env = { ...process.env, TOYBOX_ROOT: stateRoot() }
    const script = `exec 3<&0; "$0" cp ${name}:/big - | { read line <&3; }`
    const reader = Bun.spawn(["sh", "-c", script, toyboxBinary()], { env, stdin: "pipe", stderr: "ignore" })
    const isTaken = ["flock", "--nonblock", join(stateRoot(), "containers", Id), "true"]
    for (const end = Date.now() + 20_000; Date.now() < end; await Bun.sleep(5))
      if (Bun.spawnSync(isTaken).exitCode !== 0) break
    // What it leaves is put in order by the next one.
    const starting = await startToybox(["start", name])
    while (!existsSync(join(stateRoot(), "run/running", Id))) await Bun.sleep(5)
    starting.kill("SIGKILL")
    await starting.wait()
    expect(await toybox(["ps", "-q"], { timeoutSeconds: 10 })).toMatchObject({ exitCode: 0 })
    expect(await toybox(["rename", name, "cp-renamed"], { timeoutSeconds: 10 })).toMatchObject({ exitCode: 0 })
    expect(Bun.spawnSync(isTaken).exitCode).toBe(1)
    reader.stdin.end()
    await reader.exited
    await toybox(["rm", "cp-renamed"])
  }, 60_000)

  test("a reader that goes ends it", async () => {
    const script = `"$0" cp cp-runs:/ - | head -c 1000 > /dev/null; echo "\${PIPESTATUS[0]}"`
    const { stdout, stderr } = Bun.spawnSync(["bash", "-c", script, toyboxBinary()], {
      env: { ...process.env, TOYBOX_ROOT: stateRoot() },
      timeout: 60_000,
    })
    expect(stdout.toString()).toBe("125\n")
    expect(stderr.toString()).toContain("nobody reads the archive any more")
  })
})

describe.skipIf(!isRoot)("a container that attacks", () => {
  /** A place of this machine that the container knows, and wants to reach. */
  function victim(): { dir: string; before: ReturnType<typeof fingerprint> } {
    const dir = temporaryDirectory("victim")
    writeFileSync(join(dir, "secret"), "OF THE HOST")
    return { dir, before: fingerprint(dir) }
  }

  test("by symlinks that lead to this machine's files reaches its own: CVE-2018-15664", async () => {
    const { dir, before } = victim()
    const links = [`ln -s ${dir} /abs`, `ln -s ../../../../../../../..${dir} /rel`, "ln -s /proc/self/root /magic"]
    const script = `mkdir -p ${dir}; echo of the container > ${dir}/secret; ${links.join("; ")}; ln -s /proc/1/root${dir} /one; echo up; exec sleep 1000`
    await toybox(ownRun("-d", "--name", "cp-links", "base", "sh", "-c", script))
    for (const end = Date.now() + 20_000; Date.now() < end; await Bun.sleep(20))
      if ((await toybox(["logs", "cp-links"])).stdout.includes("up")) break
    const out = temporaryDirectory("out")
    writeFileSync(join(out, "mine"), "x")
    for (const link of ["/abs", "/rel"]) {
      await copies(`cp-links:${link}/secret`, join(out, "got"))
      expect(readFileSync(join(out, "got"), "utf8")).toBe("of the container\n")
      await copies(join(out, "mine"), `cp-links:${link}/`)
      await copies(join(out, "mine"), `cp-links:${link}/secret`)
      await says("cp-links", `echo of the container > ${dir}/secret`)
    }
    for (const link of ["/magic/etc/passwd", "/one/secret"]) {
      expect((await cp(`cp-links:${link}`, join(out, "never"))).exitCode).toBe(125)
      expect((await cp(join(out, "mine"), `cp-links:${link}`)).exitCode).toBe(125)
    }
    expect(existsSync(join(out, "never"))).toBe(false)
    expect(fingerprint(dir)).toEqual(before)
    // What is copied out is made of links that lead where they led: nothing is written through them on this machine.
    await says("cp-links", `mkdir /evil /evil2; ln -s ${dir} /evil/d; mkdir /evil2/d; echo x > /evil2/d/secret`)
    await copies("cp-links:/evil/.", out)
    const { exitCode, stderr } = await cp("cp-links:/evil2/.", out)
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("no directory") })
    expect(fingerprint(dir)).toEqual(before)
    await toybox(["rm", "-f", "cp-links"])
  })

  test("while files are copied, by exchanging them for symlinks, reaches its own", async () => {
    const { dir, before } = victim()
    const swap = `while :; do mv /w/d /w/e; ln -s ${dir} /w/d; rm /w/d; mv /w/e /w/d; done`
    const files =
      "while :; do mv /w/d/f /w/d/g; ln -s /secret /w/d/f; rm /w/d/f; mkfifo /w/d/f; rm /w/d/f; mv /w/d/g /w/d/f; done"
    const script = `mkdir -p ${dir} /w/d; echo inside > ${dir}/secret; echo inside > /w/d/secret; echo inside > /w/d/f; (${swap}) 2>/dev/null & (${files}) 2>/dev/null & echo up; wait`
    await toybox(ownRun("-d", "--name", "cp-races", "base", "sh", "-c", script))
    for (const end = Date.now() + 20_000; Date.now() < end; await Bun.sleep(20))
      if ((await toybox(["logs", "cp-races"])).stdout.includes("up")) break
    const mine = join(temporaryDirectory("mine"), "tree")
    mkdirSync(join(mine, "d"), { recursive: true })
    writeFileSync(join(mine, "d/secret"), "inside\n")
    const succeeded = { in: 0, out: 0 }
    const some = () => succeeded.in > 0 && succeeded.out > 0
    for (let i = 0; i < 12 || (i < 60 && !some()); i++) {
      const out = temporaryDirectory("out")
      const [first, second, third] = await Promise.all([
        cp(`${mine}/.`, "cp-races:/w"),
        cp("cp-races:/w/d/secret", join(out, "one")),
        cp("cp-races:/w", join(out, "all")),
      ])
      if (first.exitCode === 0) succeeded.in++
      if (second.exitCode === 0 && third.exitCode === 0) succeeded.out++
      // A symlink that was there at that moment comes as one, and a file that was just being copied in has nothing yet.
      for (const path of ["one", "all/d/secret", "all/e/secret", "all/d/f"]) {
        const found = lstatSync(join(out, path), { throwIfNoEntry: false })
        if (found?.isFile() && !lstatSync(join(out, path, ".."), {}).isSymbolicLink())
          expect(["inside\n", ""]).toContain(readFileSync(join(out, path), "utf8"))
      }
    }
    expect(fingerprint(dir)).toEqual(before)
    expect(some()).toBe(true)
    await toybox(["rm", "-f", "cp-races"])
    expect(await ownLeftovers()).toEqual([])
  }, 60_000)
})
