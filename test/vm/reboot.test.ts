/** A machine that is switched off with containers running, and booted again: what was, and what comes back. */
import { describe, expect, test } from "bun:test"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { missing, session } from "./session.ts"

cleanUpAfterAll()

if (missing !== undefined) console.log(`vm tests skipped: ${missing}`)

describe.skipIf(missing !== undefined)("after a reboot", () => {
  const disk = join(temporaryDirectory("disk"), "disk.img")
  const machine = { timeoutSeconds: 240, root: "disk", disk } as const
  const before = session({
    ...machine,
    // The same script in both: it is on the disk.
    script: `
      mount -t tmpfs run /run
      if [ ! -e /srv/booted ]; then
        touch /srv/booted
        run() { name=$1; shift; toybox run -d --name $name "$@" base sh -c 'echo begun; sleep 10000' >/dev/null; }
        run always --restart always; run unless --restart unless-stopped; run failing --restart on-failure
        run stopped --restart unless-stopped; run plain; run gone --rm; run kept -v data:/data
        toybox exec kept sh -c 'echo kept > /data/file'
        toybox stop -t 0 stopped 2>/dev/null
        section before; toybox ps --format '{{.Names}} {{.State}}' | sort
        sync; exit 0
      fi
      section after; toybox ps -a --format '{{.Names}} {{.State}} {{.Status}}' | sed 's/ [0-9A-Z].* ago//' | sort
      section boot
      unit=$(toybox generate systemd); eval "$(echo "$unit" | sed -n 's/^ExecStart=-*//p')" >/dev/null
      toybox ps --format '{{.Names}} {{.State}}' | sort
      toybox logs always
      toybox start kept >/dev/null; toybox exec kept cat /data/file
      toybox inspect -f '{{.State.ExitCode}} {{.State.Error}}' plain
      section again; toybox start --boot; echo $?; toybox rm -fa >/dev/null; umount -l /run; mkdir -p /run/toybox/running; left
    `,
  })
  const after = session({ ...machine, script: "" })

  test("containers ran", () => {
    expect(before.lines("before")).toEqual(
      ["always", "failing", "gone", "kept", "plain", "unless"].map((name) => `${name} running`),
    )
  })

  test("what is told is true", () => {
    const ended = ["always", "failing", "kept", "plain", "stopped", "unless"]
    expect(after.lines("after").map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual(
      ended.map((name) => `${name} exited`),
    )
  })

  test("those with a restart policy come back by the service's command", () => {
    expect(after.lines("boot")).toEqual([
      "always running",
      "failing running",
      "unless running",
      "begun",
      "begun",
      "kept",
      "255 the machine was stopped",
    ])
    expect(after.lines("again")).toEqual(["0"])
    rmSync(disk, { force: true })
  })
})
