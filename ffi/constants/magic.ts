// linux/magic.h
export const PROC_SUPER_MAGIC = 0x9fa0
export const CGROUP2_SUPER_MAGIC = 0x63677270
export const RAMFS_MAGIC = 0x858458f6
export const TMPFS_MAGIC = 0x01021994
export const OVERLAYFS_SUPER_MAGIC = 0x794c7630
