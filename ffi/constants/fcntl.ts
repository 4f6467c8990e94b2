// fcntl.h, linux/fcntl.h, linux/openat2.h, sys/file.h, unistd.h
export const O_ACCMODE = 0o3
export const O_RDONLY = 0
export const O_WRONLY = 1
export const O_RDWR = 2
export const O_CREAT = 0o100
export const O_EXCL = 0o200
export const O_NOCTTY = 0o400
export const O_TRUNC = 0o1000
export const O_APPEND = 0o2000
export const O_NONBLOCK = 0o4000
export const O_CLOEXEC = 0o2000000
export const O_PATH = 0o10000000
// The two whose values depend on the architecture.
export const O_TMPFILE = process.arch === "arm64" ? 0o20040000 : 0o20200000
export const O_DIRECTORY = process.arch === "arm64" ? 0o40000 : 0o200000
export const O_NOFOLLOW = process.arch === "arm64" ? 0o100000 : 0o400000

export const AT_FDCWD = -100
export const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_SYMLINK_FOLLOW = 0x400
export const AT_REMOVEDIR = 0x200
export const AT_EMPTY_PATH = 0x1000
export const AT_RECURSIVE = 0x8000

export const RESOLVE_NO_XDEV = 0x01
export const RESOLVE_NO_MAGICLINKS = 0x02
export const RESOLVE_NO_SYMLINKS = 0x04
export const RESOLVE_BENEATH = 0x08
export const RESOLVE_IN_ROOT = 0x10

export const F_GETFD = 1
export const F_SETFD = 2
export const F_DUPFD_CLOEXEC = 1030
export const F_GETFL = 3
export const F_SETFL = 4
export const F_ADD_SEALS = 1033
export const FD_CLOEXEC = 1
export const F_SEAL_SEAL = 0x0001
export const F_SEAL_SHRINK = 0x0002
export const F_SEAL_GROW = 0x0004
export const F_SEAL_WRITE = 0x0008

export const LOCK_SH = 1
export const LOCK_EX = 2
export const LOCK_NB = 4

export const SEEK_SET = 0
export const SEEK_CUR = 1
export const SEEK_END = 2
export const SEEK_DATA = 3
export const SEEK_HOLE = 4

export const F_SETPIPE_SZ = 1031
export const SPLICE_F_MOVE = 1
export const SPLICE_F_NONBLOCK = 2

export const W_OK = 2
