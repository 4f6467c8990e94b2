/** The filter of system calls in real containers: what it refuses, what it lets pass, and profiles of the user's own. */
import { describe, expect, test } from "bun:test"
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { readSeccomp } from "../../src/oci/seccomp.ts"
import { inside, sh } from "../helpers/container.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()
const isRoot = process.getuid?.() === 0

/** A static program that makes system calls from numbers given; prints -errno, a key's number, 1 for getpid and 0 for other successes. */
const CALL = `
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    long a[7] = {0};
    char *rest = argv[i];
    for (int n = 0; n < 7 && *rest; n++) { a[n] = strtoul(rest, &rest, 0); if (*rest) rest++; }
    long r = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    printf("%ld\\n", r < 0 ? -(long)errno : a[0] == SYS_keyctl ? r : a[0] == SYS_getpid);
    fflush(stdout);
  }
  return 0;
}`

function compile(source: string, ...flags: string[]): string {
  const directory = temporaryDirectory("program")
  const path = join(directory, "program")
  writeFileSync(`${path}.c`, source)
  const { exitCode, stderr } = Bun.spawnSync(["gcc", "-O1", "-static", "-w", ...flags, "-o", path, `${path}.c`])
  if (exitCode !== 0) throw new Error(String(stderr))
  return path
}

function rootWith(program: string): string {
  const root = makeRoot()
  mkdirSync(join(root, "t"))
  copyFileSync(program, join(root, "t/call"))
  return root
}

const root = isRoot && process.arch === "x64" ? rootWith(compile(CALL)) : ""

/** What the calls "number,argument,…" give in a container with the options. */
async function calls(options: readonly string[], ...words: string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await toybox(["run", "--rm", ...options, root, "/t/call", ...words])
  if (exitCode !== 0) throw new Error(`exit ${exitCode}\n${stderr}\n${stdout}`)
  return stdout.trim().split("\n").join(" ")
}

const EPERM = "-1"
const ENOSYS = "-38"
const EAFNOSUPPORT = "-97"
// x86-64.
const CLONE = 56
const SOCKET = 41
const PERSONALITY = 135
const UNSHARE = 272
const KEYCTL = 250
const CLONE3 = 435

describe.skipIf(!isRoot)("the filter", () => {
  const status = "grep -h ^Seccomp: /proc/1/status /proc/self/status"

  test("is there by default, over an init too, and not with unconfined or --privileged", async () => {
    expect(await inside(status)).toBe("Seccomp:\t2\nSeccomp:\t2")
    expect(await inside(status, { run: ["--init"] })).toBe("Seccomp:\t2\nSeccomp:\t2")
    const opt = (...words: string[]) => ({ run: words.flatMap((word) => ["--security-opt", word]) })
    expect(await inside(status, opt("seccomp=unconfined"))).toBe("Seccomp:\t0\nSeccomp:\t0")
    expect(await inside(status, opt("seccomp=unconfined", "seccomp=builtin"))).toBe("Seccomp:\t2\nSeccomp:\t2")
    expect(await inside(status, { run: ["--privileged"] })).toBe("Seccomp:\t0\nSeccomp:\t0")
    expect(await inside(status, { run: ["--privileged", "--security-opt", "seccomp=default"] })).toMatch(/2.*2/s)
  })

  test("is there without no_new_privs, and for users other than root", async () => {
    const nnp = ["--security-opt", "no-new-privileges=false"]
    for (const run of [nnp, ["-u", "1000"], [...nnp, "-u", "1000"], [...nnp, "-u", "1000", "--cap-add", "NET_RAW"]]) {
      expect(await inside(status, { run })).toBe("Seccomp:\t2\nSeccomp:\t2")
    }
    expect(await inside(status, { run: [...nnp, "--init", "-t"] })).toMatch(/2\s+Seccomp:\s+2/)
  })

  test("is kept in the container's record as the OCI has it", async () => {
    const own = ["--name", "seccomp-record", "--cap-add", "SYS_TIME"]
    expect((await toybox(["run", ...own, "base", "true"])).exitCode).toBe(0)
    const id = (await toybox(["ps", "-aq", "--no-trunc"])).stdout.trim()
    const { spec } = await Bun.file(join(stateRoot(), "containers", id, "config.json")).json()
    const { defaultAction, architectures, syscalls } = readSeccomp(spec.linux.seccomp, "linux.seccomp")
    const named = (syscalls ?? []).flatMap(({ names }) => names)
    expect({ defaultAction, architectures: architectures?.length }).toEqual({
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: 1,
    })
    expect(named).toContain("settimeofday")
    expect(named).not.toContain("mount")
    expect((await toybox(["rm", "seccomp-record"])).exitCode).toBe(0)
  })
})

describe.skipIf(root === "")("the default profile", () => {
  test("lets usual calls pass and refuses what reaches the kernel's depths", async () => {
    expect(await calls([], "39", `${SOCKET},1,1,0`, `${SOCKET},2,1,0`)).toBe("1 0 0")
    const refused = [
      `${KEYCTL},0,0`,
      `${UNSHARE},0x20000`,
      "165,0,0,0,0,0",
      "321,0,0,0",
      "323,0",
      "246,0,0,0,0",
      "175,0,0,0",
    ]
    expect(await calls([], ...refused)).toBe(refused.map(() => EPERM).join(" "))
  })

  test("says that clone3 is not there, and of clone refuses namespaces only", async () => {
    expect(await calls([], `${CLONE3},0,0`)).toBe(ENOSYS)
    for (const flag of [0x10000000, 0x20000000, 0x00020000, 0x40000000, 0x02000000]) {
      expect(await calls([], `${CLONE},${flag}`)).toBe(EPERM)
    }
    // A thread without its memory and handlers is refused by the kernel itself: EINVAL.
    expect(await calls([], `${CLONE},0x10000`)).toBe("-22")
  })

  test("refuses AF_ALG (CVE-2026-31431) and AF_VSOCK, and compares all 64 bits", async () => {
    const families = [37, 38, 39, 40, 41].map((family) => `${SOCKET},${family},0x7fff,0`)
    const [before, alg, between, vsock, after] = (await calls([], ...families)).split(" ")
    expect([alg, vsock]).toEqual([EPERM, EPERM])
    for (const result of [before, between, after]) expect(result).not.toBe(EPERM)
    expect(await calls(["--security-opt", "seccomp=unconfined"], `${SOCKET},40,0x7fff,0`)).not.toBe(EPERM)
    // The upper half is not the kernel's to see, but the filter's: above all families.
    expect(await calls([], `${SOCKET},0x100000009999,1,0`)).toBe(EAFNOSUPPORT)
    expect(await calls([], `${PERSONALITY},0xffffffff`, `${PERSONALITY},8`, `${PERSONALITY},0x40000`)).toBe(
      `0 0 ${EPERM}`,
    )
    expect(await calls([], `${PERSONALITY},0x100000008`)).toBe(EPERM)
  })

  test("tells calls younger than itself that they are not there", async () => {
    expect(await calls([], "600,0")).toBe(ENOSYS)
  })

  test("goes by the container's capabilities", async () => {
    const withCap = (cap: string) => ["--cap-add", cap]
    expect(await calls(withCap("SYS_ADMIN"), `${UNSHARE},0x4000000`, `${CLONE3},0,0`)).toBe("0 -22")
    expect(await calls(["--cap-drop", "ALL"], "161,0")).toBe(EPERM)
    // chroot(NULL): EFAULT from the kernel.
    expect(await calls([], "161,0")).toBe("-14")
    expect(await calls(withCap("SYSLOG"), "103,10,0,0")).toBe("0")
    expect(await calls([], "103,10,0,0")).toBe(EPERM)
  })

  test("kills calls of other architectures: x32", async () => {
    const { exitCode, stdout, stderr } = await toybox(["run", "--rm", root, "/t/call", "39", String(0x40000000 + 39)])
    expect({ exitCode, stdout }).toEqual({ exitCode: 159, stdout: "1\n" })
    expect(stderr).toContain("seccomp")
  })
})

describe.skipIf(root === "")("programs of 32 bits", () => {
  // No C library of 32 bits is needed: exit(socketcall(SYS_SOCKET, {AF_UNIX, SOCK_STREAM, 0}) < 0).
  const small =
    root === ""
      ? ""
      : compile(
          `__attribute__((naked)) void _start(void) { __asm__("pushl $0; pushl $1; pushl $1; movl $102, %eax; movl $1, %ebx; movl %esp, %ecx; int $0x80; sarl $31, %eax; andl $1, %eax; movl %eax, %ebx; movl $1, %eax; int $0x80"); }`,
          ..."-m32 -nostdlib -ffreestanding -fno-pic -Wl,--build-id=none".split(" "),
        )

  test("run as commands, and under docker's own profile; among 64-bit ones they are killed", async () => {
    const mixed = rootWith(small)
    const run = async (...words: string[]) => (await toybox(["run", "--rm", ...words])).exitCode
    const unfiltered = await run("--security-opt", "seccomp=unconfined", mixed, "/t/call")
    expect(unfiltered).toBe(0)
    expect(await run(mixed, "/t/call")).toBe(0)
    expect(await run(mixed, "sh", "-c", "/t/call")).toBe(159)
    expect(await run("--security-opt", "seccomp=builtin", mixed, "sh", "-c", "/t/call")).toBe(0)
  })
})

describe.skipIf(!isRoot)("a profile of the user's", () => {
  const profile = (content: unknown, text = JSON.stringify(content)) => {
    const path = join(temporaryDirectory("profile"), "profile.json")
    writeFileSync(path, text)
    return ["--security-opt", `seccomp=${path}`]
  }
  const deny = (names: string[], rest: object = {}) => ({
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names, action: "SCMP_ACT_ERRNO", errnoRet: 13, ...rest }],
  })

  test("in the OCI's and in docker's format", async () => {
    expect((await sh("mkdir /x", { run: profile(deny(["mkdir", "mkdirat"])) })).stderr).toContain("Permission denied")
    const caps = { includes: { caps: ["CAP_SYS_TIME"] } }
    expect((await sh("mkdir /x", { run: profile(deny(["mkdir", "mkdirat"], caps)) })).exitCode).toBe(0)
    const run = [...profile(deny(["mkdir", "mkdirat"], caps)), "--cap-add", "SYS_TIME"]
    expect((await sh("mkdir /x", { run })).exitCode).toBe(1)
  })

  test("is kept exactly: numbers of 64 bits", async () => {
    const text = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}]}`
    expect(await inside("echo ok", { run: profile(null, text) })).toBe("ok")
  })

  test.each([
    ["no JSON", "{", "is no JSON"],
    ["an unknown action", `{"defaultAction":"SCMP_ACT_MAYBE"}`, "defaultAction"],
    ["an unknown field", `{"defaultAction":"SCMP_ACT_ALLOW","sycalls":[]}`, "sycalls"],
    [
      "an argument there is not",
      `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}]}`,
      "syscalls[0].args[0].index",
    ],
    [
      "a number beyond 64 bits",
      `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":18446744073709551616,"op":"SCMP_CMP_EQ"}]}]}`,
      "syscalls[0].args[0].value",
    ],
    [
      "an unknown architecture",
      `{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_Z80"]}`,
      "architectures[0]",
    ],
    ["no execve", `{"defaultAction":"SCMP_ACT_ERRNO"}`, "execve"],
    [
      "a notification without a supervisor",
      `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}`,
      "listenerPath",
    ],
    [
      "a supervisor that is not there",
      `{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/nowhere/socket","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}`,
      "/nowhere/socket",
    ],
  ])("with %s is one clear error", async (_, text, named) => {
    const { exitCode, stdout, stderr } = await toybox(["run", "--rm", ...profile(null, text), "base", "echo", "ran"])
    expect({ exitCode, stdout, named: stderr.includes(named) }).toEqual({ exitCode: 125, stdout: "", named: true })
    expect((await toybox(["ps", "-aq"])).stdout).toBe("")
  })
})

describe.skipIf(root === "")("keys", () => {
  test("of the caller's session keyring are not the container's", async () => {
    // KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING: without one of its own it would be the caller's, or the user's.
    const session = () => calls(["--privileged"], `${KEYCTL},0,-3,0`)
    const [first, second] = [Number(await session()), Number(await session())]
    expect(first).toBeGreaterThan(0)
    expect(second).toBeGreaterThan(0)
    expect(first).not.toBe(second)
  })
})
