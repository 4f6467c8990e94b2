import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { type BaseEntry, baseDirectory, buildBaseImage } from "../../build/base-image.ts"
import { HOST_ARCH } from "../../build/debian.ts"
import { readElf } from "../../build/elf.ts"

const digest = buildBaseImage(HOST_ARCH)
const directory = baseDirectory(HOST_ARCH)
const entries: BaseEntry[] = JSON.parse(readFileSync(join(directory, "base.json"), "utf8"))
const find = (path: string) => entries.find((entry) => entry.path === path)

test("the binary needs no libraries", () => {
  expect(readElf(readFileSync(join(directory, "busybox"))).interpreted).toBe(false)
  expect(find("/bin/busybox")).toEqual({ path: "/bin/busybox", type: "file", mode: 0o755, source: "busybox" })
})

test("every applet of the bin directories is linked", () => {
  const listed = Bun.spawnSync([join(directory, "busybox"), "--list-full"])
    .stdout.toString()
    .trim()
    .split("\n")
  const applets = listed.filter((path) => path.includes("/") && path !== "bin/busybox")
  expect(applets.length).toBeGreaterThan(200)
  for (const applet of applets) expect(find(`/${applet}`)).toMatchObject({ type: "symlink", target: "/bin/busybox" })
})

test("parents come before their children, and no path comes twice", () => {
  const seen = new Set(["/"])
  for (const { path } of entries) {
    expect(seen.has(dirname(path)), path).toBe(true)
    expect(seen.has(path), path).toBe(false)
    seen.add(path)
  }
})

test("directories have the modes that programs rely on", () => {
  expect(find("/tmp")).toMatchObject({ type: "directory", mode: 0o1777 })
  expect(find("/var/tmp")).toMatchObject({ mode: 0o1777 })
  expect(find("/root")).toMatchObject({ mode: 0o700 })
})

test("accounts and groups are well formed", () => {
  const passwd = (find("/etc/passwd") as { content: string }).content.trim().split("\n")
  for (const line of passwd) expect(line.split(":")).toHaveLength(7)
  expect(passwd[0]).toBe("root:x:0:0:root:/root:/bin/sh")
  const group = (find("/etc/group") as { content: string }).content.trim().split("\n")
  for (const line of group) expect(line.split(":")).toHaveLength(4)
  expect(group).toContain("tty:x:5:")
  const gids = new Set(group.map((line) => line.split(":")[2]))
  for (const line of passwd) expect(gids.has(line.split(":")[3]), line).toBe(true)
})

test("licences are shipped", () => {
  for (const name of ["copyright", "GPL-2", "copyright.libc6", "LGPL-2.1", "SOURCE"]) {
    expect(find(`/usr/share/doc/busybox-static/${name}`)).toMatchObject({ type: "file" })
  }
})

test("the digest is over both files", async () => {
  const hash = createHash("sha256")
  for (const name of ["busybox", "base.json"]) hash.update(readFileSync(join(directory, name)))
  expect(digest).toBe(hash.digest("hex"))
  expect(await import(join(directory, "digest.js"))).toMatchObject({ BASE_DIGEST: digest })
})
