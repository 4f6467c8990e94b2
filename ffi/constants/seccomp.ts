// linux/seccomp.h
export const SECCOMP_SET_MODE_FILTER = 1
export const SECCOMP_FILTER_FLAG_LOG = 2
export const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4
export const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
export const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 32
export const SECCOMP_RET_KILL_PROCESS = 0x80000000
export const SECCOMP_RET_KILL_THREAD = 0
export const SECCOMP_RET_TRAP = 0x00030000
export const SECCOMP_RET_ERRNO = 0x00050000
export const SECCOMP_RET_USER_NOTIF = 0x7fc00000
export const SECCOMP_RET_TRACE = 0x7ff00000
export const SECCOMP_RET_LOG = 0x7ffc0000
export const SECCOMP_RET_ALLOW = 0x7fff0000

// linux/bpf_common.h
export const BPF_LD = 0x00
export const BPF_ALU = 0x04
export const BPF_JMP = 0x05
export const BPF_RET = 0x06
export const BPF_W = 0x00
export const BPF_ABS = 0x20
export const BPF_AND = 0x50
export const BPF_JA = 0x00
export const BPF_JEQ = 0x10
export const BPF_JGT = 0x20
export const BPF_JGE = 0x30
export const BPF_K = 0x00
export const BPF_MAXINSNS = 4096

// linux/audit.h
export const AUDIT_ARCH_X86_64 = 0xc000003e
export const AUDIT_ARCH_I386 = 0x40000003
export const AUDIT_ARCH_AARCH64 = 0xc00000b7
export const AUDIT_ARCH_ARM = 0x40000028
