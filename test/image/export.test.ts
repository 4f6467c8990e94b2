/** toybox export: what a container sees is what the archive has. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { tarOf } from "../helpers/oci-layout.ts"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { dockerArchive } from "../helpers/saved.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox, toyboxBytes } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

// With names that are no text, and every kind of file.
const CHANGES = `
rm /srv/gone; rm -r /srv/dir; mkdir /srv/dir; echo new > /srv/dir/new
echo a > /srv/linked; ln /srv/linked /srv/other; ln -s /etc/passwd /srv/way
echo x > /srv/set; chown 12:34 /srv/set; chmod 4751 /srv/set
mkfifo /srv/pipe; mknod /srv/device c 1 3
echo é > "/srv/é"; echo y > "/srv/$(printf 'n\\377o')"; truncate -s 5M /srv/sparse
`
const LISTING =
  "cd /; find . -xdev -path ./proc -prune -o -path ./sys -prune -o -path ./dev -prune -o -print | sort | xargs -d '\\n' stat -c '%n %F %a %u:%g %s %Y'"

function unpacked(archive: Uint8Array): string {
  const dir = temporaryDirectory("unpacked")
  const { exitCode, stderr } = Bun.spawnSync(["tar", "-xp", "--numeric-owner", "--xattrs", "-C", dir], {
    stdin: archive,
  })
  if (exitCode !== 0) throw new Error(stderr.toString())
  return dir
}

describe.skipIf(!isRoot)("toybox export", () => {
  beforeAll(async () => {
    const image = join(temporaryDirectory("image"), "image.tar")
    const below = makeRoot({ files: { "srv/gone": "gone", "srv/dir/old": "old", "srv/kept": "kept" } })
    const above = temporaryDirectory("above")
    writeFileSync(join(above, "upper"), "of the second layer")
    writeFileSync(image, dockerArchive([{ layers: [tarOf(below), tarOf(above)], tags: ["export-test:1"] }]))
    expect(await toybox(["load", "-q", "-i", image])).toMatchObject({ exitCode: 0 })
    const volume = temporaryDirectory("volume")
    writeFileSync(join(volume, "secret"), "not of the root")
    const words = ["-d", "--name", "exported", "--cap-add", "MKNOD", "-v", `${volume}:/mnt`, "export-test:1"]
    expect(
      await toybox(ownRun(...words, "sh", "-c", `${CHANGES} echo done > /srv/done; exec sleep 1000`)),
    ).toMatchObject({
      exitCode: 0,
    })
    for (let done = false; !done; await Bun.sleep(20))
      done = (await toybox(["exec", "exported", "cat", "/srv/done"])).exitCode === 0
  }, 60_000)

  afterAll(async () => {
    await toybox(["rm", "--force", "--if-exists", "exported"])
    await toybox(["rmi", "export-test:1"])
    expect(await ownLeftovers()).toEqual([])
  })

  const list = (root: string) => {
    const { stdout, stderr } = Bun.spawnSync(["bash", "-c", LISTING.replace("cd /;", 'cd "$0";'), root])
    expect(stderr.toString()).toBe("")
    return stdout.toString("latin1")
  }

  test("of one that runs and of one that has ended, the same", async () => {
    const running = await toyboxBytes(["export", "exported"])
    expect(running.exitCode).toBe(0)
    const dir = unpacked(running.stdout)
    const [first, second] = ["linked", "other"].map((name) => Bun.file(join(dir, "srv", name)))
    expect(await first?.text()).toBe("a\n")
    expect(await second?.text()).toBe("a\n")
    expect(readFileSync(join(dir, "upper"), "utf8")).toBe("of the second layer")
    const text = list(dir)
    for (const line of [
      "./srv/set regular file 4751 12:34 2 ",
      "./srv/pipe fifo ",
      "./srv/device character special file ",
    ])
      expect(text).toContain(line)
    for (const name of ["/srv/gone", "/srv/dir/old", "/mnt/secret", ".wh."]) expect(text).not.toContain(name)
    // Names come out byte by byte.
    expect(text).toContain("./srv/n\xffo regular")
    const file = join(temporaryDirectory("out"), "root.tar")
    expect(await toybox(["stop", "--time", "0", "exported"])).toMatchObject({ exitCode: 0 })
    expect(await toybox(["export", "-q", "-o", file, "exported"])).toMatchObject({ exitCode: 0, stderr: "" })
    expect(readFileSync(file).equals(running.stdout)).toBe(true)
  }, 60_000)

  test("a reader that goes away is told, and a full disk", async () => {
    const { exitCode, stderr } = await toybox(["export", "-q", "-o", "/dev/full", "exported"])
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 125 })
    expect(stderr).toContain("the disk is full")
    const none = await toybox(["export", "-q", "-o", join(temporaryDirectory("none"), "a/b"), "exported"])
    expect(none.exitCode).toBe(125)
    expect((await toybox(["export", "-q", "nobody-has-this"])).stderr).toContain("no such container")
  })
})
