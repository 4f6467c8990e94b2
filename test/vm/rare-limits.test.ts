/** Rarely used limits on pure cgroup v2: what the kernel has files for, and what is told where it has none. */
import { describe, expect, test } from "bun:test"
import { missing, session } from "./session.ts"

describe.skipIf(missing !== undefined)("rarely used limits on pure cgroup v2", () => {
  const { lines, section } = session({
    timeoutSeconds: 120,
    modules: ["brd"],
    script: `
      section quota
      run="toybox run --rm --net none"
      $run --cpu-quota 20000 base cat /sys/fs/cgroup/cpu.max
      $run --cpu-quota 20000 --cpu-period 50000 base cat /sys/fs/cgroup/cpu.max
      $run --cpu-period 50000 base cat /sys/fs/cgroup/cpu.max
      section update
      toybox run -d --net none --name micro --cpu-quota 20000 --cpu-period 50000 base sleep 100 >/dev/null
      toybox update --cpu-period 40000 micro; cat $(own)/cpu.max
      toybox update --cpu-quota -1 micro; cat $(own)/cpu.max
      toybox rm -f micro
      section rules
      echo disk > /dev/ram0
      $run --device-cgroup-rule 'b 1:* r' --cap-add MKNOD base sh -c '
        mknod /ram b 1 0; head -c 4 /ram; echo; echo x 2>&1 >/ram; mknod /kmsg c 1 11; cat /kmsg 2>&1'
      section none
      for option in --cpu-rt-period=1000 --cpu-rt-runtime=1000 --memory-swappiness=5 --oom-kill-disable; do
        toybox create --net none $option base 2>&1 | head -1
        toybox create --net none $option base >/dev/null 2>&1; echo $?
      done
      section timeout
      $run --timeout 1 base sleep 100; echo $?
      section left; left`,
  })

  test("a quota, a period, or both", () => {
    expect(lines("quota")).toEqual(["20000 100000", "20000 50000", "max 50000"])
  })

  test("one of them is changed, and leaves the other", () => {
    expect(lines("update")).toEqual(["micro", "20000 40000", "micro", "max 40000", "micro"])
  })

  test("devices may be used by their numbers", () => {
    const denied = "Operation not permitted"
    expect(lines("rules")).toEqual(["disk", expect.stringContaining(denied), expect.stringContaining(denied)])
  })

  test("what only cgroup v1 has is told at once", () => {
    const told = (option: string) => [
      `toybox: ${option}: cgroup v2, which this machine has, has no such setting`,
      "125",
    ]
    const options = ["--cpu-rt-period", "--cpu-rt-runtime", "--memory-swappiness", "--oom-kill-disable"]
    expect(lines("none")).toEqual(options.flatMap(told))
  })

  test("a time is over", () => {
    expect(lines("timeout")).toEqual([expect.stringContaining("all of its --timeout of 1 s"), "255"])
    expect(section("left")).toBe("")
  })
})
