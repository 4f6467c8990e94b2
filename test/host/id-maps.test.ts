/** CVE-2014-8989: leaving a group must not lift what is denied to its members. */
import { expect, test } from "bun:test"
import { join } from "node:path"

const isRoot = process.getuid?.() === 0
const SOURCE = join(import.meta.dir, "../../src/container/oci/outside.ts")
// A process in a new user namespace gets its maps; then it says whether it may change its groups.
const SCRIPT = `
import { readFileSync, readlinkSync } from "node:fs"
import { writeIdMaps } from ${JSON.stringify(SOURCE)}
const child = Bun.spawn(["unshare", "--user", "sleep", "20"])
while (readlinkSync("/proc/" + child.pid + "/ns/user") === readlinkSync("/proc/self/ns/user")) await Bun.sleep(2)
const map = [{ containerID: 0, hostID: process.geteuid(), size: 1 }]
writeIdMaps(child.pid, { uidMappings: map, gidMappings: [{ ...map[0], hostID: process.getegid() }] })
console.log(readFileSync("/proc/" + child.pid + "/setgroups", "utf8").trim())
console.log(readFileSync("/proc/" + child.pid + "/gid_map", "utf8").trim().split(/\\s+/).join(" "))
child.kill()
`

test.skipIf(!isRoot).each([
  [1000, "deny"],
  [0, "allow"],
])("a user namespace made by user %i has setgroups %s", (user, setgroups) => {
  // It may read the checkout wherever that is, and nothing else that others may not.
  const caps = ["--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search"]
  const ids = ["--reuid", `${user}`, "--regid", `${user}`, "--clear-groups"]
  const as = user === 0 ? [] : ["setpriv", ...ids, ...caps]
  const { stdout, stderr } = Bun.spawnSync(["timeout", "-k", "1", "20", ...as, process.execPath, "-e", SCRIPT], {
    cwd: "/",
  })
  expect(stderr.toString()).toBe("")
  expect(stdout.toString()).toBe(`${setgroups}\n0 ${user} 1\n`)
})
