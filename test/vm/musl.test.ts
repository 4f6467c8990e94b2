/** The executable for musl, in a machine that has no other libc. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import type { GuestFile } from "./payload.ts"
import { missing, session } from "./session.ts"

const LOADER = "/lib/ld-musl-x86_64.so.1"
const OWN = "libstdc++.so.6"
// As long as the name it has.
const RENAMED = "libstdcxx.so.6"

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["timeout", "-k", "5", "120", ...command], {
    cwd: resolve(import.meta.dir, "../.."),
  })
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`)
}

/** Debian has no C++ library for musl: its own does, under another name and with one before it that has what musl lacks. */
function makeLibraries(dir: string): void {
  const found = readFileSync(`/usr/lib/x86_64-linux-gnu/${OWN}`).toString("latin1")
  writeFileSync(join(dir, RENAMED), found.replaceAll(`${OWN}\0`, `${RENAMED}\0`), "latin1")
  const shared = ["gcc", "-shared", "-fPIC", "-nostdlib", "-Wl,--no-as-needed"]
  run(...shared, "-x", "c", "/dev/null", "-o", join(dir, "ld-linux-x86-64.so.2"))
  const linked = [`-L${dir}`, `-l:${RENAMED}`, "-Wl,--allow-shlib-undefined", `-Wl,-soname,${OWN}`]
  run(...shared, join(import.meta.dir, "musl-libstdcxx.c"), ...linked, "-o", join(dir, OWN))
}

describe.skipIf(missing !== undefined)("with musl", () => {
  const dir = mkdtempSync(join(tmpdir(), "toybox-musl-"))
  const binary = join(dir, "toybox")
  const made = [OWN, RENAMED, "ld-linux-x86-64.so.2"]
  const libraries: Record<string, GuestFile> = {
    [LOADER]: { host: realpathSync(LOADER), mode: 0o755 },
    "/lib/libgcc_s.so.1": { host: "/lib/x86_64-linux-gnu/libgcc_s.so.1" },
    ...Object.fromEntries(made.map((name) => [`/lib/${name}`, { host: join(dir, name), mode: 0o755 }])),
  }
  afterAll(() => rmSync(dir, { recursive: true, force: true }))
  beforeAll(() => {
    makeLibraries(dir)
    run(process.execPath, "build/compile.ts", "--target", "linux-x64-musl", "--output", binary)
  }, 130_000)
  const { section, lines } = session({
    binary,
    libraries,
    timeoutSeconds: 120,
    script: `
      section run
      toybox run --rm --cpu 10% --mem 50M --hostname musl base sh -c '
        hostname; echo $$; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max; grep CapEff /proc/self/status'
      echo $?
      section detached
      toybox run -d --name web base sh -c 'echo up; trap "echo told; exit 7" TERM; while :; do sleep 0.1; done' >/dev/null
      within 20 sh -c 'toybox logs web | grep -q up'
      toybox exec -u 1000:1000 web sh -c 'id -u; exit 3'; echo $?
      toybox stop web; toybox logs web; toybox wait web
      toybox rm web
      section left; left`,
  })

  test("runs a container with its limits", () => {
    const expected = ["musl", "1", "52428800", "10000 100000", "CapEff:\t00000000800405fb", "0"]
    expect(lines("run")).toEqual(expected)
  })

  test("runs one in the background, and leaves nothing", () => {
    expect(lines("detached")).toEqual(["1000", "3", "web", "up", "told", "7", "web"])
    expect(section("left")).toBe("")
  })
})
