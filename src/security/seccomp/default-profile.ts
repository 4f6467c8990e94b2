/**
 * The profile of every container that asks for no other: docker's default, which its documentation lists ("Seccomp
 * security profiles for Docker"). What is not named gets EPERM.
 */
import type { LinuxSeccomp, SeccompOperator } from "../../oci/seccomp.ts"
import { type Circumstances, type Condition, type Profile, type ProfileSyscall, resolveProfile } from "./resolve.ts"

/** Allowed to everybody, whatever the arguments. */
const ALLOWED =
  "accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid getsockname getsockopt get_thread_area gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy io_getevents io_pgetevents io_pgetevents_time64 ioprio_get ioprio_set io_setup io_submit ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid setsockopt set_thread_area set_tid_address setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev"

const allow = (
  names: string,
  condition: Pick<ProfileSyscall, "args" | "includes" | "excludes"> = {},
): ProfileSyscall => ({
  names: names.split(" "),
  action: "SCMP_ACT_ALLOW",
  ...condition,
})

const argument = (op: SeccompOperator, value: number) => [{ index: 0, value, op }]
const AF_ALG = 38
const AF_VSOCK = 40

// Sockets of all families but the two that reach the kernel's cryptography (page cache writes, CVE-2026-31431) and
// the hypervisor.
const SOCKETS = [
  allow("socket", { args: argument("SCMP_CMP_LT", AF_ALG) }),
  allow("socket", { args: argument("SCMP_CMP_EQ", AF_ALG + 1) }),
  allow("socket", { args: argument("SCMP_CMP_GT", AF_VSOCK) }),
]

// PER_LINUX, PER_LINUX32, both with UNAME26, and the question what it is: personality(2).
const PERSONALITIES = [0, 8, 0x20000, 0x20008, 0xffffffff].map((value) =>
  allow("personality", { args: argument("SCMP_CMP_EQ", value) }),
)

/** Every CLONE_NEW flag but that of time namespaces, which shares its bit with the exit signal: clone(2). */
const NAMESPACE_FLAGS = 0x7e020000
const ENOSYS = 38

/** What a capability is good for only with certain calls. */
const UNLOCKED: readonly (readonly [cap: string, names: string])[] = [
  [
    "SYS_ADMIN",
    "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
  ],
  ["DAC_READ_SEARCH", "open_by_handle_at"],
  ["SYS_BOOT", "reboot"],
  ["SYS_CHROOT", "chroot"],
  ["SYS_MODULE", "delete_module init_module finit_module"],
  ["SYS_PACCT", "acct"],
  ["SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"],
  ["SYS_RAWIO", "iopl ioperm"],
  ["SYS_TIME", "settimeofday stime clock_settime clock_settime64"],
  ["SYS_TTY_CONFIG", "vhangup"],
  ["SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"],
  ["SYSLOG", "syslog"],
  ["BPF", "bpf"],
  ["PERFMON", "perf_event_open"],
]

const withoutAdmin: Condition = { caps: ["CAP_SYS_ADMIN"] }

/** The default profile, in docker's format. */
export const defaultProfile = (): Profile => ({
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: 1,
  archMap: [
    { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
    { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
  ],
  syscalls: [
    allow(ALLOWED),
    // Before Linux 4.8 a tracer could get round a filter.
    allow("process_vm_readv process_vm_writev ptrace", { includes: { minKernel: [4, 8] } }),
    ...SOCKETS,
    ...PERSONALITIES,
    allow("arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls", {
      includes: { arches: ["arm", "arm64"] },
    }),
    allow("arch_prctl modify_ldt", { includes: { arches: ["amd64"] } }),
    ...UNLOCKED.map(([cap, names]) => allow(names, { includes: { caps: [`CAP_${cap}`] } })),
    allow("clone", {
      args: [{ index: 0, value: NAMESPACE_FLAGS, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      excludes: withoutAdmin,
    }),
    // Its flags are behind a pointer, where no filter can look. C libraries take clone when it is not there.
    { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS, excludes: withoutAdmin },
  ],
})

/** Capabilities that the default profile asks about. */
export const DECISIVE_CAPABILITIES: readonly string[] = UNLOCKED.map(([cap]) => `CAP_${cap}`)

/**
 * The default profile for one container. `compat`: also for the processor's 32-bit programs, whose socketcall would
 * let them have the families that are refused; otherwise such programs are killed at their first call.
 */
export function defaultSeccomp(place: Circumstances, compat: boolean): LinuxSeccomp {
  const { architectures = [], ...resolved } = resolveProfile(defaultProfile(), place)
  return { ...resolved, architectures: compat ? architectures : architectures.slice(0, 1) }
}
