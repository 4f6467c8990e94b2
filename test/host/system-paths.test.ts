/** Without a root of its own: toybox in the system's places, which are this test's alone by a mount namespace. */
import { afterAll, describe, expect, test } from "bun:test"
import { existsSync, rmdirSync } from "node:fs"
import { toyboxBinary } from "../helpers/binary.ts"
import { cgroupParent, ownLeftovers } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

const PLACES = ["/var/lib/toybox", "/run/toybox"]
const made = PLACES.filter((path) => !existsSync(path))

afterAll(() => {
  // To be mounted on, they must be there; who has had none has none again.
  for (const path of made) if (existsSync(path)) rmdirSync(path)
})

function sh(script: string): string {
  const { TOYBOX_ROOT: _, ...env } = process.env
  const places =
    "mount -t tmpfs state /var/lib/toybox && mount -t tmpfs run /run/toybox && chmod 700 /var/lib/toybox /run/toybox"
  const { stdout, stderr, exitCode } = Bun.spawnSync(
    [
      "timeout",
      "-k",
      "5",
      "60",
      "unshare",
      "-m",
      "sh",
      "-ec",
      `mkdir -p -m 700 /var/lib/toybox /run/toybox; ${places}\n${script}`,
    ],
    { env: { ...env, PATH: `${process.env.PATH}`, TB: toyboxBinary(), PARENT: cgroupParent() } },
  )
  if (exitCode !== 0) throw new Error(`exit ${exitCode}: ${stderr}${stdout}`)
  return stdout.toString()
}

describe.skipIf(!isRoot)("in the system's places", () => {
  test("detached containers end, are started again, and are asked for their health", async () => {
    const output = sh(`
      run="$TB run -d --cgroup-parent $PARENT"
      $run --name brief base sh -c 'echo told; exit 3' >/dev/null
      $TB wait brief; $TB logs brief
      $run --name again --restart on-failure:1 base false >/dev/null
      until [ $($TB inspect -f '{{.RestartCount}}' again) = 1 ]; do sleep 0.05; done; $TB wait again
      $run --name asked --health-cmd true --health-interval 50ms base sleep 1000 >/dev/null
      $TB wait --condition healthy asked
      $TB exec -d asked touch /tmp/mark
      until $TB exec asked test -e /tmp/mark; do sleep 0.05; done
      $TB stop --time 0 asked 2>/dev/null; $TB start asked; $TB exec asked echo here
      $TB rm -f brief again asked >/dev/null
      ls -A /run/toybox/running; ls -A /var/lib/toybox/containers; ls -A /var/lib/toybox | grep run || true
    `)
    expect(output.split("\n")).toEqual(["3", "told", "1", "0", "asked", "asked", "here", ""])
    expect(await ownLeftovers()).toEqual([])
  }, 90_000)
})
