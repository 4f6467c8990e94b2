import { describe, expect, test } from "bun:test"
import { at, type Call, out, slot, strings, struct } from "../../ffi/calls.ts"
import { EEXIST, ENOENT } from "../../ffi/constants/errno.ts"
import * as fcntl from "../../ffi/constants/fcntl.ts"
import * as ioctl from "../../ffi/constants/ioctl.ts"
import * as mount from "../../ffi/constants/mount.ts"
import * as prctl from "../../ffi/constants/prctl.ts"
import { RLIMIT_NAMES } from "../../ffi/constants/resource.ts"
import * as sched from "../../ffi/constants/sched.ts"
import * as signal from "../../ffi/constants/signal.ts"
import * as stat from "../../ffi/constants/stat.ts"
import { formatCall } from "../../ffi/format.ts"
import { CLONE_ARGS_SIZE, cloneArgs, MOUNT_ATTR_SIZE, mountAttr, OPEN_HOW_SIZE, openHow } from "../../ffi/structs.ts"

const { AT_FDCWD, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY, O_TRUNC, O_WRONLY } = fcntl
const { MS_BIND, MS_MOVE, MS_PRIVATE, MS_REC, MS_SLAVE } = mount
const fd = slot("fd")

const CASES: readonly [string, Call["args"], string][] = [
  ["openat", [AT_FDCWD, "/a b", O_RDONLY, 0], 'openat(AT_FDCWD, "/a b", 0, 0)'],
  [
    "openat",
    [fd, "x", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644],
    'openat(<fd>, "x", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0644)',
  ],
  ["openat", [3, "x", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0], 'openat(3, "x", O_DIRECTORY|O_NOFOLLOW|O_PATH, 0)'],
  ["mkdirat", [AT_FDCWD, "/x", 0o700], 'mkdirat(AT_FDCWD, "/x", 0700)'],
  ["mknodat", [fd, "null", stat.S_IFCHR | 0o666, 259], 'mknodat(<fd>, "null", S_IFCHR|0666, 259)'],
  ["mount", [null, "/", null, MS_PRIVATE | MS_REC, null], 'mount(NULL, "/", NULL, MS_REC|MS_PRIVATE, NULL)'],
  ["mount", [".", "/", null, MS_MOVE, null], 'mount(".", "/", NULL, MS_MOVE, NULL)'],
  [
    "mount",
    ["a", "b", null, MS_BIND | MS_SLAVE | (1 << 30), null],
    'mount("a", "b", NULL, MS_BIND|MS_SLAVE|0x40000000, NULL)',
  ],
  ["umount2", [".", mount.MNT_DETACH], 'umount2(".", MNT_DETACH)'],
  ["unshare", [sched.CLONE_NEWCGROUP], "unshare(CLONE_NEWCGROUP)"],
  ["setns", [fd, sched.CLONE_NEWNET], "setns(<fd>, CLONE_NEWNET)"],
  ["prctl", [prctl.PR_SET_PDEATHSIG, 9, 0, 0, 0], "prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)"],
  ["prctl", [prctl.PR_CAPBSET_DROP, 21, 0, 0, 0], "prctl(PR_CAPBSET_DROP, 21, 0, 0, 0)"],
  [
    "prlimit64",
    [0, RLIMIT_NAMES.indexOf("RLIMIT_NOFILE"), struct([8, 1024], [8, 0xffffffffffffffffn]), null],
    "prlimit64(0, RLIMIT_NOFILE, {1024, RLIM_INFINITY}, NULL)",
  ],
  ["ioctl", [fd, ioctl.TIOCSWINSZ, struct([2, 24], [2, 80], [2, 0], [2, 0])], "ioctl(<fd>, TIOCSWINSZ, {24, 80})"],
  ["ioctl", [0, ioctl.TIOCSCTTY, 0], "ioctl(0, TIOCSCTTY, 0)"],
  ["fcntl", [5, fcntl.F_SETFD, fcntl.FD_CLOEXEC], "fcntl(5, F_SETFD, 1)"],
  [
    "rt_sigaction",
    [signal.SIGTERM, struct([8, 0], [8, 0], [8, 0], [8, 0]), null, 8],
    "rt_sigaction(SIGTERM, {0}, NULL, 8)",
  ],
  [
    "rt_sigprocmask",
    [signal.SIG_SETMASK, new Uint8Array(8), null, 8],
    "rt_sigprocmask(SIG_SETMASK, {8 bytes}, NULL, 8)",
  ],
  ["umask", [0o22], "umask(022)"],
  [
    "fsconfig",
    [fd, mount.FSCONFIG_SET_STRING, "source", "proc", 0],
    'fsconfig(<fd>, FSCONFIG_SET_STRING, "source", "proc", 0)',
  ],
  ["fsconfig", [fd, mount.FSCONFIG_CMD_CREATE, null, null, 0], "fsconfig(<fd>, FSCONFIG_CMD_CREATE, NULL, NULL, 0)"],
  ["fsopen", ["proc", mount.FSOPEN_CLOEXEC], 'fsopen("proc", FSOPEN_CLOEXEC)'],
  [
    "fsmount",
    [fd, mount.FSMOUNT_CLOEXEC, mount.MOUNT_ATTR_NOSUID | mount.MOUNT_ATTR_NODEV],
    "fsmount(<fd>, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV)",
  ],
  [
    "open_tree",
    [AT_FDCWD, "/x", mount.OPEN_TREE_CLONE | mount.OPEN_TREE_CLOEXEC | fcntl.AT_RECURSIVE],
    'open_tree(AT_FDCWD, "/x", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE)',
  ],
  [
    "open_tree",
    [fd, "", mount.OPEN_TREE_CLONE | fcntl.AT_EMPTY_PATH],
    'open_tree(<fd>, "", OPEN_TREE_CLONE|AT_EMPTY_PATH)',
  ],
  [
    "move_mount",
    [fd, "", AT_FDCWD, "/x", mount.MOVE_MOUNT_F_EMPTY_PATH],
    'move_mount(<fd>, "", AT_FDCWD, "/x", MOVE_MOUNT_F_EMPTY_PATH)',
  ],
  [
    "mount_setattr",
    [fd, "", fcntl.AT_EMPTY_PATH | fcntl.AT_RECURSIVE, mountAttr(mount.MOUNT_ATTR_RDONLY, 0), MOUNT_ATTR_SIZE],
    'mount_setattr(<fd>, "", AT_EMPTY_PATH|AT_RECURSIVE, {MOUNT_ATTR_RDONLY}, 32)',
  ],
  [
    "mount_setattr",
    [fd, "", fcntl.AT_EMPTY_PATH, mountAttr(0, 0, MS_SLAVE), MOUNT_ATTR_SIZE],
    'mount_setattr(<fd>, "", AT_EMPTY_PATH, {0, 0, MS_SLAVE}, 32)',
  ],
  [
    "openat2",
    [fd, "etc", openHow(O_PATH | O_CLOEXEC, fcntl.RESOLVE_IN_ROOT | fcntl.RESOLVE_NO_MAGICLINKS), OPEN_HOW_SIZE],
    'openat2(<fd>, "etc", {O_CLOEXEC|O_PATH, 0, RESOLVE_NO_MAGICLINKS|RESOLVE_IN_ROOT}, 24)',
  ],
  [
    "clone3",
    [cloneArgs(sched.CLONE_NEWNS | sched.CLONE_NEWPID, signal.SIGCHLD), CLONE_ARGS_SIZE],
    "clone3({CLONE_NEWNS|CLONE_NEWPID, 0, 0, 0, SIGCHLD}, 88)",
  ],
  [
    "clone3",
    [cloneArgs(sched.CLONE_CLEAR_SIGHAND + sched.CLONE_INTO_CGROUP, signal.SIGCHLD, 9), CLONE_ARGS_SIZE],
    "clone3({CLONE_CLEAR_SIGHAND|CLONE_INTO_CGROUP, 0, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, 9}, 88)",
  ],
  ["execve", ["/bin/sh", strings(["sh", "-c", "a 'b'"]), strings([])], `execve("/bin/sh", ["sh", "-c", "a 'b'"], [])`],
  [
    "execveat",
    [11, "", strings(["toybox"]), strings([]), fcntl.AT_EMPTY_PATH],
    'execveat(11, "", ["toybox"], [], AT_EMPTY_PATH)',
  ],
]

describe("calls", () => {
  for (const [name, args, text] of CASES) {
    test(text, () => {
      expect(formatCall({ name, args })).toBe(text)
    })
  }
})

describe("what is no plain number", () => {
  test("bytes are shown where they are text, and else counted", () => {
    const write = (bytes: Uint8Array) => formatCall({ name: "write", args: [fd, bytes, bytes.length] })
    expect(write(new TextEncoder().encode("0 2147483647\n"))).toBe('write(<fd>, "0 2147483647\\n", 13)')
    expect(write(new Uint8Array([0, 1]))).toBe("write(<fd>, {2 bytes}, 2)")
    expect(write(new Uint8Array(0))).toBe("write(<fd>, {0 bytes}, 0)")
    expect(write(new Uint8Array(500).fill(65))).toBe("write(<fd>, {500 bytes}, 500)")
  })

  test("control characters of a path do not reach the terminal", () => {
    expect(formatCall({ name: "chdir", args: ["/\x1b[31m\n"] })).toBe('chdir("/\\u001b[31m\\n")')
  })

  test("places in memory have their names", () => {
    const buffer = out("buffer", 64)
    expect(formatCall({ name: "getcwd", args: [buffer, 64] })).toBe("getcwd(<buffer>, 64)")
    expect(formatCall({ name: "load", args: [at(buffer, 8), -1] })).toBe("load(&<buffer>+8, -1)")
    expect(formatCall({ name: "load", args: [at(fd, 0), -1] })).toBe("load(&<fd>, -1)")
  })

  test("where a result goes, and what is tolerated, is said", () => {
    const open: Call = { name: "openat", args: [AT_FDCWD, "x", 0, 0] }
    expect(formatCall({ ...open, into: fd })).toEndWith(" → <fd>")
    expect(formatCall({ ...open, into: { at: at(out("message", 8), 4), size: 4 } })).toEndWith(" → <message>")
    expect(formatCall({ ...open, tolerate: [ENOENT, EEXIST] })).toEndWith("  or ENOENT, EEXIST")
    expect(formatCall({ ...open, tolerate: [ENOENT], report: true })).toEndWith("0)")
  })
})
