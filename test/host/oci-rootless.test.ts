/** toybox oci for an ordinary user, in a user namespace of that user's: as podman calls it there. */
import { describe, expect, test } from "bun:test"
import { chmodSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { type Config, config, insideBundle } from "../helpers/oci-bundle.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, scratch, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const NOBODY = 65534
const isRoot = process.getuid?.() === 0

/** A bundle of that user's; what its engine leaves out there. */
function bundle(script: string, change: (value: Config) => void = () => {}, user = NOBODY): string {
  const dir = temporaryDirectory("bundle")
  const root = makeRoot()
  const value = config(script, root)
  // One group alone is mapped.
  for (const mount of value.mounts) mount.options = mount.options.filter((option: string) => option !== "gid=5")
  change(value)
  writeFileSync(join(dir, "config.json"), JSON.stringify(value))
  Bun.spawnSync(["chown", "-R", "-h", `${user}:${user}`, dir, root])
  return dir
}

/** Runs a shell script as root of a user namespace that `user` has made; `oci` is toybox. */
function asOrdinaryUser(script: string, { groups = "--clear-groups", user = NOBODY } = {}) {
  const runtime = temporaryDirectory("runtime")
  chmodSync(scratch(), 0o755)
  Bun.spawnSync(["chown", `${user}:${user}`, runtime])
  const whole = `oci() { ${toyboxBinary()} oci "$@"; }; ${script}`
  const { stdout, stderr, exitCode } = Bun.spawnSync(
    [
      ...["timeout", "-k", "2", "20", "setpriv", `--reuid=${user}`, `--regid=${user}`, groups],
      ...["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", whole],
    ],
    { env: { PATH: process.env.PATH, XDG_RUNTIME_DIR: runtime, USER: "nobody" }, cwd: "/" },
  )
  return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode, runtime }
}

describe.skipIf(!isRoot)("an ordinary user", () => {
  test("runs a container, without a cgroup, in devices of the host's", () => {
    const host = statSync("/dev/null")
    const script = "id -u; cat /proc/self/uid_map; chmod 600 /dev/null; stat -c '%u %a' /dev/null; echo x >/dev/full"
    const { runtime, ...result } = asOrdinaryUser(`oci run -b ${bundle(script)} one </dev/null`)
    expect(result).toEqual({
      stdout: expect.stringMatching(/^0\n +0 +65534 +1\n65534 666\n$/),
      stderr: expect.stringMatching(/chmod.*Operation not permitted\n.*No space left on device\n/),
      exitCode: 1,
    })
    expect(readdirSync(join(runtime, "toybox-oci"))).toEqual([])
    expect(statSync("/dev/null").ctimeMs).toBe(host.ctimeMs)
  })

  test("enters it", () => {
    const where = bundle("exec sleep 20 </dev/null >/dev/null 2>&1")
    const words = [
      `oci run -d -b ${where} two </dev/null`,
      "oci exec two sh -c 'readlink /proc/self/fd/0; echo in' </dev/null; oci exec two sh -c 'exit 3'; echo $?",
      "oci state two | grep status; oci kill two KILL; sleep 0.1; oci delete two; oci list -q",
    ]
    expect(asOrdinaryUser(words.join("; "))).toMatchObject({
      stdout: '/dev/null\nin\n3\n  "status": "running",\n',
      stderr: "",
      exitCode: 0,
    })
  })

  test("has a terminal in a container with the host's /dev, whose devpts lets nobody in", () => {
    const where = bundle("exec sleep 20 </dev/null >/dev/null 2>&1", (value) => {
      const others = value.mounts.filter(({ destination }: { destination: string }) => !destination.startsWith("/dev"))
      value.mounts = [...others, { destination: "/dev", type: "bind", source: "/dev", options: ["rbind", "rslave"] }]
    })
    const words = [
      `oci run -d -b ${where} six </dev/null`,
      "oci exec -t six sh -c 'tty; test -t 1; echo $?' </dev/null; oci delete -f six",
    ]
    expect(asOrdinaryUser(words.join("; "))).toMatchObject({
      stdout: expect.stringMatching(/^\/dev\/pts\/\d+\r\n0\r\n$/),
      stderr: "",
      exitCode: 0,
    })
  })

  test("keeps its groups where podman is told to", () => {
    const where = bundle("id -G", (value) => {
      value.process.user.additionalGids = [0]
      value.annotations = { "run.oci.keep_original_groups": "1" }
    })
    const { stdout, stderr } = asOrdinaryUser(`oci run -b ${where} seven`, { groups: "--groups=1234" })
    expect({ stdout, stderr }).toEqual({ stdout: "0 65534\n", stderr: "" })
  })

  test("who is root itself has a null device that nobody can change", () => {
    const where = bundle("exec sleep 20 </dev/null >/dev/null 2>&1", () => {}, 0)
    const script = "chmod 600 /proc/self/fd/0 2>&1; echo x >&0 && stat -L -c '%a %u' /proc/self/fd/0"
    const words = [`oci run -d -b ${where} eight </dev/null`, `oci exec eight sh -c "${script}" 0<>/dev/null`]
    expect(asOrdinaryUser(`${words.join("; ")}; oci delete -f eight`, { user: 0 })).toMatchObject({
      stdout: "chmod: /proc/self/fd/0: Read-only file system\n666 0\n",
      stderr: "",
    })
  })

  test("sees the cgroups that it is in", () => {
    const memory = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    const script = `test -e ${memory} || test -e /sys/fs/cgroup/cgroup.procs; echo $?; touch /sys/fs/cgroup/x`
    expect(asOrdinaryUser(`oci run -b ${bundle(script)} three`)).toMatchObject({
      stdout: "0\n",
      stderr: expect.stringContaining("Read-only file system"),
    })
  })

  test("is told of a limit that cannot be had", () => {
    const where = bundle("echo it ran", (value) => {
      value.linux.resources = { ...value.linux.resources, pids: { limit: 10 } }
    })
    const { stdout, stderr, exitCode } = asOrdinaryUser(`oci run -b ${where} four`)
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 1 })
    expect(stderr).toContain("hint: this cgroup was not delegated to you")
  })
})

test.skipIf(!isRoot)("root's groups are not kept", async () => {
  const change = (value: Config) => {
    value.process.user.additionalGids = [7]
    value.annotations = { "run.oci.keep_original_groups": "1" }
  }
  expect(await insideBundle("id -G", change)).toBe("0 7")
})
