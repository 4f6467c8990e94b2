/** linux.devices where mknod(2) makes none: in a user namespace. */
import { afterAll, expect, test } from "bun:test"
import { chmodSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { type Config, config, insideBundle, runConfig } from "../helpers/oci-bundle.ts"
import { ownLeftovers } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

afterAll(async () => expect(await ownLeftovers()).toEqual([]))
cleanUpAfterAll()

const BASE = 3_000_000

function inUserNamespace(value: Config): void {
  value.linux.namespaces.push({ type: "user" })
  value.linux.uidMappings = [{ containerID: 0, hostID: BASE, size: 1000 }]
  value.linux.gidMappings = [{ containerID: 0, hostID: BASE, size: 1000 }]
  value.linux.resources = { devices: [{ allow: true, access: "rwm" }] }
}

function mappedRoot(): string {
  const dir = makeRoot()
  Bun.spawnSync(["chown", "-R", "-h", `${BASE}:${BASE}`, dir])
  return dir
}

test("they are the container's own, wherever the host has them", async () => {
  const host = statSync("/dev/null")
  const script = [
    "stat -c '%n %F %t:%T %a %u:%g' /dev/null /dev/under/another /dev/block",
    "chown 7:8 /dev/null; stat -c %u:%g /dev/null; echo x > /dev/null",
    "head -c 3 /dev/under/another | wc -c",
  ]
  const change = (value: Config) => {
    inUserNamespace(value)
    value.linux.devices = [
      { path: "/dev/under/another", type: "c", major: 1, minor: 5, fileMode: 0o640, uid: 5, gid: 6 },
      { path: "/dev/block", type: "b", major: 259, minor: 300, fileMode: 0o600 },
    ]
  }
  expect(await insideBundle(script.join(";"), change, mappedRoot())).toBe(
    [
      "/dev/null character special file 1:3 666 0:0",
      "/dev/under/another character special file 1:5 640 5:6",
      "/dev/block block special file 103:12c 600 0:0",
      "7:8",
      "3",
    ].join("\n"),
  )
  const { uid, gid, ctimeMs } = statSync("/dev/null")
  expect({ uid, gid, ctimeMs }).toEqual({ uid: host.uid, gid: host.gid, ctimeMs: host.ctimeMs })
})

test.each([true, false])("a terminal can be had where the host's ptmx is asked for, too: %p", async (mapped) => {
  const change = (value: Config) => {
    if (mapped) inUserNamespace(value)
    value.linux.devices = [{ path: "/dev/ptmx", type: "c", major: 5, minor: 2, fileMode: 0o666 }]
  }
  const root = mapped ? mappedRoot() : makeRoot()
  expect(await insideBundle("readlink /dev/ptmx; exec 3<>/dev/ptmx; ls /dev/pts", change, root)).toBe(
    "pts/ptmx\n0\nptmx",
  )
})

/** toybox where it may make no devices either. */
function confined(): string {
  const path = join(temporaryDirectory("bin"), "confined")
  writeFileSync(path, `#!/bin/sh\nexec setpriv --bounding-set -mknod ${toyboxBinary()} "$@"\n`)
  chmodSync(path, 0o755)
  return path
}

test("where toybox cannot make them, those of the host are bound, by their numbers", async () => {
  const root = mappedRoot()
  const value = config("stat -c '%F %t:%T %u' /dev/null /dev/under/another", root)
  inUserNamespace(value)
  value.linux.devices = [{ path: "/dev/under/another", type: "c", major: 1, minor: 5 }]
  expect(await runConfig(value, root, { binary: confined() })).toMatchObject({
    stdout: "character special file 1:3 65534\ncharacter special file 1:5 65534\n",
    exitCode: 0,
  })
  expect(readdirSync(join(root, "dev"))).toEqual([])
})

test("and one that the host does not have is refused, whatever is at its path", async () => {
  for (const path of ["/etc/shadow", `/dev/${basename(temporaryDirectory())}`]) {
    const value = config("echo it ran")
    inUserNamespace(value)
    value.linux.devices = [{ path, type: "c", major: 240, minor: 77 }]
    const { stdout, stderr, exitCode } = await runConfig(value, undefined, { binary: confined() })
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 1 })
    expect(stderr).toContain(`config.json: linux.devices: the host has no device c 240:77 at ${path}`)
  }
})
