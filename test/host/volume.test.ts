/** Named and nameless volumes: what is in them, whose they are, and when they go. */
import { afterEach, describe, expect, test } from "bun:test"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { call, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { toyboxBinary } from "../helpers/binary.ts"
import { tarOf } from "../helpers/oci-layout.ts"
import { ownRun } from "../helpers/own.ts"
import { makeRoot, type RootFile } from "../helpers/root.ts"
import { dockerArchive } from "../helpers/saved.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { startToybox, stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

async function succeed(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await toybox(words)
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.trimEnd()
}

const run = (...words: string[]) => succeed(...ownRun("--rm", ...words))
const volumes = async (...filters: string[]) =>
  (await succeed("volume", "ls", "-q", ...filters.flatMap((filter) => ["--filter", filter])))
    .split("\n")
    .filter(Boolean)
const dataOf = (name: string) => join(stateRoot(), "volumes", name, "data")

describe.skipIf(!isRoot)("toybox volume", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force", "--volumes"])
    await toybox(["volume", "prune", "--all", "--force"])
    expect(readdirSync(join(stateRoot(), "volumes"))).toEqual([])
  })

  test("-f is a filter of ls and a template of inspect; list and remove are ls and rm", async () => {
    await succeed("volume", "create", "one")
    await succeed("volume", "create", "two")
    expect(await succeed("volume", "list", "-q", "-f", "name=on", "-f", "name=x")).toBe("one")
    expect(await succeed("volume", "inspect", "-f", "{{.Name}}", "one", "two")).toBe("one\ntwo")
    expect(await succeed("volume", "remove", "-f", "one", "two", "three")).toBe("one\ntwo\nthree")
  })

  test("another directory, or file system, than its own", async () => {
    const device = temporaryDirectory("device")
    writeFileSync(join(device, "file"), "of the host")
    await succeed("volume", "create", "-o", "type=none", "-o", `device=${device}`, "-o", "o=bind", "bound")
    await succeed("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "--opt", "o=size=3m,mode=750", "memory")
    expect(await run("-v", "bound:/mnt", "base", "sh", "-c", "cat /mnt/file; echo new > /mnt/new")).toBe("of the host")
    expect(readFileSync(join(device, "new"), "utf8")).toBe("new\n")
    expect(await run("-v", "bound:/mnt:ro", "base", "sh", "-c", "touch /mnt/x 2> /dev/null || echo no")).toBe("no")
    const look = "df -m /m | tail -n 1 | awk '{ print $2 }'; stat -c %a /m; touch /m/x"
    expect(await run("-v", "memory:/m", "base", "sh", "-c", look)).toBe("3\n750")
    expect(await succeed("volume", "inspect", "-f", "{{json .Options}}", "memory")).toBe(
      '{"type":"tmpfs","device":"tmpfs","o":"size=3m,mode=750"}',
    )
    await succeed(...ownRun("--name", "user", "-v", "memory:/m", "-v", "bound:/b", "base", "true"))
    expect(await succeed("inspect", "-f", "{{range .Mounts}}{{.Type}} {{.Name}} {{end}}", "user")).toBe(
      "volume memory volume bound",
    )
    expect(await succeed("ps", "-a", "--format", "{{.Mounts}}")).toBe("memory,bound")
    expect(await run("--volumes-from", "user", "base", "sh", "-c", "ls /b; stat -c %a /m")).toBe("file\nnew\n750")
    await toybox(["rm", "user"])
    await succeed("volume", "rm", "bound", "memory")
    expect(readdirSync(device).sort()).toEqual(["file", "new"])
    for (const [words, message] of [
      [["-o", "type=none"], "device=… is missing"],
      [["-o", "size=1g"], '"size=1g" is not understood'],
      [["-o", "type=none", "-o", "device=data", "-o", "o=bind"], "no absolute path"],
    ] as const)
      expect((await toybox(["volume", "create", ...words, "bad"])).stderr).toContain(message)
    await succeed("volume", "create", "-o", "type=none", "-o", "device=/not/there", "-o", "o=bind", "gone")
    expect((await toybox(ownRun("-v", "gone:/x", "base", "true"))).stderr).toContain("/not/there, which is not there")
  })

  test("one in memory is shared by those that run at a time, and goes with the last of them", async () => {
    await succeed("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=3m", "memory")
    const start = (name: string, access: string, ...words: string[]) =>
      succeed(...ownRun("-d", "--rm", "--name", name, "-v", `memory:/var/run/m${access}`, "base", ...words))
    const write = "touch /var/run/m/x 2> /dev/null && echo written || echo no"
    await start("reads", ":ro", "sh", "-c", `${write}; sleep 1000`)
    await start("writes", "", "sh", "-c", "echo shared > /var/run/m/file; sleep 1000")
    expect(await succeed("exec", "reads", "sh", "-c", `cat /var/run/m/file; ${write}`)).toBe("shared\nno")
    // Elsewhere, by --volumes-from, and with who has it otherwise.
    expect(await run("-v", "memory:/here", "base", "sh", "-c", "cat /here/file; echo more >> /here/file")).toBe(
      "shared",
    )
    expect(await run("--volumes-from", "writes", "base", "cat", "/var/run/m/file")).toBe("shared\nmore")
    await succeed("rm", "--force", "reads")
    expect(await run("-v", "memory:/m:ro", "base", "sh", "-c", "cat /m/file; touch /m/y 2> /dev/null || echo no")).toBe(
      "shared\nmore\nno",
    )
    await succeed("rm", "--force", "writes")
    expect(await run("-v", "memory:/m", "base", "ls", "/m")).toBe("")
    // All at once, none before the other; and after a kill there is nothing of it.
    const script =
      "echo $HOSTNAME >> /m/names; while [ $(wc -l < /m/names) -lt 4 ]; do sleep 0.1; done; wc -l < /m/names"
    const runs = await Promise.all(
      Array.from({ length: 4 }, () => startToybox(ownRun("--rm", "-v", "memory:/m", "base", "sh", "-c", script))),
    )
    for (const one of runs) expect(await one.wait()).toMatchObject({ exitCode: 0, stdout: "4\n" })
    const killed = await startToybox(
      ownRun("--rm", "-v", "memory:/m", "base", "sh", "-c", "echo x > /m/x; echo ready; sleep 1000"),
    )
    await killed.waitFor("ready")
    killed.kill("SIGKILL")
    await killed.wait()
    expect(await run("-v", "memory:/m", "base", "ls", "/m")).toBe("")
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(dataOf("memory"))
    await succeed("volume", "rm", "memory")
  }, 60_000)

  test("one in memory has what the image has at its place, each time that it is made, and is one at all places", async () => {
    const create = (name: string, o: string) =>
      succeed("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", `o=${o}`, name)
    await create("memory", "size=3m")
    await create("moded", "size=3m,mode=711,uid=7")
    await create("small", "size=8k")
    const root = makeRoot({ files: { "/srv/file": "of the image\n", "/srv/large": "x".repeat(100_000) } })
    chownSync(join(root, "srv"), 12, 34)
    chmodSync(join(root, "srv"), 0o2750)
    const look = "cat /srv/file; stat -c %u:%g:%a /srv; rm /srv/file; touch /srv/mine"
    for (let i = 0; i < 2; i++)
      expect(await run("-v", "memory:/srv", root, "sh", "-c", look)).toBe("of the image\n12:34:2750")
    expect(await run("-v", "moded:/srv", root, "stat", "-c", "%u:%g:%a", "/srv")).toBe("7:34:711")
    expect(await run("-v", "memory:/srv:nocopy", root, "sh", "-c", "ls -A /srv; stat -c %a /srv")).toBe("1777")
    expect(await run("-v", "memory:/not/there", root, "ls", "-A", "/not/there")).toBe("")
    const full = await toybox(ownRun("--rm", "-v", "small:/srv", root, "true"))
    expect(full.exitCode).toBe(125)
    expect(full.stderr).toContain("ENOSPC")
    expect(full.stderr).toContain("the volume small cannot be filled with what the image has there")
    expect(await run("-v", "small:/srv:nocopy", root, "ls", "-A", "/srv")).toBe("")
    // At two places, of which one is for reading only, and with somebody who has it already.
    const both = ["-v", "memory:/one:ro", "-v", "memory:/two/below"]
    const write = "echo x > /two/below/file; cat /one/file; touch /one/y 2> /dev/null || echo no"
    expect(await run(...both, "base", "sh", "-c", write)).toBe("x\nno")
    await succeed(...ownRun("-d", "--rm", "--name", "has", ...both, "base", "sh", "-c", `${write}; sleep 1000`))
    expect(await run(...both, root, "sh", "-c", `cat /one/file; echo more > /two/below/file; cat /one/file`)).toBe(
      "x\nmore",
    )
    expect(await succeed("exec", "has", "cat", "/one/file")).toBe("more")
    await succeed("rm", "--force", "has")
    // Started again it is new, too.
    await succeed(...ownRun("--name", "twice", "-v", "memory:/srv", root, "sh", "-c", look))
    expect(await succeed("start", "-a", "twice")).toBe("of the image\n12:34:2750")
  }, 60_000)

  test("create, ls, inspect and rm", async () => {
    expect(await succeed("volume", "create", "--label", "tier=db", "--label", "x", "data")).toBe("data")
    expect(await succeed("volume", "create", "data")).toBe("data")
    expect(await succeed("volume", "create", "other")).toBe("other")
    const nameless = await succeed("volume", "create")
    expect(nameless).toMatch(/^[0-9a-f]{64}$/)
    expect(await succeed("volume", "ls")).toMatch(/^DRIVER +VOLUME NAME\nlocal +/)
    expect((await volumes()).sort()).toEqual([nameless, "data", "other"].sort())
    expect(await volumes("label=tier=db")).toEqual(["data"])
    expect(await volumes("label=tier=web")).toEqual([])
    expect(await volumes("name=the")).toEqual(["other"])
    expect(await succeed("volume", "ls", "--filter", "name=data", "--format", "{{.Name}} {{.Mountpoint}}")).toBe(
      `data ${dataOf("data")}`,
    )
    expect(JSON.parse(await succeed("volume", "inspect", "data", "other"))).toEqual([
      {
        CreatedAt: expect.any(String),
        Driver: "local",
        Labels: { tier: "db", x: "" },
        Mountpoint: dataOf("data"),
        Name: "data",
        Options: {},
        Scope: "local",
      },
      expect.objectContaining({ Name: "other", Labels: {} }),
    ])
    expect(JSON.parse(await succeed("inspect", "--type", "volume", "data"))).toMatchObject([{ Name: "data" }])
    expect(await toybox(["volume", "inspect", "nothere"])).toMatchObject({
      exitCode: 1,
      stdout: "[]\n",
      stderr: expect.stringContaining('there is no volume "nothere"'),
    })
    expect(await succeed("volume", "rm", "data", "other")).toBe("data\nother")
    const gone = await toybox(["volume", "rm", "data"])
    expect(gone).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('there is no volume "data"') })
    await succeed("volume", "rm", "--force", "data")
    expect(await toybox(["volume", "create", "a/b"])).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining('"a/b" is no name for a volume'),
    })
    expect(await toybox(["volume", "prune"])).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining("nobody can be asked"),
    })
    expect(await succeed("volume", "prune", "--force")).toStartWith(`Deleted Volumes:\n${nameless}\n`)
  })

  test("a name makes a volume, whose content stays, and which is shared", async () => {
    await run("-v", "kept:/data", "base", "sh", "-c", "echo one > /data/file")
    expect(await run("-v", "kept:/elsewhere:ro", "base", "cat", "/elsewhere/file")).toBe("one")
    const refused = await toybox(ownRun("--rm", "-v", "kept:/data:ro", "base", "touch", "/data/x"))
    expect(refused.stderr).toContain("Read-only file system")
    await succeed(
      ...ownRun("-d", "--name", "reader", "--mount", "type=volume,src=kept,dst=/data", "base", "sleep", "1000"),
    )
    await run("-v", "kept:/data", "base", "sh", "-c", "echo two > /data/file")
    expect(await succeed("exec", "reader", "cat", "/data/file")).toBe("two")
    const mounts = JSON.parse(await succeed("inspect", "reader"))[0].Mounts
    const place = { Source: dataOf("kept"), Destination: "/data", Mode: "", RW: true, Propagation: "" }
    expect(mounts).toEqual([{ Type: "volume", Name: "kept", Driver: "local", ...place }])
    expect(await succeed("ps", "--format", "{{.Names}} {{.Mounts}} {{.LocalVolumes}}")).toBe("reader kept 1")
    expect(await succeed("ps", "-q", "--filter", "volume=kept")).not.toBe("")
    expect(await succeed("ps", "-q", "--filter", "volume=/data")).not.toBe("")
    expect(await succeed("ps", "-q", "--filter", "volume=other")).toBe("")
    expect(await volumes("dangling=false")).toEqual(["kept"])
    for (const command of [
      ["volume", "rm", "kept"],
      ["volume", "rm", "--force", "kept"],
    ])
      expect(await toybox(command)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining("the volume kept is in use by container reader"),
      })
    await succeed("stop", "--time", "0", "reader")
    // One that has ended may be started again.
    expect((await toybox(["volume", "rm", "kept"])).exitCode).toBe(1)
    expect(await succeed("volume", "prune", "--all", "--force")).toBe("Total reclaimed space: 0 B")
    await succeed("start", "reader")
    expect(await succeed("exec", "reader", "cat", "/data/file")).toBe("two")
    await succeed("rm", "--force", "--volumes", "reader")
    expect(await volumes()).toEqual(["kept"])
    await succeed("volume", "rm", "kept")
  })

  test("volumes without names go with --rm and rm -v, and only then", async () => {
    expect(await run("-v", "/data", "base", "sh", "-c", "echo x > /data/file; cat /data/file")).toBe("x")
    expect(await volumes()).toEqual([])
    await succeed(...ownRun("--name", "keeps", "-v", "/data", "base", "sh", "-c", "echo y > /data/file"))
    const [name = ""] = await volumes()
    expect(name).toMatch(/^[0-9a-f]{64}$/)
    expect(readFileSync(join(dataOf(name), "file"), "utf8")).toBe("y\n")
    const shared = await run(
      "--volumes-from",
      "keeps:ro",
      "base",
      "sh",
      "-c",
      "cat /data/file; touch /data/x 2>&1; true",
    )
    expect(shared).toContain("Read-only file system")
    // The other container has it still.
    expect(await volumes()).toEqual([name])
    await succeed("rm", "keeps")
    expect(await volumes("dangling=true")).toEqual([name])
    expect(JSON.parse(await succeed("volume", "inspect", name))[0].Labels).toEqual({
      "com.docker.volume.anonymous": "",
    })
    expect(await succeed("volume", "prune", "--force")).toContain(name)
    await succeed(...ownRun("--name", "goes", "-v", "/data", "base", "true"))
    await succeed("rm", "-v", "goes")
    expect(await volumes()).toEqual([])
    // A container that could not be made leaves none.
    expect((await toybox(ownRun("-v", "/data", "-v", "/nothere:/x", "base", "true"))).exitCode).toBe(125)
    expect((await toybox(ownRun("-v", "/data", "--user", "nobody-there", "base", "true"))).exitCode).not.toBe(0)
    expect(await volumes()).toEqual([])
  })

  test("create makes them, too, and rm of what was never started removes them", async () => {
    await succeed("create", "--name", "later", "-v", "early:/data", "-v", "/other", "base", "ls", "/data")
    expect(await volumes("dangling=false")).toHaveLength(2)
    writeFileSync(join(dataOf("early"), "put"), "")
    expect(await succeed("start", "--attach", "later")).toBe("put")
    await succeed("rm", "-v", "later")
    expect(await volumes()).toEqual(["early"])
    await succeed("volume", "rm", "early")
  })

  test("a container may have many, and be started again by its policy", async () => {
    const many = Array.from({ length: 40 }, (_, i) => ["-v", `/data/${i}`]).flat()
    await succeed(...ownRun("-d", "--name", "many", "--restart", "on-failure:2", ...many, "base", "sh", "-c", "exit 3"))
    for (const end = performance.now() + 15_000; ; await Bun.sleep(50)) {
      const [{ State, RestartCount }] = JSON.parse(await succeed("inspect", "many"))
      if (State.Status === "exited" && RestartCount === 2) break
      if (performance.now() > end) throw new Error(`${State.Status} after ${RestartCount} restarts`)
    }
    await succeed("rm", "-v", "many")
    expect(await volumes()).toEqual([])
  })

  test("one that is made is open to the users of containers, whatever the caller's umask", async () => {
    Bun.spawnSync(["sh", "-c", `umask 077; exec ${toyboxBinary()} volume create open`], {
      env: { ...process.env, TOYBOX_ROOT: stateRoot() },
    })
    expect(await run("--user", "1000", "-v", "open:/data", "base", "ls", "-ld", "/data")).toStartWith("drwxr-xr-x")
  })

  describe("of an image", () => {
    const load = async (name: string, config: object, files: Record<string, RootFile>) => {
      const root = makeRoot({ files })
      Bun.spawnSync([
        "sh",
        "-c",
        `cd ${root} && mkdir -p data && chmod 1751 data && chown 12:34 data &&
        echo first > data/file && chmod 4755 data/file && ln data/file data/hard && ln -s file data/soft &&
        mkfifo data/fifo && truncate -s 1M data/sparse && mkdir -m 700 data/inner && echo x > data/inner/deep`,
      ])
      const file = join(temporaryDirectory("image"), "image.tar")
      writeFileSync(
        file,
        dockerArchive([
          {
            layers: [tarOf(root, "--sparse", "--owner=:12", "--group=:34")],
            tags: [`${name}:latest`],
            config: { ...config },
          },
        ]),
      )
      await succeed("load", "-i", file)
    }

    test("however many there are, all are held while the container is mounted", async () => {
      const layers = ["one", "two"].map((name) => tarOf(makeRoot({ files: { [`srv/${name}`]: name } })))
      const file = join(temporaryDirectory("image"), "image.tar")
      writeFileSync(file, dockerArchive([{ layers, tags: ["layered:latest"] }]))
      await succeed("load", "-i", file)
      const words = Array.from({ length: 80 }, (_, i) => ["-v", `v${i}:/data/${i}`]).flat()
      const running = await startToybox(
        ownRun("--rm", ...words, "layered", "sh", "-c", "cat /srv/one /srv/two; read end"),
      )
      await running.waitFor("onetwo")
      const fds = `/proc/${running.pid}/fd`
      const held = readdirSync(fds).filter((fd) =>
        readlinkSync(join(fds, fd)).startsWith(join(stateRoot(), "volumes/")),
      )
      running.stdin.write("\n")
      expect(await running.wait()).toMatchObject({ exitCode: 0, stderr: "" })
      expect(held).toHaveLength(80)
    }, 20_000)

    test("what it has there is copied at first use", async () => {
      await load("filled", {}, {})
      await run("-v", "copied:/data", "filled", "true")
      const names = ["fifo", "file", "hard", "inner", "soft", "sparse"]
      expect(readdirSync(dataOf("copied")).sort()).toEqual(names)
      const whole = statSync(dataOf("copied"))
      expect([whole.mode & 0o7777, whole.uid, whole.gid]).toEqual([0o1751, 12, 34])
      const file = statSync(join(dataOf("copied"), "file"))
      expect([file.mode & 0o7777, file.nlink]).toEqual([0o4755, 2])
      expect(statSync(join(dataOf("copied"), "sparse")).blocks).toBe(0)
      // Later the volume is as it was left.
      await run("-v", "copied:/data", "filled", "sh", "-c", "rm -r /data/*")
      expect(await run("-v", "copied:/data", "filled", "ls", "/data")).toBe("")
      // Nor where somebody has put something into it, or does not want it.
      await succeed("volume", "create", "put")
      writeFileSync(join(dataOf("put"), "mine"), "")
      expect(await run("-v", "put:/data", "filled", "ls", "/data")).toBe("mine")
      expect(await run("-v", "plain:/data:nocopy", "filled", "ls", "/data")).toBe("")
      await succeed("volume", "rm", "copied", "put", "plain")
    })

    test("it is copied by the first that has something there, as by docker and podman, in place", async () => {
      const names = ["fifo", "file", "hard", "inner", "soft", "sparse"]
      const device = temporaryDirectory("device")
      await succeed("volume", "create", "-o", "type=none", "-o", `device=${device}`, "-o", "o=bind", "bound")
      for (const name of ["late", "bound"]) {
        // Nobody wants it, or has it; and one that runs has the volume mounted.
        expect(await run("-v", `${name}:/data:nocopy`, "filled", "ls", "/data")).toBe("")
        expect(await run("-v", `${name}:/not/there`, "filled", "ls", "/not/there")).toBe("")
        await succeed(...ownRun("-d", "--name", "has", "-v", `${name}:/not/there`, "filled", "sleep", "1000"))
        expect(await run("-v", `${name}:/data`, "filled", "ls", "-A", "/data")).toBe(names.join("\n"))
        expect(await succeed("exec", "has", "ls", "-A", "/not/there")).toBe(names.join("\n"))
        await succeed("rm", "--force", "has")
        // Then it was filled, whatever becomes of that.
        await run("-v", `${name}:/data:nocopy`, "filled", "sh", "-c", "rm -r /data/*")
        expect(await run("-v", `${name}:/data`, "filled", "ls", "/data")).toBe("")
      }
      // Of an empty directory the owner is taken over once: what a container makes of it stays.
      const owner = ["stat", "-c", "%u:%a", "/home/alice"]
      const root = makeRoot()
      mkdirSync(join(root, "home/alice"), { recursive: true })
      chownSync(join(root, "home/alice"), 7, 7)
      const note = Buffer.from("a note")
      call("lsetxattr", join(root, "home/alice"), "user.note", note, note.length, 0)
      expect(await run("-v", "owned:/home/alice", root, ...owner)).toBe("7:755")
      expect(call("lgetxattr", dataOf("owned"), "user.note", scratch.address, SCRATCH_SIZE)).toBe(note.length)
      await run("-v", "owned:/home/alice", root, "sh", "-c", "chown 1000 /home/alice; chmod 700 /home/alice")
      expect(await run("-v", "owned:/home/alice", root, ...owner)).toBe("1000:700")
      expect(await run("-v", "owned:/data", "filled", "ls", "-A", "/data")).toBe(names.join("\n"))
      // What somebody has put into it is all that is in it.
      await run("-v", "written:/not/there", "filled", "touch", "/not/there/mine")
      expect(await run("-v", "written:/data", "filled", "ls", "/data")).toBe("mine")
      // Killed while it was moved up.
      const half = `${stateRoot()}/volumes/half`
      await succeed("volume", "create", "half")
      Bun.spawnSync([
        "sh",
        "-c",
        `mkdir -m 750 ${half}/data.new.whole && touch ${half}/data/a ${half}/data.new.whole/b`,
      ])
      expect(await run("-v", "half:/data", "filled", "sh", "-c", "ls -A /data; stat -c %a /data")).toBe("a\nb\n750")
      expect(readdirSync(half).sort()).toEqual(["data", "volume.json"])
      await succeed("volume", "rm", "late", "bound", "written", "half", "owned")
    }, 30_000)

    test("a directory of the host gets it, too, where it is empty: whole, also after a kill", async () => {
      const bound = async (name: string, options = "bind") => {
        const device = temporaryDirectory("device")
        await succeed("volume", "create", "-o", "type=none", "-o", `device=${device}`, "-o", `o=${options}`, name)
        return device
      }
      const names = ["fifo", "file", "hard", "inner", "soft", "sparse"]
      const device = await bound("host")
      const { ino } = statSync(device)
      expect(await run("-v", "host:/data", "filled", "ls", "/data")).toBe(names.join("\n"))
      expect(readdirSync(device).sort()).toEqual(names)
      const whole = statSync(device)
      expect([whole.ino, whole.mode & 0o7777, whole.uid, whole.gid]).toEqual([ino, 0o1751, 12, 34])
      const file = statSync(join(device, "file"))
      expect([file.mode & 0o7777, file.nlink]).toEqual([0o4755, 2])
      expect(readFileSync(join(device, "inner/deep"), "utf8")).toBe("x\n")
      expect(await run("-v", "host:/data", "filled", "sh", "-c", "rm -r /data/*; ls /data")).toBe("")
      expect(await run("-v", "host:/data", "filled", "ls", "/data")).toBe("")
      // Not where something is, nor where it is not wanted, or not to be written.
      const mine = await bound("mine")
      writeFileSync(join(mine, "mine"), "")
      expect(await run("-v", "mine:/data", "filled", "ls", "/data")).toBe("mine")
      await bound("plain")
      expect(await run("-v", "plain:/data:nocopy", "filled", "ls", "/data")).toBe("")
      await bound("read", "bind,ro")
      expect(await run("-v", "read:/data", "filled", "ls", "/data")).toBe("")
      // Killed while it was copied, and while it was moved up.
      const half = await bound("half")
      Bun.spawnSync(["sh", "-c", `mkdir ${half}/.toybox-half && echo half > ${half}/.toybox-half/file`])
      expect(await run("-v", "half:/data", "filled", "sh", "-c", "ls -A /data; cat /data/file")).toBe(
        `${names.join("\n")}\nfirst`,
      )
      const moved = await bound("moved")
      Bun.spawnSync([
        "sh",
        "-c",
        `cd ${moved} && mkdir -m 750 .toybox-moved.whole && echo a > a && echo image > .toybox-moved.whole/a && echo b > .toybox-moved.whole/b`,
      ])
      expect(await run("-v", "moved:/data", "filled", "sh", "-c", "ls -A /data; cat /data/*; stat -c %a /data")).toBe(
        "a\nb\na\nb\n750",
      )
      await succeed("volume", "rm", "host", "mine", "plain", "read", "half", "moved")
    })

    test("several containers at once see the whole copy", async () => {
      const runs = await Promise.all(
        Array.from({ length: 5 }, () =>
          startToybox(
            ownRun("--rm", "-v", "raced:/data", "filled", "sh", "-c", "ls /data | wc -l; cat /data/inner/deep"),
          ),
        ),
      )
      for (const one of runs) expect(await one.wait()).toMatchObject({ exitCode: 0, stdout: "6\nx\n" })
      await succeed("volume", "rm", "raced")
    })

    test("its Volumes are volumes without names, unless something else is mounted there", async () => {
      await load("asks", { Volumes: { "/data": {}, "/var/log/": {} } }, {})
      await succeed(...ownRun("--name", "asked", "asks", "sh", "-c", "ls /data | wc -l; touch /var/log/x"))
      expect(await volumes()).toHaveLength(2)
      await succeed(...ownRun("--name", "given", "-v", "given:/data", "--tmpfs", "/var/log", "asks", "true"))
      expect(await volumes()).toHaveLength(3)
      await succeed("rm", "-v", "asked", "given")
      expect(await volumes()).toEqual(["given"])
      expect(await run("asks", "sh", "-c", "ls /data | wc -l")).toBe("6")
      expect(await volumes()).toEqual(["given"])
      await succeed("volume", "rm", "given")
    })

    test("a symbolic link there leads to the image's own files, never the host's", async () => {
      const secret = join(temporaryDirectory("secret"), "inner")
      Bun.spawnSync(["mkdir", secret])
      writeFileSync(join(secret, "key"), "host")
      await load("hostile", {}, { linked: { symlink: secret }, up: { symlink: "../../../../../../etc" } })
      const { stderr } = await toybox(ownRun("--rm", "-v", "linked:/linked", "hostile", "true"))
      expect(stderr).not.toContain("host")
      expect(existsSync(join(dataOf("linked"), "key"))).toBe(false)
      await run("-v", "up:/up", "hostile", "true")
      // The image's /etc, not this machine's.
      expect(readdirSync(dataOf("up")).sort()).toEqual(
        (await run("hostile", "ls", "/etc"))
          .split("\n")
          .filter((name) => existsSync(join(dataOf("up"), name)))
          .sort(),
      )
      expect(existsSync(join(dataOf("up"), "fstab"))).toBe(false)
      await succeed("volume", "rm", "--force", "linked", "up")
    })
  })

  test("what killed commands leave is removed or gone on with", async () => {
    // A volume half made, one half removed, and a copy that was under way.
    const directory = join(stateRoot(), "volumes")
    Bun.spawnSync(["sh", "-c", `mkdir -p ${directory}/.half.999999999/data ${directory}/.gone.999999998/data`])
    await succeed("volume", "create", "begun")
    Bun.spawnSync(["sh", "-c", `mkdir -p ${directory}/begun/data.new && echo half > ${directory}/begun/data.new/half`])
    expect(await volumes()).toEqual(["begun"])
    expect(readdirSync(directory)).toEqual(["begun"])
    expect(await run("-v", "begun:/data", "filled", "ls", "/data")).toBe("fifo\nfile\nhard\ninner\nsoft\nsparse")
    expect(readdirSync(join(directory, "begun")).sort()).toEqual(["data", "volume.json"])
    await succeed("volume", "rm", "begun")
  })

  test("what a killed command leaves is removed by several at once, and none of them fails", async () => {
    const [volumes, containers] = [join(stateRoot(), "volumes"), join(stateRoot(), "containers")]
    const id = "0".repeat(64)
    for (const dir of [`${volumes}/.gone.999999999/data`, `${containers}/.${id}.999999999/upper`])
      Bun.spawnSync(["sh", "-c", `mkdir -p ${dir} && cd ${dir} && seq 1 2000 | xargs touch`])
    const commands = [["volume", "ls"], ["ps"]].flatMap((words) => Array.from({ length: 4 }, () => startToybox(words)))
    for (const one of await Promise.all(commands)) expect(await one.wait()).toMatchObject({ exitCode: 0, stderr: "" })
    expect([volumes, containers].flatMap((dir) => readdirSync(dir))).toEqual([])
  }, 60_000)

  test("those of a run that is killed go as the container does", async () => {
    for (const [rm, left] of [
      [["--rm"], 0],
      [[], 1],
    ] as const) {
      const running = await startToybox(
        ownRun(...rm, "--name", "killed", "-v", "/data", "base", "sh", "-c", "echo ready; sleep 1000"),
      )
      await running.waitFor("ready")
      running.kill("SIGKILL")
      await running.wait()
      await succeed("ps")
      expect(await volumes()).toHaveLength(left)
    }
    await succeed("rm", "-v", "killed")
    expect(await volumes()).toEqual([])
  })

  test("--explain makes none", async () => {
    const text = await succeed("run", "--explain", "-v", "unmade:/data", "base", "true")
    expect(text.includes(`mkdir -p -m 755 ${dataOf("unmade")}`)).toBe(true)
    expect(text.includes(`mount --rbind ${dataOf("unmade")} `)).toBe(true)
    expect(await volumes()).toEqual([])
  })

  test("two commands that remove and use one at once", async () => {
    for (let round = 0; round < 5; round++) {
      await succeed("volume", "create", "fought")
      const using = await startToybox(ownRun("--rm", "-v", "fought:/data", "base", "touch", "/data/x"))
      const removing = await startToybox(["volume", "rm", "fought"])
      expect(await using.wait()).toMatchObject({ exitCode: 0, stderr: "" })
      const { exitCode, stderr } = await removing.wait()
      if (exitCode !== 0) expect(stderr).toContain("in use by")
      await succeed("volume", "rm", "--force", "fought")
    }
  })
})

test.skipIf(!isRoot)("the tree of volumes is closed to others", () => {
  expect(statSync(join(stateRoot(), "volumes")).mode & 0o777).toBe(0o700)
})
