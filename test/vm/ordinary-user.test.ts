/** toybox oci for an ordinary user on pure cgroup v2, in a user namespace of that user's: where one was given a cgroup, and where not. */
import { describe, expect, test } from "bun:test"
import { missing, session } from "./session.ts"

describe.skipIf(missing !== undefined)("an ordinary user on cgroup v2", () => {
  const { lines, section } = session({
    timeoutSeconds: 120,
    root: "disk",
    script: `
      exec 2>&1
      mkdir -p /tmp/b /tmp/run; cp -a /srv/root /tmp/b/rootfs; cd /tmp/b; toybox oci spec
      # One group alone is mapped.
      sed -i -e 's/"terminal": true/"terminal": false/' -e '/"gid=5"/d' -e 's/"mode=0620",/"mode=0620"/' config.json
      chown -R nobody /tmp/b /tmp/run
      export XDG_RUNTIME_DIR=/tmp/run USER=nobody
      oci() { su -s /bin/sh -c "unshare -U -r -m toybox oci $*" nobody; }
      show='id -u; cat /proc/self/cgroup; cat /sys/fs/cgroup/pids.max; echo x > /dev/null && echo null; cat /proc/self/uid_map'
      section without; echo "$show" | oci run -b /tmp/b one
      mkdir /sys/fs/cgroup/given; echo +pids > /sys/fs/cgroup/cgroup.subtree_control
      echo +pids > /sys/fs/cgroup/given/cgroup.subtree_control; chown -R nobody /sys/fs/cgroup/given
      sed -i 's|"linux": {|"linux": { "cgroupsPath": "/given/two",|; s|"resources": {|"resources": { "pids": { "limit": 9 },|' config.json
      mkdir /sys/fs/cgroup/given/own; echo $$ > /sys/fs/cgroup/given/own/cgroup.procs
      section given; echo "$show" | oci run -b /tmp/b two
      sed -i 's|/given/two|/other|' config.json
      section refused; echo "$show" | oci run -b /tmp/b three
      section left; ls /sys/fs/cgroup/given | grep two; find /tmp/run/toybox-oci /run/toybox-oci -mindepth 1 2>/dev/null
    `,
  })

  const MAP = expect.stringMatching(/^ *0 +65534 +1$/)

  test("has a container without a cgroup of its own", () => {
    const none = "cat: can't open '/sys/fs/cgroup/pids.max': No such file or directory"
    expect(lines("without")).toEqual(["0", "0::/", none, "null", MAP])
  })

  test("has one with limits in the cgroup that was given", () => {
    expect(lines("given")).toEqual(["0", "0::/", "9", "null", MAP])
  })

  test("is told of one that was not", () => {
    const told = 'toybox: make cgroup /sys/fs/cgroup/other: mkdir("/sys/fs/cgroup/other"): EACCES'
    expect(lines("refused")).toEqual([told, "toybox: hint: this cgroup was not delegated to you"])
    expect(section("left")).toBe("")
  })
})
