import { describe, expect, test } from "bun:test"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { call } from "../../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../../ffi/constants/fcntl.ts"
import { errnoNumber } from "../../../ffi/errno.ts"
import { close } from "../../../ffi/fs.ts"
import type { CgroupManager } from "../../../src/cgroup/manager.ts"
import { launchError } from "../../../src/container/launch-error.ts"
import { proposeName } from "../../../src/container/names.ts"
import { describeEnding } from "../../../src/container/result.ts"
import { newId } from "../../../src/container/state.ts"
import type { Ending } from "../../../src/container/supervise.ts"
import { errorChain, errorHint } from "../../../src/errors.ts"
import { encodeChild, encodeSealed } from "../../../src/launch/encode/index.ts"
import { sealedSteps } from "../../../src/plan/identity.ts"
import { childSteps } from "../../../src/plan/index.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../helpers/scratch.ts"
import { factsFor } from "../plan/fixtures.ts"
import { ROOT_USER, specOf } from "../spec/fixtures.ts"

cleanUpAfterAll()

describe("describeEnding", () => {
  const ending = (status: Ending["status"], escalated?: number): Ending => ({
    status,
    reports: { failures: [] },
    executed: true,
    ...(escalated === undefined ? {} : { escalated }),
  })
  const manager = (kills: number, limit: number | null) =>
    ({ oomKills: () => kills, memoryLimit: () => limit }) as CgroupManager

  test.each([0, 1, 42, 126, 255])("code %i is passed on", (code) => {
    expect(describeEnding(ending({ code }), manager(0, 1))).toEqual({ exitCode: code, oomKilled: false })
  })

  test.each([1, 9, 15])("signal %i is 128 more", (signal) => {
    expect(describeEnding(ending({ signal }), null)).toEqual({ exitCode: 128 + signal, signal, oomKilled: false })
  })

  test("a signal that toybox turned into SIGKILL is told as what was sent", () => {
    expect(describeEnding(ending({ signal: 9 }, 15), null)).toMatchObject({ exitCode: 143, signal: 15 })
  })

  test("out of memory, with the limit", () => {
    expect(describeEnding(ending({ signal: 9 }), manager(1, 524_288_000))).toEqual({
      exitCode: 137,
      signal: 9,
      oomKilled: true,
      message: "killed: out of memory (limit 500 MiB)",
    })
    expect(describeEnding(ending({ code: 137 }), manager(2, null)).message).toBe("killed: out of memory")
    expect(describeEnding(ending({ code: 1 }), manager(1, 6_815_744)).message).toBe(
      "a process of the container was killed: out of memory (limit 6.5 MiB)",
    )
  })

  test("what toybox was asked to kill has not run out of memory, though another process of it had", () => {
    expect(describeEnding(ending({ signal: 9 }), manager(1, 20 << 20), true)).toMatchObject({
      exitCode: 137,
      oomKilled: true,
      message: "a process of the container was killed: out of memory (limit 20 MiB)",
    })
  })

  test("a command that coped with it is a success, though a process was killed", () => {
    expect(describeEnding(ending({ code: 0 }), manager(5, 1))).toEqual({ exitCode: 0, oomKilled: true })
  })
})

describe("launchError", () => {
  const root = temporaryDirectory()
  mkdirSync(`${root}/bin`)
  writeFileSync(`${root}/bin/script`, "#!/no/such/interpreter\n")
  symlinkSync("/etc/hostname", `${root}/bin/outside`)

  /** The error that follows from reports, given by stage, step or call, and errno. */
  function errorOf(
    args: string[],
    failures: readonly (readonly ["child" | "sealed", string, number, string])[],
    env = ROOT_USER.env,
  ) {
    const spec = specOf({ args, workdir: "/work" }, { ...ROOT_USER, env })
    const facts = factsFor(spec)
    const child = childSteps(spec, facts)
    const sealed = sealedSteps(spec, facts)
    const one = { steps: child, calls: encodeChild(child, 10) }
    const two = { steps: sealed, calls: encodeSealed(sealed, 10, [10]) }
    const reports = failures.map(([stage, name, nth, errno]) => {
      const { steps, calls } = stage === "child" ? one : two
      const matching = calls.flatMap((made, i) =>
        made.name === name || (made.step !== undefined && steps[made.step]?.kind === name) ? [i] : [],
      )
      return { index: (stage === "child" ? 0 : one.calls.length) + (matching[nth] ?? -1), errno: errnoNumber(errno) }
    })
    const rootFd = call("openat", AT_FDCWD, root, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
    try {
      const error = launchError(one, two, { failures: reports }, rootFd)
      return { exitCode: error.exitCode, message: errorChain(error), hint: errorHint(error) }
    } finally {
      close(rootFd)
    }
  }

  test("a step of stage one: what was done, the call, errno, exit 125", () => {
    const { exitCode, message } = errorOf(["sh"], [["child", "fsopen", 1, "EPERM"]])
    expect({ exitCode, message }).toEqual({
      exitCode: 125,
      message: 'cannot mount proc on /proc: fsopen("proc", FSOPEN_CLOEXEC): EPERM',
    })
  })

  test.each<["child" | "sealed", string, number, string, string, string]>([
    ["child", "clone", 0, "EPERM", "cannot make a process in new namespaces (pid)", "needs root"],
    ["child", "clone", 0, "ENOSPC", "cannot make a process in new namespaces (pid)", "max_*_namespaces"],
    ["child", "unshare", 0, "ENOSPC", "cannot make the namespaces (mount, uts, ipc, network)", "max_*_namespaces"],
    ["child", "fsopen", 2, "ENODEV", "cannot mount tmpfs on /dev", "lacks the file system"],
    ["child", "sysctl", 0, "ENOENT", "cannot set net.ipv4.ip_unprivileged_port_start=0", "no such setting"],
    ["child", "rlimit", 0, "EPERM", "cannot set the limit RLIMIT_NOFILE to 1024:4096", "CAP_SYS_RESOURCE"],
    ["child", "device", 0, "EPERM", "cannot make the device /dev/null", "CAP_MKNOD"],
    ["child", "execveat", 0, "EACCES", "cannot enter the sealed second stage", "memfd_noexec"],
    ["sealed", "chdir", 0, "ENOENT", "cannot enter the working directory /work", "does not exist in the container"],
    ["sealed", "chdir", 0, "ENOTDIR", "cannot enter the working directory /work", "not a directory"],
    ["sealed", "capset", 0, "EPERM", "cannot set the capabilities", "lacks a capability"],
  ])("%s: %s %i, %s", (stage, name, nth, errno, message, hint) => {
    const error = errorOf(["sh"], [[stage, name, nth, errno]])
    expect([error.exitCode, error.message, error.hint]).toEqual([
      125,
      expect.stringContaining(message),
      expect.stringContaining(hint),
    ] as never)
  })

  test("a call that this kernel lacks", () => {
    expect(errorOf(["sh"], [["child", "mount_setattr", 0, "ENOSYS"]]).message).toContain("needs Linux 5.12")
  })

  test("a working directory outside the root: CVE-2024-21626", () => {
    expect(errorOf(["sh"], [["sealed", "chdir", 2, "EPERM"]])).toMatchObject({
      exitCode: 125,
      message: expect.stringContaining("outside the container's root"),
    })
  })

  test("not found anywhere: 127, with the places looked at", () => {
    const { exitCode, message, hint } = errorOf(
      ["nonesuch"],
      [
        ["sealed", "execve", 0, "ENOENT"],
        ["sealed", "execve", 1, "ENOTDIR"],
      ],
    )
    expect({ exitCode, message, hint }).toEqual({
      exitCode: 127,
      message: "nonesuch: command not found",
      hint: "looked in /usr/bin:/bin",
    })
  })

  test("a path that is not there has no hint about PATH", () => {
    expect(errorOf(["/bin/none"], [["sealed", "execve", 0, "ENOENT"]])).toEqual({
      exitCode: 127,
      message: "/bin/none: command not found",
      hint: undefined,
    })
  })

  test("there, but not its interpreter: 127, and said so", () => {
    const error = errorOf(
      ["script"],
      [
        ["sealed", "execve", 0, "ENOENT"],
        ["sealed", "execve", 1, "ENOENT"],
      ],
    )
    expect(error).toMatchObject({
      exitCode: 127,
      message: expect.stringContaining("/bin/script"),
      hint: expect.stringContaining("#!"),
    })
  })

  test("a link out of the root is not there", () => {
    expect(
      errorOf(
        ["outside"],
        [
          ["sealed", "execve", 0, "ENOENT"],
          ["sealed", "execve", 1, "ENOENT"],
        ],
      ).message,
    ).toBe("outside: command not found")
  })

  test.each([
    ["EACCES", "permission denied", "chmod +x"],
    ["ENOEXEC", "exec format error", "another processor"],
    ["E2BIG", "too long", ""],
    ["ELOOP", "ELOOP", ""],
  ])("%s decides over those that are absent: 126", (errno, reason, hint) => {
    const error = errorOf(
      ["tool"],
      [
        ["sealed", "execve", 0, "ENOENT"],
        ["sealed", "execve", 1, errno],
      ],
    )
    expect(error).toMatchObject({
      exitCode: 126,
      message: `cannot run /bin/tool: ${reason === "too long" ? "the arguments and the environment are too long" : reason}`,
    })
    expect(error.hint ?? "").toContain(hint)
  })

  test("a failed step before the exec is the one to tell", () => {
    expect(errorOf(["sh"], [["sealed", "setgroups", 0, "EPERM"]]).message).toContain("cannot become user 0")
  })

  test("no report at all: it was killed", () => {
    expect(errorOf(["sh"], [])).toMatchObject({
      exitCode: 125,
      message: "the container's process was killed before its command was run",
    })
  })
})

test("a proposed name is a name, the same for the same id, and there are many", () => {
  const names = new Set<string>()
  for (let i = 0; i < 500; i++) {
    const id = newId()
    const name = proposeName(id)
    expect(name).toMatch(/^[a-z]+_[a-z]+$/)
    expect(proposeName(id)).toBe(name)
    names.add(name)
  }
  expect(names.size).toBeGreaterThan(350)
})
