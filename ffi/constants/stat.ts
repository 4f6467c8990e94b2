// sys/stat.h, linux/stat.h
export const S_IFMT = 0o170000
export const S_IFSOCK = 0o140000
export const S_IFLNK = 0o120000
export const S_IFREG = 0o100000
export const S_IFBLK = 0o060000
export const S_IFDIR = 0o040000
export const S_IFCHR = 0o020000
export const S_IFIFO = 0o010000
export const STATX_BASIC_STATS = 0x7ff
export const STATX_MNT_ID = 0x1000 // since 5.8
export const STATX_MNT_ID_UNIQUE = 0x4000 // since 6.8; before, the bit is passed over
