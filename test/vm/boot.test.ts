import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bootAndRun, NETWORK_MODULES, vmUnavailable } from "./machine.ts"

const missing = vmUnavailable()
if (missing !== undefined) console.log(`vm tests skipped: ${missing}`)

const LIMIT = 60
const dir = mkdtempSync(join(tmpdir(), "toybox-boot-"))
const binary = join(dir, "hello")

afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** `unshare -m` makes the tree private: pivot_root(2) refuses shared mounts. */
const PIVOT = "unshare -m sh -c 'mkdir /n && mount -t tmpfs n /n && mkdir /n/old && pivot_root /n /n/old'"

describe.skipIf(missing !== undefined)("a machine", () => {
  beforeAll(() => {
    const source = join(dir, "hello.ts")
    writeFileSync(source, 'console.log("hello", process.argv.slice(2).join(" "))\n')
    const { stderr, exitCode } = Bun.spawnSync([process.execPath, "build", "--compile", source, "--outfile", binary])
    if (exitCode !== 0) throw new Error(`bun build --compile: ${stderr}`)
  }, 30_000)

  test(
    "has pure cgroup v2, a root that can be pivoted, and starts a compiled program",
    async () => {
      const { sections, exitCode, output } = await bootAndRun({
        binary,
        timeoutSeconds: LIMIT,
        files: { "/srv/data/note": "from the host\n" },
        script: `
          echo before
          section controllers; cat /sys/fs/cgroup/cgroup.controllers
          section mounts; cat /proc/mounts
          section hello; toybox a b
          section overlay; mkdir -p /t/u /t/w /t/m && mount -t overlay -o lowerdir=/srv/root,upperdir=/t/u,workdir=/t/w o /t/m
          chroot /t/m /bin/id; umount /t/m
          section note; cat /srv/data/note
          section pivot; ${PIVOT}; echo $?
          exit 7`,
      })
      expect(exitCode).toBe(7)
      expect(output).toStartWith("before\n")
      expect(sections.controllers?.split(" ")).toEqual(
        expect.arrayContaining(["cpu", "memory", "pids", "io", "cpuset"]),
      )
      expect(sections.mounts).toContain("tmpfs / tmpfs ")
      expect(sections.mounts).not.toMatch(/ cgroup /)
      expect(sections.hello).toBe("hello a b")
      expect(sections.overlay).toBe("uid=0(root) gid=0(root)")
      expect(sections.note).toBe("from the host")
      expect(sections.pivot).toBe("0")
    },
    LIMIT * 1000 + 10_000,
  )

  test(
    "refuses pivot_root on the initramfs, and mounts cgroup v1 when asked",
    async () => {
      const { sections } = await bootAndRun({
        binary,
        timeoutSeconds: LIMIT,
        root: "initramfs",
        cgroup: "legacy",
        script: `section pivot; ${PIVOT}; section mounts; cat /proc/mounts; section hello; toybox`,
      })
      expect(sections.pivot).toContain("Invalid argument")
      expect(sections.mounts).toContain("rootfs / rootfs ")
      expect(sections.mounts).toMatch(/ \/sys\/fs\/cgroup\/memory cgroup rw\S*memory /)
      expect(sections.mounts).not.toContain("cgroup2")
      expect(sections.hello).toBe("hello")
    },
    LIMIT * 1000 + 10_000,
  )

  test(
    "boots from a disk, with the hybrid layout and the modules of networking",
    async () => {
      const { sections } = await bootAndRun({
        binary,
        timeoutSeconds: LIMIT,
        root: "disk",
        cgroup: "hybrid",
        modules: NETWORK_MODULES,
        script: `
          section pivot; ${PIVOT}; echo $?
          section mounts; cat /proc/mounts
          section hello; toybox
          section modules; lsmod
          section link; ip link add v0 type veth && ip link show v0`,
      })
      expect(sections.pivot).toBe("0")
      expect(sections.mounts).toContain("/dev/vda / ext4 ")
      expect(sections.mounts).toContain(" /sys/fs/cgroup/unified cgroup2 ")
      expect(sections.hello).toBe("hello")
      for (const name of NETWORK_MODULES) expect(sections.modules).toContain(name)
      expect(sections.link).toContain("v0@")
    },
    LIMIT * 1000 + 10_000,
  )

  test("is killed when its time is up, and tells how far it came", async () => {
    // Long enough for a machine that shares its processor with others to come to the script.
    const run = bootAndRun({ binary, timeoutSeconds: 45, script: "echo so far; sleep 100" })
    expect(run).rejects.toThrow(/timed out after 45 s\n--- output\nso far\n/)
    await run.catch(() => undefined)
  }, 60_000)
})
